"""What a rehearsal is asked to be: the arguments of `backendify rehearse`."""

import json
import math
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

from backendify.option import shown
from backendify.settings import BadSettings

_PROFILES: Final = ("fire", "collapse", "outage", "storm", "throttle", "abandon", "quick")
_HELP: Final = """\
Play flaky registries and impatient customers against a server; exit 1 when the SLA is missed.

\b
PROFILE is fire (the default), collapse, outage, storm, throttle, abandon, quick, or a TOML file.
Options behind -- are the server's own: backendify rehearse fire -- --workers 2
With --simulated there is no server: backendify rehearse fire --simulated --set concurrency_max=40
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A rehearsal as asked for."""

    name: str
    """Of the profile."""
    profile: str
    """The profile as JSON."""
    target: str | None
    """The server's URL; none starts one."""
    registries_only: bool
    json: Path | None
    plot: Path | None
    sla_percent: float
    memory_of: str | None
    """A process, a control group's folder, or a file that holds bytes."""
    server_options: tuple[str, ...]
    simulated: bool
    """In virtual time, without a server."""
    policy: dict[str, float]
    """The rules' settings that differ from their defaults, by their names in docs/rehearse.md, "In virtual time"."""


def read(arguments: list[str]) -> Plan | None:
    """Read the arguments; none when `--help` answered. Raises :class:`BadSettings` for wrong ones."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    try:
        with _command().make_context("backendify rehearse", arguments[:split]) as context:
            given: dict[str, Any] = context.params
    except click.exceptions.Exit:
        return None
    except click.UsageError as error:
        message = f"rehearse: {' '.join(error.format_message().split())}"
        raise BadSettings(message) from None
    target, simulated = given["target"], given["simulated"]
    if target is not None and not _is_target(target):
        message = f"--target {shown(target)}: is no server's URL; expected http://HOST:PORT"
        raise BadSettings(message)
    server_options = tuple(arguments[split + 1 :])
    if server_options and (target or given["registries_only"] or simulated):
        message = f"{shown(server_options[0])}: the server's options; expected none, as none is started"
        raise BadSettings(message)
    for option in ("target", "registries_only", "memory_of"):
        if simulated and given[option]:
            message = f"--{option.replace('_', '-')}: of a real server; expected none with --simulated"
            raise BadSettings(message)
    policy = dict(map(_setting, given.pop("settings")))
    if policy and not simulated:
        message = "--set: changes the rules in a simulation; expected --simulated beside it"
        raise BadSettings(message)
    name = given.pop("profile")
    return Plan(name=name, profile=_profile(name), server_options=server_options, policy=policy, **given)


def _setting(text: str) -> tuple[str, float]:
    """Read NAME=NUMBER; whether there is such a setting, `_core` knows."""
    name, _, number = text.partition("=")
    try:
        value = int(number) if number.isdecimal() else float(number)
    except ValueError:
        value = math.nan
    if not math.isfinite(value) or value < 0:
        message = f"--set {shown(text)}: is no setting; expected NAME=NUMBER, as concurrency_max=40"
        raise BadSettings(message)
    return name, value


def _profile(name: str) -> str:
    """Read a profile as JSON: `_core` judges it."""
    shipped = files("backendify.rehearsal") / "profiles" / f"{name}.toml"
    try:
        text = (shipped if name in _PROFILES else Path(name)).read_text(encoding="utf-8")
        return json.dumps(tomllib.loads(text), allow_nan=False)
    except OSError as error:
        expected = f"expected {', '.join(_PROFILES)}, or a TOML file"
        message = f"{shown(name)}: cannot be read ({error.strerror}); {expected}"
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        message = f"{shown(name)}: is no TOML: {error}"
    except (
        TypeError,
        ValueError,
    ):  # JSON has neither: it comes after TOML's own error, which is a ValueError
        message = f"{shown(name)}: holds a date or no number; expected numbers, texts, tables and lists"
    raise BadSettings(message)


def _is_target(target: str) -> bool:
    try:
        parts = urlsplit(target)
        return bool(parts.scheme == "http" and parts.hostname and parts.port != 0 and parts.path in {"", "/"})
    except ValueError:
        return False


def _command() -> click.Command:
    path = click.Path(dir_okay=False, writable=True, path_type=Path)
    return click.Command(
        "rehearse",
        help=_HELP,
        context_settings={"help_option_names": ["-h", "--help"]},
        params=[
            click.Argument(["profile"], default="fire"),
            click.Option(["--target"], metavar="URL", help="Ask this server; otherwise one is started."),
            click.Option(
                ["--registries-only"], is_flag=True, help="Run the registries, and nobody who asks."
            ),
            click.Option(
                ["--simulated"],
                is_flag=True,
                help="Play it in virtual time, against the rules of the miss path alone: seconds instead of minutes.",
            ),
            click.Option(
                ["--set", "settings"],
                multiple=True,
                metavar="NAME=NUMBER",
                help="With --simulated: change a setting of the rules, as concurrency_max=40; may be repeated.",
            ),
            click.Option(["--json"], type=path, help="Write the score to this file."),
            click.Option(["--plot"], type=path, help="Draw rate and success over time: an SVG."),
            click.Option(
                ["--sla", "sla_percent"],
                type=click.FloatRange(0, 100),
                default=95.0,
                show_default=True,
                metavar="PERCENT",
                help="So many requests must be answered right, in time, at the first try.",
            ),
            click.Option(
                ["--memory-of"],
                metavar="PID|FOLDER|FILE",
                help="Weigh this process, or this control group; or read bytes from a file.",
            ),
        ],
    )
