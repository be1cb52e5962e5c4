"""Several workers: forked, replaced when they die, told to stop together.

Granian's own supervisor stops its workers at once, without a lame duck, and gives the whole service up when a worker
dies twice in 5.5 s (docs/decisions/0002-workers.md). So each worker is a whole embedded server on the same port
(SO_REUSEPORT shares its connections out), and all that is left to do here is to fork, wait and pass signals on.
"""

import logging
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from backendify import _core

LOGGER = logging.getLogger(__name__)

STOP_S_MAX = 9.5  # engines kill at 10: who has not ended by then is killed
RESTART_S_MIN = 1.0  # a worker that dies at once is forked anew at most so often
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


@dataclass(slots=True)
class Supervisor:
    """Forks `workers` processes, each of which runs `work(index)` and exits with what it returns."""

    workers: int
    work: Callable[[int], int]
    _index_of: dict[int, int] = field(default_factory=dict)  # process id -> index of its worker
    _started_at_s: dict[int, float] = field(default_factory=dict)

    def run(self) -> int:
        """Supervise until told to stop: 0, or the status of a worker that gave up of its own accord."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        for index in range(self.workers):
            self._fork(index)
        while True:
            received = signal.sigwait(_SIGNALS)
            if received is not signal.SIGCHLD:
                return self._stop(signal.Signals(received))
            for index, status in self._reap():
                # A status of its own means that it cannot serve, which its successor could not either.
                if os.WIFEXITED(status) and (code := os.WEXITSTATUS(status)):
                    self._stop(signal.SIGTERM)
                    return code
                LOGGER.warning("worker %d ended unexpectedly; it is replaced", index)
                self._fork(index)

    def _fork(self, index: int) -> None:
        wait_s = self._started_at_s.get(index, float("-inf")) + RESTART_S_MIN - time.monotonic()
        time.sleep(max(0.0, wait_s))
        self._started_at_s[index] = time.monotonic()
        supervisor = os.getpid()
        process = os.fork()
        if process:
            self._index_of[process] = index
            return
        status = 1
        try:
            _core.end_with_parent(supervisor)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            status = self.work(index)
        except KeyboardInterrupt:
            status = 0
        except BaseException:
            LOGGER.exception("worker %d failed", index)
        finally:
            # Not sys.exit: the supervisor's own frames lie above this one.
            os._exit(status)

    def _reap(self) -> list[tuple[int, int]]:
        """Collect who has ended: (index, wait status)."""
        ended = []
        while self._index_of:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                break
            if process in self._index_of:
                ended.append((self._index_of.pop(process), status))
        return ended

    def _stop(self, number: signal.Signals) -> int:
        deadline_s = time.monotonic() + STOP_S_MAX
        self._tell(number)
        while self._index_of and (left_s := deadline_s - time.monotonic()) > 0:
            signal.sigtimedwait({signal.SIGCHLD}, left_s)
            self._reap()
        self._tell(signal.SIGKILL)
        while self._index_of:
            process, _ = os.waitpid(-1, 0)
            self._index_of.pop(process, None)
        return 0

    def _tell(self, number: signal.Signals) -> None:
        for process in self._index_of:
            os.kill(process, number)
