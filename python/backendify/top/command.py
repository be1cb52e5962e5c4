"""The command: looks again and again, until it is told to end."""

import signal
import sys
import time
from collections.abc import Mapping
from typing import Final, NoReturn

from backendify.admin import Stats
from backendify.top import wanted
from backendify.top.asking import NoAnswer, ask
from backendify.top.page import lines
from backendify.top.screen import Sheet, sheet
from backendify.top.wanted import Wanted

_FAILED: Final = 1


def run(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Show a server as these arguments say: the exit status. Raises `BadSettings` for wrong ones."""
    asked_for = wanted.read(arguments, environment)
    if asked_for is None:
        return 0
    # However it is told to end, the terminal is as it was before.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        _show(asked_for, environment)
    except NoAnswer as error:
        sys.stderr.write(
            f"backendify: {asked_for.address}: {error}; expected a running server's --admin address\n"
        )
        return _FAILED
    except KeyboardInterrupt:
        return 0
    return 0


def _show(asked_for: Wanted, environment: Mapping[str, str]) -> None:
    """Look twice, or without end; raises :class:`NoAnswer` where the first look finds nobody."""
    first, look_at_s = ask(asked_for.address), time.monotonic()
    with sheet(environment, once=asked_for.once) as shown_on:
        if not asked_for.once:
            _look_on(asked_for, shown_on, first, look_at_s)
        _sleep_until(look_at_s + asked_for.interval_s)
        shown_on.show(_lines(asked_for, ask(asked_for.address), first))


def _look_on(asked_for: Wanted, shown_on: Sheet, now: Stats, look_at_s: float) -> NoReturn:
    """Look until there is a KeyboardInterrupt."""
    before: Stats | None = None
    while True:
        told = _lines(asked_for, now, before)
        shown_on.show(told)
        before, answered_at_s = now, time.monotonic()
        while True:
            look_at_s = max(look_at_s + asked_for.interval_s, time.monotonic())
            _sleep_until(look_at_s)
            try:
                now = ask(asked_for.address)
                break
            except NoAnswer as error:
                before = None  # rates over a silence would be of nobody knows what
                silent_s = time.monotonic() - answered_at_s
                shown_on.show_silence(
                    f"no answer from {asked_for.address} for {silent_s:.0f} s: {error}", told
                )


def _lines(asked_for: Wanted, now: Stats, before: Stats | None) -> list[str]:
    clock = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime())
    return lines(now, before, address=str(asked_for.address), clock=clock)


def _sleep_until(at_s: float) -> None:
    time.sleep(max(0.0, at_s - time.monotonic()))
