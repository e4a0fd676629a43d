"""What the stand-in API knows: which posts exist, what became of the others, and what users have.

Everything here is a pure function of an ID and the settings, so a test can compute what it must get.
"""

import re
from collections.abc import Iterable

import msgspec

from collector.clock import stamp
from collector.rehearsal import reply
from collector.rehearsal.fates import NO_FAULTS, Fate, Fates, Faults, bits
from collector.rehearsal.numbered import EPOCH_MS, member
from collector.rehearsal.reply import Reply
from collector.rehearsal.users import MOST_IDS, People, Users

__all__ = ["NO_FAULTS", "Fate", "Faults", "People", "Post", "Reply", "World", "made_at"]

_FORM = re.compile(r"[0-9]{1,19}")
_TEXTS = {
    "en": "the city river bridge was closed again today after heavy rain and people walked home slowly",
    "es": "la ciudad hoy río puente cerrado otra vez lluvia gente camina casa mañana tren espera estación cielo claro",
    "ja": "今日 は 雨 が 降って 川 の 橋 また 閉鎖 人々 歩いて 家 へ 帰る 電車 駅 前 朝 空 晴れ 山 上",
}
_WORDS = {lang: text.split() for lang, text in _TEXTS.items()}
_COUNTED = ("retweet", "reply", "like", "quote", "bookmark", "impression")
_LANGS = ("en", "en", "es", "ja")


class Post(msgspec.Struct, frozen=True, omit_defaults=True):
    """A post with all its fields, whatever fields were asked for."""

    id: str
    edit_history_tweet_ids: tuple[str]
    author_id: str
    conversation_id: str
    created_at: str
    lang: str
    public_metrics: dict[str, int]
    text: str
    in_reply_to_user_id: str = ""
    referenced_tweets: tuple[dict[str, str], ...] = ()


class World:
    """All posts and users there are, under the given settings: the same in every process."""

    def __init__(self, faults: Faults, people: People | None = None) -> None:
        self.users = Users(people or People())
        self._fates = Fates(faults)
        self._other = faults.other

    def fate(self, key: str) -> Fate:
        """What becomes of a post's ID; the same in every process."""
        return self._fates.of(key) if _FORM.fullmatch(key) else Fate.BAD

    def fate_of_any(self, key: str) -> Fate:
        """What becomes of an ID of another API, of whatever form."""
        return self._fates.of(key)

    def many(self, keys: tuple[str, ...], authors: bool = False) -> Reply:
        """The answer to a lookup of a list; `authors` adds `includes.users`."""
        if not 1 <= len(keys) <= MOST_IDS:
            return reply.too_many("ids", keys, MOST_IDS)
        fates = {key: self.fate(key) for key in keys}
        return _spoilt("ids", fates) or self._answer("ids", fates, authors)

    def one(self, key: str, authors: bool = False, missing: int = 200) -> Reply:
        """The answer to a lookup of one; `missing` is the status when it is not there."""
        fates = {key: self.fate(key)}
        return _spoilt("id", fates) or self._answer("id", fates, authors, missing)

    def _answer(self, parameter: str, fates: dict[str, Fate], authors: bool, missing: int = 200) -> Reply:
        found = [self.post(key) for key, fate in fates.items() if fate is Fate.FOUND]
        errors: list[dict[str, str]] = []
        for key, fate in fates.items():
            if fate is Fate.DELETED:
                errors.append(reply.not_found(parameter, key))
            elif fate in (Fate.PROTECTED, Fate.SUSPENDED):
                errors.append(reply.not_authorized(parameter, key))
        body: dict[str, object] = {"data": found if parameter == "ids" else found[0]} if found else {}
        body |= self.beside(found, authors, errors)
        return Reply(200 if found or parameter == "ids" else missing, msgspec.json.encode(body), len(found))

    def beside(self, found: list[Post], authors: bool, errors: Iterable[dict[str, str]] = ()) -> dict[str, object]:
        """What stands beside `data`: authors where they are wanted, and errors, some about what nobody asked for."""
        others = [reply.not_found("referenced_tweets.id", key) for post in found for key in self._lost(post)]
        body: dict[str, object] = {}
        if authors and found:
            body["includes"] = {"users": [self.users.user(key) for key in dict.fromkeys(p.author_id for p in found)]}
        if together := [*errors, *others]:
            body["errors"] = together
        return body

    def _lost(self, post: Post) -> list[str]:
        """What a post refers to and the API does not find."""
        replied_to = _replied_to(post.id)
        return [other["id"] for other in post.referenced_tweets if other["id"] == replied_to]

    def post(self, key: str) -> Post:
        """The post of an ID, as if it were found."""
        chance = bits(key)
        lang = _LANGS[chance & 3]
        words = _WORDS[lang]
        picked = (words[(chance >> shift) % len(words)] for shift in range(80, 80 + 5 * (8 + (chance >> 2 & 7)), 5))
        likes = (chance >> 8 & 0xFFF) >> (chance >> 20 & 7)
        metrics = (likes >> 2, likes >> 4, likes, likes >> 6, likes >> 5, likes * 41 + 7)
        refers = (chance >> 60 & 0xFFFF) / 2**16 < self._other
        return Post(
            id=key,
            edit_history_tweet_ids=(key,),
            author_id=member(chance >> 24 & 0xFFFF),
            conversation_id=key,
            created_at=made_at(key),
            lang=lang,
            public_metrics={f"{name}_count": count for name, count in zip(_COUNTED, metrics, strict=True)},
            text=f"{' '.join(picked)} https://t.co/{chance & 0xFFFFFFFFFF:010x}",
            referenced_tweets=({"type": "replied_to", "id": _replied_to(key)},) if refers else (),
        )

    def post_of(self, user: str, key: str) -> Post:
        """A post in a user's list. Looked up by its ID alone it has another author: an ID does not hold that."""
        return msgspec.structs.replace(self.post(key), author_id=user)

    def reply_to(self, user: str, key: str) -> Post:
        """A reply to a user: to one of the posts in its list, where there are any."""
        posts = self.users.posts(user)
        answered = posts[bits(key) % len(posts)] if posts else key
        return msgspec.structs.replace(
            self.post(key),
            conversation_id=answered,
            in_reply_to_user_id=user,
            referenced_tweets=({"type": "replied_to", "id": answered},),
        )


def made_at(key: str) -> str:
    """When the post of an ID was made."""
    return stamp(((int(key) >> 22) + EPOCH_MS) / 1000)


def _replied_to(key: str) -> str:
    return str(max(1, int(key) - 1 - (bits(key) >> 40 & 0xFFFFF)))


def _spoilt(parameter: str, fates: dict[str, Fate]) -> Reply | None:
    for key, fate in fates.items():
        if fate is Fate.BAD:
            why = "is not a valid post ID" if _FORM.fullmatch(key) else f"does not match {reply.PATTERN}"
            return reply.bad_value(parameter, key, why, ",".join(fates))
    return reply.spoilt(fates.values())
