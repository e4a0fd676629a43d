"""`init` writes a configuration and its folders; `check` tells all that is wrong with one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import option
from collector.errors import CollectorError, ConfigError, Problem, UsageError
from collector.host.files import write
from collector.quantity import things

if TYPE_CHECKING:
    from collector.config import Config
    from collector.sources.rules import Price

_TEMPLATE = Path(__file__).with_name("collector.toml")
_FOLDERS = ("watch/x_posts", "batches", "rejected")  # x_posts is the source of the template


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@option.as_json
def init(folder: Path, as_json: bool) -> None:
    """Write a commented collector.toml and its folders.

    FOLDER is where; here, if it is not given. Nothing is ever overwritten.
    """
    target = folder / "collector.toml"
    if target.exists():
        raise UsageError(f"{target} is there already and was left as it is")
    try:
        for name in _FOLDERS:
            (folder / name).mkdir(parents=True, exist_ok=True)
        write(target, _TEMPLATE.read_text(encoding="utf-8"))
    except OSError as error:
        raise CollectorError(f"cannot write {error.filename or target}: {error.strerror}") from error
    facts = {"config": str(target.absolute()), "watch": str((folder / "watch").absolute())}
    text = f"wrote {target} and the folders beside it; next: put your X bearer token into {folder / 'x_bearer.txt'}"
    option.say(as_json, facts, f"{text}, then `{option.hint('check', target.absolute())}`")


@click.command()
@option.config_file
@option.as_json
@click.pass_context
def check(context: click.Context, config_path: Path | None, as_json: bool) -> None:
    """Tell every problem of the configuration at once."""
    try:
        config = option.load(config_path)
        _usable(config)
    except ConfigError as error:
        if not as_json:
            raise
        option.say(True, {"ok": False, **error.facts}, "")
        context.exit(2)
    option.say(as_json, _facts(config), _text(config))


def _usable(config: Config) -> None:
    """The state folder, or the nearest one above it that is there, can be written."""
    folder = next(place for place in (config.root, *config.root.parents) if place.exists())
    if not folder.is_dir():
        raise ConfigError(str(config.path), [Problem("root", str(config.root), f"a folder, but {folder} is none")])
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(str(config.path), [Problem("root", str(config.root), f"{folder} writable for this user")])


def _facts(config: Config) -> dict[str, Any]:
    shared = {name: group for group in _groups(config) for name in group}
    sources = {
        name: {
            "url": spec.url,
            "call": spec.call,
            "pack": spec.pack,
            "limit": [str(limit) for limit in spec.limit],
            "budget": spec.budget,
            "shares_with": [other for other in shared.get(name, ()) if other != name],
            "price": spec.price and spec.price.model_dump(),
            "from": spec.feed and f"{spec.feed.source}.{spec.feed.path}",
        }
        for name, spec in config.sources.items()
    }
    budgets = {
        name: {"limit": [str(limit) for limit in budget.limit], "sources": _drawing(config, name)}
        for name, budget in config.budgets.items()
    }
    where = {"config": str(config.path), "root": str(config.root), "listen": config.admin.listen}
    notify = config.service.notify and str(config.service.notify)
    facts = {
        "ok": True,
        **where,
        "notify": notify,
        "default_source": config.default_source,
        "sources": sources,
        "budgets": budgets,
    }
    return facts | {"warnings": _warnings(config)}


def _text(config: Config) -> str:
    lines = [f"ok: {option.near(config.path)}, {things(len(config.sources), 'source')}"]
    for name, spec in config.sources.items():
        pack = f"up to {spec.pack} IDs a call" if spec.packed else "one ID a call"
        fast = (
            f"up to {spec.parallel} at once"
            if spec.call
            else "it is asked as fast as it answers, until it says to wait"
        )
        limits = " and ".join(map(str, spec.limit)) or f"no limit declared: {fast}"
        budget = f", and budget {spec.budget}" if spec.budget else ""
        lines.append(f"  {name}: {spec.call or spec.url}, {pack}, {limits}{budget}")
        lines += [f"    {line}" for line in _chain(config, name)]
        lines += [f"    price: {_price(spec.price)}"] if spec.price else []
    lines += [f"  {line}" for line in (*_budgets(config), *_sharing(config))]
    lines += [f"  ! {warning}" for warning in _warnings(config)]
    lines += [f"  state folder: {config.root}", f"  drop ID files in: {_drop(config)}"]
    lines.append(f"  status: {_where(config)}")
    lines += _notices(config)
    return "\n".join(lines)


def _notices(config: Config) -> list[str]:
    """Where they go, without what may be a secret."""
    from collector.sources.notify import KINDS

    notify = config.service.notify
    if notify is None:
        return []
    only = "" if notify.on == KINDS else f", only {', '.join(notify.on)}"
    return [f"  notices: {notify}{only}"]


def _chain(config: Config, name: str) -> list[str]:
    """Where its IDs come from, where it is no root."""
    from collector.intake import lineage

    fed = lineage.fed(config.sources, name)
    if fed is None:
        return []
    root = lineage.above(config.sources, name)[0]
    return [f"its IDs are {fed}; drop seeds, the IDs of {root}, into watch/{name}/"]


def _price(price: Price) -> str:
    from collector.output.estimate import besides, rates

    return f"{', '.join((*rates(price), *besides(price))) or 'nothing is charged'} ({price.currency})"


def _budgets(config: Config) -> list[str]:
    return [
        f"budget {name}: {' and '.join(map(str, budget.limit))}, for {', '.join(drawing)}"
        for name, budget in config.budgets.items()
        if (drawing := _drawing(config, name))
    ]


def _drawing(config: Config, budget: str) -> list[str]:
    return [name for name, spec in config.sources.items() if spec.budget == budget]


def _sharing(config: Config) -> list[str]:
    """Sources that the API counts as one, so that they wait for each other."""
    from collector.sources.identity import limits

    lines = []
    for group in _groups(config):
        strictest = " and ".join(map(str, limits(group[0], config.sources, config.secrets))) or "none is declared"
        said = f"{', '.join(group[:-1])} and {group[-1]} draw from one budget ({_same(config, group[0])})"
        lines.append(f"{said}; the strictest of their limits hold: {strictest}")
    return lines


def _same(config: Config, source: str) -> str:
    return "same function" if config.sources[source].call else "same secrets, method and URL"


def _groups(config: Config) -> list[tuple[str, ...]]:
    from collector.sources.identity import sharing

    return [group for group in sharing(config.sources, config.secrets) if len(group) > 1]


def _warnings(config: Config) -> list[str]:
    return [*_idle_budgets(config), *_export_only(config)]


def _export_only(config: Config) -> list[str]:
    """Columns that no view can have."""
    from collector.store.views import can_follow

    odd = {
        name: [key for key, path in spec.columns.items() if not can_follow(path)]
        for name, spec in config.sources.items()
    }
    told = "in exports only, and not in the view: a path there is plain, as a.b[0].c"
    return [f"source {name}: {', '.join(columns)} {told}" for name, columns in odd.items() if columns]


def _idle_budgets(config: Config) -> list[str]:
    return [
        f"budget {name}: no source draws from it; name it as `budget` in a [source.NAME], or take it out"
        for name in config.budgets
        if not _drawing(config, name)
    ]


def _drop(config: Config) -> str:
    own = f"{config.watch}/SOURCE/"
    return f"{config.watch}/ (for {config.default_source}) or {own}" if config.default_source else own


def _where(config: Config) -> str:
    listen = config.admin.listen
    if config.admin.address:
        return f"curl http://{listen}/status"
    if listen == "off":
        return "`collector status` only, since [admin] listen is off"
    return f"curl --unix-socket {listen.removeprefix('unix:')} http://localhost/status"
