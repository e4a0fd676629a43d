"""From IDs to a request; whatever an ID holds, it stays inside its place."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, unquote_plus

import msgspec
from multidict import CIMultiDict
from yarl import URL

from collector import __version__
from collector.errors import RequestError
from collector.host.secret import Secret
from collector.sources import declared, links, pages
from collector.sources.auth import Grant
from collector.sources.mask import Mask, maskable
from collector.sources.spec import Spec
from collector.sources.unpack import ACCEPTED
from collector.sources.values import PLACE

LONGEST_URL = 8_000
AGENT = f"collector/{__version__}"
# Keys of a source that change neither what is asked nor how it is read.
HOW_OFTEN = {
    *("use", "limit", "window", "budget", "per_call", "cost", "price", "parallel"),
    *("recollect", "columns", "column", "feed", "max_children"),
}

_AUTHORITY = re.compile(r"[A-Za-z]+://[^/?#]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

_OURS = {
    "User-Agent": AGENT,
    "Accept": "application/json",
    "Accept-Encoding": ACCEPTED,
}

_quoted = partial(quote, safe="")
# What the operator wrote in the url stays as it is; only what no URL can hold is encoded.
_encode_literal = partial(quote, safe="%/?:@!$&'()*+,;=[]~")


def _encode(text: str) -> str:
    """A text that stays inside its place, whatever it holds."""
    return text if text.isascii() and text.isalnum() else _quoted(text)


Pieces: TypeAlias = tuple[str, ...]  # a text cut at the places of IDs: `value.join(pieces)` fills it
Pair: TypeAlias = tuple[Pieces, Pieces]  # a parameter: its name and its value


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it goes on the wire; its repr shows no more than where it goes."""

    method: str
    address: str  # percent-encoded
    headers: Mapping[str, str]
    body: bytes | None

    @property
    def url(self) -> URL:
        """Its address, taken apart."""
        return URL(self.address, encoded=True)

    def __repr__(self) -> str:
        return f"Request({self.method} {self.url.origin()}/…)"


