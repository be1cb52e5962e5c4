"""Where a look is shown: a terminal's whole screen, or plain lines."""

import os
import signal
from collections.abc import Mapping, Sequence
from typing import Final, Protocol, Self

import click

from backendify.top.page import fitted

_STDOUT: Final = 1
# ECMA-48, and xterm's own: the other screen, without a cursor; back to how it was.
_ENTER: Final = "\x1b[?1049h\x1b[?25l"
_LEAVE: Final = "\x1b[?25h\x1b[?1049l"
_CLEAR: Final = "\x1b[H\x1b[J"  # home, and to the end
_COLUMNS_UNKNOWN: Final = 80
_ROWS_UNKNOWN: Final = 24


class Sheet(Protocol):
    """What looks are shown on, while it is entered."""

    def __enter__(self) -> Self: ...
    def __exit__(self, *_: object) -> None: ...
    def show(self, lines: Sequence[str]) -> None:
        """Show a look."""

    def show_silence(self, line: str, last: Sequence[str]) -> None:
        """Show that there was no answer; `last` is what was shown before."""


def sheet(environment: Mapping[str, str], *, once: bool) -> Sheet:
    """Choose: a screen where standard output is one and lines may be drawn over."""
    is_screen = os.isatty(_STDOUT) and environment.get("TERM", "dumb") != "dumb" and not once
    return Screen() if is_screen else Paper()


class Paper:
    """Plain lines, a block a look."""

    _is_first = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, lines: Sequence[str]) -> None:
        """Print a block."""
        between = "" if self._is_first else "\n"
        self._is_first = False
        click.echo(between + "\n".join(lines))

    def show_silence(self, line: str, last: Sequence[str]) -> None:  # noqa: ARG002 - it is on paper already
        """Print that there was no answer."""
        self.show([line])


class Screen:
    """A terminal's other screen: what stood there before is there again at the end, and while it is suspended."""

    def __enter__(self) -> Self:
        signal.signal(signal.SIGTSTP, self._suspend)
        try:
            _write(_ENTER)
        except BaseException:  # Ctrl-C too: nobody else gives the terminal back before the block is entered
            _write(_LEAVE)
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # it ends already
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        _write(_LEAVE)

    def show(self, lines: Sequence[str]) -> None:
        """Draw a look over the one before."""
        columns, rows = os.get_terminal_size(_STDOUT)
        told = fitted(lines, columns=columns or _COLUMNS_UNKNOWN, rows=rows or _ROWS_UNKNOWN)
        _write(_CLEAR + "\r\n".join(told))

    def show_silence(self, line: str, last: Sequence[str]) -> None:
        """Draw that there was no answer, above what was told last."""
        self.show([line, "Told before that:", "", *last] if last else [line])

    def _suspend(self, *_: object) -> None:
        """Give the terminal back for as long as Ctrl-Z stops us."""
        _write(_LEAVE)
        os.kill(os.getpid(), signal.SIGSTOP)
        _write(_ENTER)


def _write(text: str) -> None:
    # Unbuffered: a handler of a signal may write too.
    data = text.encode("ascii", "replace")
    while data:
        data = data[os.write(_STDOUT, data) :]
