"""Several workers: forked, replaced when they die, told to stop together.

Granian's own supervisor stops its workers at once, without a lame duck, and gives the whole service up when a worker
dies twice in 5.5 s (docs/decisions/0002-workers.md). So each worker is a whole embedded server on the same port
(SO_REUSEPORT shares its connections out), and all that is left to do here is to fork, wait and pass signals on.
"""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from backendify import _core

LOGGER = logging.getLogger(__name__)

STOP_S_MAX = 9.5  # engines kill at 10: who has not ended by then is killed
RESTART_S_MIN = 1.0  # a worker that dies at once is forked anew at most so often
RETRY_S = 30.0  # a successor that cannot serve is tried again after so long
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


@dataclass(slots=True)
class Supervisor:
    """Forks `workers` processes, each of which runs `work(index, life)` and exits with what it returns.

    An index's first worker has life 1, its successor 2.
    """

    workers: int
    work: Callable[[int, int], int]
    retry_s: float = RETRY_S
    _index_of: dict[int, int] = field(default_factory=dict)  # process id -> index of its worker
    _lives: Counter[int] = field(default_factory=Counter)
    _started_at_s: dict[int, float] = field(default_factory=dict)
    _due_at_s: dict[int, float] = field(default_factory=dict)  # when those who do not run are to be forked

    def run(self) -> int:
        """Supervise until told to stop: 0, or the status of a worker that gave up of its own accord."""
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        self._due_at_s = dict.fromkeys(range(self.workers), 0.0)
        while True:
            self._fork_due()
            received = self._wait()
            if received in {signal.SIGTERM, signal.SIGINT}:
                return self._stop(signal.Signals(received))
            for index, status in self._reap():
                # A status of its own means that it cannot serve. For a successor's sake alone nobody else is stopped.
                code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else 0
                if code and (self._lives[index] == 1 or not self._index_of):
                    self._stop(signal.SIGTERM)
                    return code
                self._replace(index, is_refusal=bool(code))

    def _replace(self, index: int, *, is_refusal: bool) -> None:
        if is_refusal:
            LOGGER.warning("worker %d cannot be replaced yet; the others serve on", index)
            self._due_at_s[index] = time.monotonic() + self.retry_s
        else:
            LOGGER.warning("worker %d ended unexpectedly; it is replaced", index)
            self._due_at_s[index] = self._started_at_s[index] + RESTART_S_MIN

    def _fork_due(self) -> None:
        for index, due_at_s in tuple(self._due_at_s.items()):
            if due_at_s <= time.monotonic():
                del self._due_at_s[index]
                self._fork(index)

    def _wait(self) -> int:
        """Wait for a signal, or until somebody is due, as if a child's signal had come."""
        if not self._due_at_s:
            return signal.sigwait(_SIGNALS)
        left_s = min(self._due_at_s.values()) - time.monotonic()
        received = signal.sigtimedwait(_SIGNALS, max(0.0, left_s))
        return received.si_signo if received else signal.SIGCHLD

    def _fork(self, index: int) -> None:
        self._started_at_s[index] = time.monotonic()
        self._lives[index] += 1
        supervisor = os.getpid()
        process = os.fork()
        if process:
            self._index_of[process] = index
            return
        status = 1
        try:
            _core.end_with_parent(supervisor)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            status = self.work(index, self._lives[index])
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