class Endpoint:
    """A source made ready to ask: its secrets filled in, its texts cut at the places of IDs."""

    def __init__(self, spec: Spec, secrets: Mapping[str, Secret]) -> None:
        self.spec = spec
        self._values = {name: secrets[name].reveal() for name in spec.secrets}
        self._mask = Mask(self._values.values())
        told = declared.secrets(spec.model_dump(by_alias=True, exclude={"auth"}))
        self._told = {name: self._values[name] for name in told}  # what goes to the API itself
        path, _, query = _AUTHORITY.sub("", spec.url, count=1).partition("?")
        self._path = self._literal(path or "/")
        self._dots = _dots("x".join(self._path))
        self._query = self._literal(query)
        self._params = self._pairs(spec.params)
        self._form = self._pairs(spec.form)
        self._secret = self._secret_pairs(query)
        self._turn = pages.Turn.of(spec)
        # Beside the cursor, its parameter does not stand a second time.
        self._query_of_page = self._literal(pages.without(query, self._turn.to)) if self._turn else self._query
        self.grant = self._granted()
        self._headers = [(name, self._cut(text)) for name, text in self._all_headers().items()]
        self._fixed_headers = self._all_fixed()
        self._segmented = "{id/}" in spec.url
        self._repeat = spec.join == "repeat"
        self._joiner = "," if self._repeat else spec.join
        self._weigh()

    def asks_like(self, other: "Endpoint") -> bool:
        """True where both ask and read in the same way, with the same secrets; how often may differ."""
        ours, theirs = (endpoint.spec.model_dump(exclude=HOW_OFTEN) for endpoint in (self, other))
        return ours == theirs and self._values == other._values

    def build(self, keys: tuple[str, ...], cursor: str | None = None) -> Request:
        """The request for these IDs; with a cursor, for the page of their list that it stands for.

        RequestError `malformed` when one of them cannot be asked for: it is empty, is no Unicode text, would
        be a `.` or `..` of the path, or holds control characters and belongs in a header. `cursor` when that is no
        link.
        """
        try:
            texts = [self._written(key) for key in keys]
            if cursor and self.spec.next == "link":
                address, body = self._linked(texts, cursor), self._body(texts, None)
            else:
                value = self._turn and self._turn.value(cursor)
                address, body = self._url(texts, value), self._body(texts, value)
            return Request(self.spec.method, address, self._filled_headers(texts), body)
        except UnicodeEncodeError as error:
            raise RequestError("malformed", f"an ID that is no Unicode text: {error.reason}") from error

    def link(self, url: URL, headers: Iterable[str]) -> str | None:
        """The cursor that the Link headers of an answer to `url` give, fit to be kept.

        RequestError `redirect` when they lead to another origin.
        """
        target = links.following(url, headers) if self.spec.next == "link" else None
        return None if target is None else pages.kept(target, self._told, self._hidden())

    def weight(self, key: str) -> int:
        """How many characters an ID adds to the URL, what joins it to the next included."""
        text = self.spec.each.replace("{id}", key) if self.spec.packed else key
        try:
            length = len(_encode(text))
        except UnicodeEncodeError:
            return self.room  # goes alone, and `build` refuses it
        return self._places * length + self._overhead

    def alone(self, key: str) -> bool:
        """True for an ID that holds the joiner: beside others it would be read as two."""
        return self.spec.packed and not self._repeat and self._joiner in key

    def hide(self, token: str) -> None:
        """The source is asked with this token: what is masked and kept from now on is without it."""
        self._mask.hide(token)

    def masked(self, body: bytes) -> bytes:
        """A body without the source's secrets and tokens, for answers whose words are kept as a detail."""
        return self._mask.masked(body)

    def masked_words(self, reason: str, detail: str) -> dict[str, str]:
        """A reason and a detail without the source's secrets and tokens."""
        return self._mask.words(reason, detail)

    def _hidden(self) -> list[str]:
        """What goes to this API in no other way than a header of its own, or not at all."""
        others = (value for name, value in self._values.items() if name not in self._told)
        return [*filter(maskable, others), *self._mask.tokens]

    def _weigh(self) -> None:
        """`room`: the characters a URL has for IDs. A call may hold the IDs whose weights fit, and always one."""
        self.room = max(0, LONGEST_URL - len(self._url([])))
        repeated = [pair for pair in self._params if self._repeats(pair[1])]
        joined = [pieces for pair in self._params if pair not in repeated for pieces in pair]
        joined_places = sum(len(pieces) - 1 for pieces in (self._path, self._query, *joined))
        self._places = joined_places + sum(len(value) - 1 for _, value in repeated)
        self._overhead = joined_places * len(_encode(self._joiner))
        self._overhead += sum(len("".join(name + value)) + len("&=") for name, value in repeated)

    def _cut(self, text: str, literal: Callable[[str], str] = str, encode: Callable[[str], str] = str) -> Pieces:
        pieces, done = [""], 0
        for found in PLACE.finditer(text):
            pieces[-1] += literal(text[done : found.start()])
            done = found.end()
            if found[2]:
                pieces[-1] += encode(self._values[found[2]])
            else:
                pieces.append("")
        pieces[-1] += literal(text[done:])
        return tuple(pieces)

    def _pairs(self, table: Mapping[str, str | int]) -> list[Pair]:
        return [(self._cut(name, _encode, _encode), self._cut(str(v), _encode, _encode)) for name, v in table.items()]

    def _literal(self, text: str) -> Pieces:
        return self._cut(text, _encode_literal, _encode)

    def _secret_pairs(self, query: str) -> list[tuple[str, Pair]]:
        """The parameters with a secret, by name: a link to the next page may leave them out."""
        parts = [part.partition("=")[::2] for part in query.split("&") if "{secret." in part]
        found = [(unquote_plus(name), (self._literal(name), self._literal(value))) for name, value in parts]
        texts = {name: value for name, value in self.spec.params.items() if "{secret." in str(value)}
        return found + list(zip(texts, self._pairs(texts), strict=True))

    def _granted(self) -> Grant | None:
        auth = self.spec.auth
        if auth is None:
            return None
        agent = str(self._all_headers()["User-Agent"])
        own = AGENT if PLACE.search(agent) else agent  # an ID or a secret is for the API alone
        scope = auth.scope and "".join(self._cut(auth.scope))
        return Grant(auth.url, "".join(self._cut(auth.id)), "".join(self._cut(auth.secret)), scope, own)

    def _all_headers(self) -> CIMultiDict[str]:
        headers = CIMultiDict(_OURS)
        if self.spec.form:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif self.spec.body is not None:
            headers["Content-Type"] = "application/json"
        for name, text in self.spec.headers.items():
            headers[name] = text
        return headers

    def _written(self, key: str) -> str:
        if not key:
            raise RequestError("malformed", "an empty ID")
        return self.spec.each.replace("{id}", key) if self.spec.packed else key

    def _linked(self, texts: list[str], cursor: str) -> str:
        path, query = pages.asked(cursor, self._told)
        known = pages.names_of(query)
        left_out = self._encoded([pair for name, pair in self._secret if name not in known], texts)
        return self._address(path, query, left_out)

    def _address(self, path: str, *queries: str) -> str:
        query = "&".join(filter(None, queries))
        return f"{self.spec.origin}{path}{query and '?'}{query}"

    def _url(self, texts: list[str], turned_to: str | int | None = None) -> str:
        value = _encode(self._joiner.join(texts))
        path = (_segments(texts[0]) if texts and self._segmented else value).join(self._path)
        # Encoding does not help here: servers and proxies resolve %2E%2E as they do two dots.
        if "." in value and len(self._path) > 1 and _dots(path) != self._dots:
            raise RequestError("malformed", "an ID that would be a `.` or `..` of the path")
        query, params = self._query, self._params
        if self._turn and self._turn.where == "query" and turned_to is not None:
            query, params = self._query_of_page, self._turned(params, turned_to)
        return self._address(path, value.join(query), self._encoded(params, texts))

    def _turned(self, pairs: list[Pair], value: str | int) -> list[Pair]:
        """Parameters with the cursor among them, and no other of its name."""
        assert self._turn is not None
        name = (_encode(self._turn.to),)
        return [*(pair for pair in pairs if pair[0] != name), (name, (_encode(str(value)),))]

    def _encoded(self, pairs: list[Pair], texts: list[str]) -> str:
        if not pairs:
            return ""
        encoded = [_encode(text) for text in texts]
        joined = _encode(self._joiner).join(encoded)
        parts: list[str] = []
        for name, value in pairs:
            fillings = encoded if self._repeats(value) else [joined]
            parts += [f"{joined.join(name)}={filling.join(value)}" for filling in fillings]
        return "&".join(parts)

    def _repeats(self, value: Pieces) -> bool:
        return self._repeat and len(value) > 1

    def _all_fixed(self) -> dict[str, str] | None:
        """The headers, where none of them holds an ID and each can be sent: they are the same for every call."""
        if any(len(pieces) > 1 for _, pieces in self._headers):
            return None
        headers = {name: pieces[0] for name, pieces in self._headers}
        return None if any(map(_unsendable, headers.values())) else headers

    def _filled_headers(self, texts: list[str]) -> Mapping[str, str]:
        if self._fixed_headers is not None:
            return self._fixed_headers
        value = self._joiner.join(texts)
        headers = {name: value.join(pieces) for name, pieces in self._headers}
        for name, text in headers.items():
            if _CONTROL.search(text):
                raise RequestError("malformed", f"a control character in the header {name}")
            text.encode()
        return headers

    def _body(self, texts: list[str], turned_to: str | int | None) -> bytes | None:
        there = self._turn.where if self._turn and turned_to is not None else None
        if self.spec.form:
            form = self._turned(self._form, turned_to) if there == "form" and turned_to is not None else self._form
            return self._encoded(form, texts).encode()
        if self.spec.body is None:
            return None
        filled = self._filled(self.spec.body, texts)
        if there == "json" and self._turn:
            filled[self._turn.to] = turned_to
        return msgspec.json.encode(filled)

    def _filled(self, node: Any, texts: list[str]) -> Any:
        match node:
            case "{ids}":
                return texts
            case str():
                return self._joiner.join(texts).join(self._cut(node))
            case dict():
                return {self._joiner.join(texts).join(self._cut(k)): self._filled(v, texts) for k, v in node.items()}
            case list():
                return [self._filled(member, texts) for member in node]
        return node


def _unsendable(text: str) -> bool:
    """True for what `_filled_headers` refuses with its reason."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return _CONTROL.search(text) is not None


def redirected(request: Request, status: int, location: str) -> Request:
    """The request that a redirect asks for; RequestError `redirect` when it leads to another origin."""
    url = links.resolved(request.url, location)
    if status == 303 or (status in (301, 302) and request.method == "POST"):
        headers = {name: text for name, text in request.headers.items() if name.lower() != "content-type"}
        return Request("GET", str(url), headers, None)
    return Request(request.method, str(url), request.headers, request.body)


def _segments(key: str) -> str:
    """An ID that is several segments of a path, as `owner/name`; each of them stays one."""
    segments = key.split("/")
    if not all(segments):
        raise RequestError("malformed", "an ID with an empty part between two `/`")
    return "/".join(map(_encode, segments))


def _dots(path: str) -> int:
    return sum(unquote(segment) in (".", "..") for segment in path.split("/"))
