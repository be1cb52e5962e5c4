"""What `backendify top` is asked to show: its arguments."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import click

from backendify import configuration
from backendify.address import Address
from backendify.option import Duration, shown
from backendify.settings import BadSettings

_INTERVAL: Final = Duration("200ms", "60s")
_HELP: Final = """\
Show a running server live: requests, hits, answers, memory, and each registry; Ctrl-C ends it.

\b
It asks the operators' listener of the server (its --admin) for /stats:
  backendify top
  backendify top --admin 10.0.0.7:9090 --interval 5s
  backendify top --once

Rates are differences between two looks; 429s are among the fails. What is marked with * is of the server's
first worker alone. Where standard output is no terminal, each look is a block of plain lines.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A server to look at, and how."""

    address: Address
    interval_s: float
    once: bool


def read(arguments: list[str], environment: Mapping[str, str]) -> Wanted | None:
    """Read the arguments; none when `--help` answered. Raises :class:`BadSettings` for wrong ones."""
    try:
        with _command().make_context("backendify top", arguments) as context:
            given: dict[str, Any] = context.params
    except click.exceptions.Exit:
        return None
    except click.UsageError as error:
        raise BadSettings(f"top: {' '.join(error.format_message().split())}") from None
    return Wanted(
        address=_address(given["admin"], environment),
        interval_s=_interval_ms(given["interval"]) / 1000,
        once=given["once"],
    )


def _address(text: str | None, environment: Mapping[str, str]) -> Address:
    """Find the listener as the server does: where none is named, by the environment and its file."""
    flags = {} if text is None else {"admin": [text.removeprefix("http://").removesuffix("/")]}
    address = configuration.read(flags, {} if flags else environment, with_registries=False).admin
    if address is None or not address.port:
        said = "off" if address is None else shown(str(address))
        raise BadSettings(f"--admin: {said} is nowhere to ask; expected HOST:PORT of a running server")
    return address


def _interval_ms(text: str) -> int:
    try:
        return _INTERVAL.parse(text)
    except ValueError as error:
        raise BadSettings(f"--interval: {shown(text)} {error}; expected {_INTERVAL.expected}") from None


def _command() -> click.Command:
    return click.Command(
        "top",
        help=_HELP,
        context_settings={"help_option_names": ["-h", "--help"]},
        params=[
            click.Option(
                ["--admin"],
                metavar="HOST:PORT",
                help="The server's operators' listener; http:// may stand before it [127.0.0.1:9090]",
            ),
            click.Option(
                ["--interval"],
                metavar="DURATION",
                default="1s",
                help="Look so often, 200ms to 60s [1s]",
            ),
            click.Option(["--once"], is_flag=True, help="Look twice, print one block, and end."),
        ],
    )
