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
from click.core import ParameterSource

from backendify.option import shown
from backendify.settings import BadSettings

_PROFILES: Final = (
    "fire", "collapse", "outage", "storm", "throttle", "flaky", "garbage", "maintenance", "abandon", "quick",
)  # fmt: skip
_DEFAULT: Final = "fire"
_HELP: Final = """\
Play flaky registries and impatient customers against a server; exit 1 when the SLA is missed.

\b
PROFILE is fire (the default), collapse, outage, storm, throttle, flaky, garbage,
maintenance, abandon, quick, or a TOML file.
Options behind -- are the server's own: backendify rehearse fire -- --workers 2
With --simulated there is no server: backendify rehearse fire --simulated --set concurrency_max=40
With --random the registries are drawn: backendify rehearse --random 200 --simulated
"""
_OF_A_SERVER: Final = ("target", "registries_only", "memory_of")
_OF_A_PROFILE: Final = ("profile", "plot", "sla_percent")
_OF_SETS: Final = ("seed", "only", "collapsing")
# In virtual time an answer is with its customer at once: the rules may use all of the time that he waits.
_ALL_TIME: Final = {"deadline_ms": 1_000}
# Where no registry collapses none is to be held back by a cap.
_RAISED: Final = {"concurrency_max": 2_000, "fetches_max": 20_000, "waiters_max": 50_000}


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Draw:
    """Sets of registries as asked for: drawn at random, played in virtual time."""

    sets: int
    """So many, numbered from 1."""
    seed: int
    only: int | None
    """This one alone."""
    collapsing: bool
    json: Path | None
    policy: dict[str, float]


def read(arguments: list[str]) -> Plan | Draw | None:
    """Read the arguments; none when `--help` answered. Raises :class:`BadSettings` for wrong ones."""
    split = arguments.index("--") if "--" in arguments else len(arguments)
    try:
        with _command().make_context("backendify rehearse", arguments[:split]) as context:
            given: dict[str, Any] = context.params
            told = {
                name for name in given if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
            }
    except click.exceptions.Exit:
        return None
    except click.UsageError as error:
        message = f"rehearse: {' '.join(error.format_message().split())}"
        raise BadSettings(message) from None
    server_options = tuple(arguments[split + 1 :])
    if server_options and (told & {"target", "registries_only", "simulated"}):
        message = f"{shown(server_options[0])}: the server's options; expected none, as none is started"
        raise BadSettings(message)
    policy = dict(map(_setting, given.pop("settings")))
    if policy and not given["simulated"]:
        message = "--set: changes the rules in a simulation; expected --simulated beside it"
        raise BadSettings(message)
    if "sets" in told:
        return _draw(given, told, policy)
    for name in _OF_SETS:
        _refuse(name, told, "of sets drawn at random; expected --random beside it")
        del given[name]
    del given["sets"]
    return _plan(given, told, server_options, policy)


def _plan(
    given: dict[str, Any], told: set[str], server_options: tuple[str, ...], policy: dict[str, float]
) -> Plan:
    target = given["target"]
    if target is not None and not _is_target(target):
        message = f"--target {shown(target)}: is no server's URL; expected http://HOST:PORT"
        raise BadSettings(message)
    if given["simulated"]:
        for option in _OF_A_SERVER:
            _refuse(option, told, "of a real server; expected none with --simulated")
    name = given.pop("profile")
    return Plan(name=name, profile=_profile(name), server_options=server_options, policy=policy, **given)


def _draw(given: dict[str, Any], told: set[str], policy: dict[str, float]) -> Draw:
    if not given["simulated"]:
        message = "--random: plays in virtual time; expected --simulated beside it"
        raise BadSettings(message)
    for name in (*_OF_A_SERVER, *_OF_A_PROFILE):
        _refuse(name, told, "expected none with --random")
    asked = {name: given[name] for name in ("sets", "seed", "only", "collapsing", "json")}
    if asked["only"] is not None and asked["only"] > asked["sets"]:
        message = f"--only {asked['only']}: is no set's number; expected 1 to {asked['sets']}"
        raise BadSettings(message)
    caps = {} if asked["collapsing"] else _RAISED
    return Draw(policy=_ALL_TIME | caps | policy, **asked)


def _refuse(name: str, told: set[str], why: str) -> None:
    """Refuse an option that was given where it means nothing."""
    if name in told:
        shown_name = {"profile": "PROFILE", "sla_percent": "--sla"}.get(name, f"--{name.replace('_', '-')}")
        message = f"{shown_name}: {why}"
        raise BadSettings(message)


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
            click.Argument(["profile"], default=_DEFAULT),
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
            click.Option(
                ["--random", "sets"],
                type=click.IntRange(1, 1_000_000),
                metavar="N",
                help="With --simulated: draw N sets of registries, and play each by the rules and by one plain try.",
            ),
            click.Option(
                ["--seed"],
                type=click.IntRange(0, 2**63 - 1),
                default=1,
                show_default=True,
                metavar="S",
                help="With --random: another seed, other sets.",
            ),
            click.Option(
                ["--only"],
                type=click.IntRange(1),
                metavar="K",
                help="With --random: play set K alone, and print it as a profile.",
            ),
            click.Option(
                ["--collapsing"],
                is_flag=True,
                help="With --random: registries that break down when too much is asked at once.",
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
