"""`try`: one call of a source, shown from the request to what each ID became; nothing is stored."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from collector.cli import complete, option
from collector.errors import NoPermit, RequestError, UsageError

if TYPE_CHECKING:
    from collector.cli.trial import Trial
    from collector.config import Config
    from collector.sources.answer import Answer
    from collector.sources.request import Endpoint
    from collector.sources.spec import Spec

_MOST_SENT = 8  # requests of one call: redirects, and one with a new token


@click.command("try")
@click.argument("source", metavar="SOURCE", shell_complete=complete.sources)
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@option.config_file
@option.as_json
@click.pass_context
def try_source(
    context: click.Context, source: str, ids: tuple[str, ...], config_path: Path | None, as_json: bool
) -> None:
    """Make one call and show what each ID becomes.

    The request and the answer are shown with secrets as ***. Nothing is stored, and no budget of the service is drawn
    from; but the call counts at the API.
    """
    from collector.cli import trial, trial_text
    from collector.host import lock

    config = option.load(config_path)
    spec = config.sources[option.source(config, source)]
    if spec.call:
        raise UsageError(
            f"{source} is a Python source (call = {spec.call!r}), and try makes HTTP calls: call it in Python"
        )
    made = _made(config, source, spec, ids)
    facts = trial.facts(made, lock.holder(config.root))
    option.say(as_json, facts, trial_text.text(facts))
    if not facts["ok"]:
        context.exit(1)


def _made(config: Config, source: str, spec: Spec, ids: tuple[str, ...]) -> Trial:
    import asyncio

    from collector.cli.trial import Trial
    from collector.sources.request import Endpoint

    matched = {text: spec.match(text) for text in ids}
    keys = tuple(dict.fromkeys(key for key in matched.values() if key))
    refused = tuple(text for text, key in matched.items() if not key)
    if not keys:
        raise UsageError(f"nothing to ask: no ID given matches the id pattern of {source}, {spec.id!r}")
    endpoint = Endpoint(spec, config.secrets)
    _expect_to_fit(source, endpoint, keys)
    made = Trial(source, endpoint, keys, refused)
    try:
        shown = made.shown_request()
    except RequestError as error:
        raise UsageError(f"cannot be asked for: {error.detail}") from error
    permit = _Permit()
    came = asyncio.run(_asked(endpoint, keys, permit))
    return made.ended(shown, permit.sent, came, time.time())


def _expect_to_fit(source: str, endpoint: Endpoint, keys: tuple[str, ...]) -> None:
    """UsageError says how many IDs one call takes."""
    spec, given = endpoint.spec, len(keys)
    if not spec.packed and given > 1:
        raise UsageError(f"{source} asks for one ID a call, and {given} were given: give one")
    if given > spec.pack:
        raise UsageError(f"one call of {source} takes at most {spec.pack} IDs, and {given} were given")
    if given > 1 and (alone := [key for key in keys if endpoint.alone(key)]):
        raise UsageError(f"{alone[0]!r} holds {spec.join!r}, which stands between IDs, so it goes alone: give one")
    fitting, room = 0, endpoint.room
    for key in keys:
        room -= endpoint.weight(key)
        fitting += room >= 0
    if given > 1 and fitting < given:
        raise UsageError(
            f"{max(fitting, 1)} of the {given} IDs fit into one call of {source}: its URL would be too long"
        )


class _Permit:
    """For one call that draws from no budget; it counts what was sent."""

    def __init__(self) -> None:
        self.sent = 0

    def spend(self) -> None:
        """One more request leaves."""
        if self.sent == _MOST_SENT:
            raise NoPermit(f"more than {_MOST_SENT} requests for one call")
        self.sent += 1

    def unsent(self) -> None:
        """It did not."""
        self.sent -= 1


async def _asked(endpoint: Endpoint, keys: tuple[str, ...], permit: _Permit) -> Answer | RequestError:
    from collector.sources.http import Client

    async with Client() as client:
        try:
            return await client.ask(endpoint, keys, permit)
        except RequestError as error:
            return error
