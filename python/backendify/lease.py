"""One flight a question, across workers too: who holds the lease asks, the others wait to be told.

Leases lie in the region's header. A worker is woken by a datagram on a socket beside the cache file, whose name is its
place in the region, so that services in other containers over the same volume are woken too. A datagram may be lost and
a worker may die: whoever waits looks again after `RECHECK_S`, and takes over what nobody holds any more. A question
asked twice costs a request and harms nothing.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from backendify._core import Outcome, Question, Region

LOGGER = logging.getLogger(__name__)

RECHECK_S = 0.25
MESSAGE_BYTES_MAX = 16 * 1024  # an id fits: the whole request target is bounded by 8 KiB


class Leases:
    """Sees to it that of all workers only one asks a question at a time, for `lease_s` at most."""

    def __init__(self, region: Region, path: Path, *, lease_s: float) -> None:
        self._region = region
        self._path = path
        self._lease_ms = int(lease_s * 1000)
        self._held: Counter[Question] = Counter()  # this worker's tries under way, of one flight each
        self._waiting: dict[Question, set[asyncio.Future[Outcome | None]]] = {}  # never an empty set
        self._socket: socket.socket | None = None

    def start(self) -> None:
        """Listen for other workers, in the running loop. Where sockets cannot be, looking again has to do."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        own = self._path_of(self._region.place)
        try:
            # The place is ours alone, so a socket that lies there is a dead predecessor's.
            _remove_socket(own)
            listener.bind(os.fspath(own))
        except OSError as error:
            # Of a path that is too long for a socket Python says so itself, without the kernel's words.
            LOGGER.warning("workers cannot wake each other at %s: %s", own, error.strerror or error)
            listener.close()
            return
        self._socket = listener
        asyncio.get_running_loop().add_reader(listener, self._hear)

    def close(self) -> None:
        """Stop listening."""
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            with contextlib.suppress(OSError):
                _remove_socket(self._path_of(self._region.place))

    async def take(self, question: Question) -> Outcome | None:
        """Wait for what another worker learns; none when this one has the lease, and is to :meth:`release` it."""
        # Asked anew after each wait: another try of this worker may have the lease by then, and one is enough.
        while not self._held[question]:
            if self._region.take_lease(question, self._lease_ms):
                # Another worker may have asked and let go between our look-up and our lease. `recall` knows only what
                # was just kept, so that a refresh of an older record still asks.
                if found := self._region.recall(question):
                    self._tell(self._region.release_lease(question), question, found)
                    return found
                break
            if told := await self._wait(question):
                return told
        self._held[question] += 1
        return None

    def release(self, question: Question, outcome: Outcome) -> None:
        """Let the lease go, with the last of this worker's tries for the question, and tell who waits."""
        self._held[question] -= 1
        if not self._held[question]:
            del self._held[question]
            self._tell(self._region.release_lease(question), question, outcome)

    async def _wait(self, question: Question) -> Outcome | None:
        told: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(question, set())  # one for each try that waits
        waiting.add(told)
        try:
            async with asyncio.timeout(RECHECK_S):
                return await told
        except TimeoutError:
            return self._region.recall(question)
        finally:
            waiting.remove(told)
            if not waiting:
                del self._waiting[question]

    def _tell(self, waiting: int, question: Question, outcome: Outcome) -> None:
        if not waiting or not self._socket:
            return
        message = bytes((question.registry, outcome.code)) + question.id.encode()
        for place in _places(waiting):
            # Who cannot be told looks again by himself.
            with contextlib.suppress(OSError):
                self._socket.sendto(message, os.fspath(self._path_of(place)))

    def _hear(self) -> None:
        assert self._socket  # noqa: S101 - the reader is removed before
        while True:
            try:
                message = self._socket.recv(MESSAGE_BYTES_MAX)
            except OSError:
                return
            if len(message) > 2:  # noqa: PLR2004 - registry and code
                question = Question(message[0], message[2:].decode(errors="replace"))
                # Who gave up without a word of the registry leaves it to who waits, whose customers may have time.
                failure = None if message[1] == Outcome.NOT_BEGUN.code else Outcome.of_code(message[1])
                for told in self._waiting.get(question, ()):
                    if not told.done():
                        told.set_result(self._region.recall(question) or failure)

    def _path_of(self, place: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{place}")


def _remove_socket(path: Path) -> None:
    """Remove the socket at a path, if there is one; FileExistsError for what is none, which is somebody's own."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(errno.EEXIST, "a file that is no socket lies there, and is left alone")
    path.unlink(missing_ok=True)


def _places(bits: int) -> Iterator[int]:
    """Name the bits that are set: bit 0 is place 1."""
    return (place + 1 for place in range(bits.bit_length()) if bits >> place & 1)
