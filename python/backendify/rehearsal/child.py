"""The server that is rehearsed: ourselves in a process of our own, with a cache that is thrown away."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from threading import Thread
from types import TracebackType
from typing import IO, Final, Self

_LISTENS: Final = re.compile(r"listens on http://[^ ,]+:(\d+)")
_END_S_MAX: Final = 12  # lame duck and drain end before ten


class Child:
    """A running server. Raises EOFError, in one sentence, when it ends instead of listening."""

    def __init__(self, pairs: list[str], options: tuple[str, ...]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="backendify-rehearse-")
        # The options given come last, so that they count.
        self._command = (
            sys.executable, "-P", "-m", "backendify", *pairs, "--host", "127.0.0.1", "--port", "0",
            "--admin", "off", "--cache-path", f"{self._folder.name}/cache", *options,
        )  # fmt: skip
        self.address = ""

    @property
    def pid(self) -> int:
        """The first of its processes."""
        return self._process.pid

    def __enter__(self) -> Self:
        # A process group of its own: Ctrl-C in the terminal is the parent's business.
        self._process = subprocess.Popen(  # noqa: S603 - ourselves
            self._command, stderr=subprocess.PIPE, text=True, process_group=0
        )
        assert self._process.stderr  # noqa: S101 - it is a pipe
        told = ""
        for line in self._process.stderr:
            told = line
            if found := _LISTENS.search(line):
                self.address = f"127.0.0.1:{found[1]}"
                Thread(target=_pass_on, args=(self._process.stderr,), daemon=True).start()
                return self
        self._end()
        message = f"the server did not start: {told.strip()}"
        raise EOFError(message)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.send_signal(signal.SIGINT)  # no lame duck: nobody is behind a balancer here
        self._end()

    def _end(self) -> None:
        try:
            self._process.wait(_END_S_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._folder.cleanup()


def _pass_on(lines: IO[str]) -> None:
    with lines:
        for line in lines:
            sys.stderr.write(line)
