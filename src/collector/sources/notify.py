"""`[service] notify`: where the notices of the service go."""

from collections.abc import Mapping
from typing import Annotated, Literal, get_args
from urllib.parse import quote

from pydantic import AfterValidator, Field, model_validator
from yarl import URL

from collector.host.secret import Secret
from collector.sources import declared
from collector.sources.request import AGENT
from collector.sources.values import PLACE, Header, Name, OneLine, Strict, Url

Kind = Literal["taken_in", "trouble", "stopped", "disk", "finished"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def _no_id(text: str) -> str:
    if any(not place[2] for place in PLACE.finditer(text)):
        raise ValueError("no place for an ID: a notice has none; `{secret.NAME}` may stand here")
    return text


class Notify(Strict):
    """A webhook or a command. Its text never shows more of an address than its host, since the rest may be a secret."""

    url: Annotated[Url, AfterValidator(_no_id)] | None = None
    command: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    headers: dict[Header, Annotated[OneLine, AfterValidator(_no_id)]] = {}
    on: Annotated[tuple[Kind, ...], Field(strict=False, min_length=1)] = KINDS

    @model_validator(mode="after")
    def _one(self) -> "Notify":
        if bool(self.url) == bool(self.command):
            raise ValueError('one of { url = "https://…" } or { command = ["…"] }')
        if self.command and self.headers:
            raise ValueError("no headers beside a command")
        return self

    def __str__(self) -> str:
        return f"{URL(PLACE.sub('x', self.url)).origin()}/…" if self.url else f"the command {self.command[0]}"

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the secrets that it asks for."""
        return declared.secrets({"url": self.url or "", "headers": self.headers})

    def address(self, secrets: Mapping[str, Secret]) -> str:
        """The url with its secrets; a `/` of theirs stays one."""
        return PLACE.sub(lambda place: quote(secrets[place[2]].reveal(), safe="/"), self.url or "")

    def filled(self, secrets: Mapping[str, Secret]) -> dict[str, str]:
        """The headers with their secrets."""
        filled = {
            name: PLACE.sub(lambda place: secrets[place[2]].reveal(), text) for name, text in self.headers.items()
        }
        return {"User-Agent": AGENT, "Content-Type": "application/json", **filled}
