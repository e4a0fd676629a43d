"""`sources` shows the presets that ship with collector, and the sources that a configuration declares."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from collector.cli import complete, option
from collector.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collector.config import Config
    from collector.sources.presets import Preset
    from collector.sources.spec import Spec


@click.command()
@click.argument("preset", required=False, shell_complete=complete.presets)
@option.config_file
@option.as_json
def sources(preset: str | None, config_path: Path | None, as_json: bool) -> None:
    """Show the APIs that ship with collector.

    PRESET, as x/posts, shows the text of one, to copy into a configuration. Without it all presets are listed, and the
    sources that are declared.
    """
    if preset is not None:
        chosen = _chosen(preset)
        option.say(as_json, _facts(chosen) | {"toml": chosen.toml}, _to_copy(chosen))
        return
    from collector.sources.presets import shipped

    config, trouble = _declared(config_path)
    listed = [*shipped().values()]
    facts = {"presets": [_facts(each) for each in listed], **_sources(config), "problem": trouble}
    option.say(as_json, facts, "\n".join([*_listing(listed), *_declaring(config, trouble)]))


def _chosen(name: str) -> Preset:
    from collector.sources.presets import near, shipped

    if found := shipped().get(name):
        return found
    alike = near(name)
    meant = f"; is it {' or '.join(alike)}?" if alike else ""
    raise UsageError(f"no preset {name!r}{meant} (`collector sources` shows all)")


def _declared(config_path: Path | None) -> tuple[Config | None, str | None]:
    """The configuration, if there is one; what is wrong with it, unless it was asked for by name: that raises."""
    from collector import config

    try:
        path = option.find(config_path)
    except ConfigError:
        return None, None
    try:
        return config.load(path, secrets=False), None
    except ConfigError:
        if config_path is not None:
            raise
        return None, f"{option.near(path)} has problems: `{option.hint('check', path)}` tells them"


def _spec(preset: Preset) -> Spec:
    from collector.sources.spec import Spec

    return Spec.model_validate(preset.table)


def _limits(spec: Spec) -> str:
    return " and ".join(map(str, spec.limit)) or "no limit declared"


def _facts(preset: Preset) -> dict[str, Any]:
    spec = _spec(preset)
    limits = [str(limit) for limit in spec.limit]
    secrets = list(preset.secrets)
    return {"name": preset.name, "about": preset.about, "pack": spec.pack, "limit": limits, "secrets": secrets}


def _listing(presets: list[Preset]) -> list[str]:
    width = max(len(preset.name) for preset in presets)
    lines = [f"  {each.name:<{width}}  {each.about.rstrip('.')} ({_limits(_spec(each))})" for each in presets]
    return ['Presets, for `use = "…"` in a [source.NAME]; `collector sources x/posts` shows the whole of one:', *lines]


def _sources(config: Config | None) -> dict[str, Any]:
    if config is None:
        return {"config": None, "sources": []}
    declared = [
        {"name": name, "use": spec.use, "asks": spec.call or spec.url, "limit": [str(limit) for limit in spec.limit]}
        for name, spec in config.sources.items()
    ]
    return {"config": str(config.path), "sources": declared}


def _declaring(config: Config | None, trouble: str | None) -> list[str]:
    if config is None:
        return ["", trouble] if trouble else []
    width = max(map(len, config.sources))
    lines = [
        f"  {name:<{width}}  {spec.call or spec.url}{f', from {spec.use}' if spec.use else ''} ({_limits(spec)})"
        for name, spec in config.sources.items()
    ]
    return ["", f"Sources in {option.near(config.path)}:", *lines]


def _to_copy(preset: Preset) -> str:
    """The preset's text and what else it needs, all of it fit to be appended to a configuration."""
    lines = [f'# To change as you like. Where it is to stay as it is, one line does the same: use = "{preset.name}"']
    lines += ["", preset.toml.rstrip("\n")]
    if feed := preset.table.get("from"):
        lines += ["", f"# It takes its IDs from a source {feed.partition('.')[0]}, which has to be declared too."]
    if preset.secrets:
        lines += ["", "# It needs what follows, unless it is there already; `collector check` tells.", "# [secret]"]
        lines += [f'# {name} = {{ file = "{name}.txt" }}' for name in preset.secrets]
    return "\n".join(lines)
