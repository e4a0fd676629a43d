"""The stand-in API's command line."""

import pytest

from collector.rehearsal import switches
from collector.rehearsal.cursors import Lifetime
from collector.rehearsal.oauth import Client
from collector.rehearsal.settings import Settings
from collector.rehearsal.usage import Caps
from collector.rehearsal.users import Count


def test_nothing_said_is_what_the_settings_say() -> None:
    """No switch has a default of its own."""
    assert switches.settings([]) == (Settings(), 0)


def test_every_part_of_the_settings_can_be_said() -> None:
    """Limits of single endpoints, people, tokens, caps and the client."""
    said = """--port=5 --limit=0 --limit-of=/2/users/{id}/tweets=7 --limit-of /api/info=0 --followers=5-9
        --followers-of 12=1000000 --followers-of 13=0 --posts 4 --user-protected=0.1 --deleted=0.2 --short=0.5
        --token-age=15m --token-uses=3 --token-stale=0.1 --cap-items=100 --cap-calls=9 --cap-period=1h
        --client-id=me --client-way=basic --expires-in=1m --want-token --link=http://other.example --merged=0.5"""
    settings, port = switches.settings(said.split())
    assert (port, settings.limit, settings.limits) == (5, None, {"/2/users/{id}/tweets": 7, "/api/info": None})
    people = settings.people
    assert people.followers == Count(5, 9, {"12": 1_000_000, "13": 0})
    assert (people.posts, people.protected, people.deleted, people.short) == (Count(4, 4), 0.1, 0.0, 0.5)
    assert settings.faults.deleted == 0.2
    assert settings.tokens == Lifetime(age=900.0, uses=3, stale=0.1)
    assert settings.caps == Caps(items=100, calls=9, period=3_600.0)
    assert settings.client == Client(id="me", way="basic", expires_in=60.0, wanted=True)
    assert (settings.link, settings.merged) == ("http://other.example", 0.5)


@pytest.mark.parametrize("said", ["--followers=many", "--followers-of=12", "--limit-of=x=", "--token-age=soon"])
def test_what_cannot_be_understood_ends_it(said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and the switch is named."""
    with pytest.raises(SystemExit) as ended:
        switches.settings([said])
    assert ended.value.code == 2
    assert said.partition("=")[0] in capsys.readouterr().err
