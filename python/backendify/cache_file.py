"""Where the cache's file lies, what room it has there, and when it is removed."""

import contextlib
import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from backendify import _core
from backendify.settings import Settings

_ONCE = "backendify-once-"
_BLOCK_BYTES = 512  # of `st_blocks`, whatever the file system's are (stat(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is found where the file is to be."""

    is_memory: bool
    """Whether its pages count as memory (tmpfs), or are the kernel's to drop (a disk)."""
    file_bytes: int = 0
    """The size of the file that is there, 0 for none."""
    taken_bytes: int = 0
    """What that one takes up; less than its size when it has holes."""
    free_bytes: int | None = None
    """What a file may take up there at most, the one that is there counted as gone; none where nothing tells."""


def cache_path(settings: Settings, port: int) -> Path:
    """Name the cache's file: one a port, so that a service finds its own again."""
    return settings.cache_path or _temporary_folder() / f"backendify-{port}.cache"


@contextlib.contextmanager
def cache_file(settings: Settings, port: int) -> Iterator[Path]:
    """Name the cache's file for as long as the service runs.

    With any free port (0) and no path, no later service would find it again: it is removed at the end, and those that
    killed services left are removed at the start.
    """
    if settings.cache_path or settings.port:
        yield cache_path(settings, port)
        return
    folder = _temporary_folder()
    for left in folder.glob(f"{_ONCE}*.cache"):
        _remove_unused(left)
    descriptor, name = tempfile.mkstemp(prefix=_ONCE, suffix=".cache", dir=folder)
    os.close(descriptor)
    try:
        yield Path(name)
    finally:
        _remove(Path(name))


def _remove_unused(cache: Path) -> None:
    """Remove a file that no process has: whoever uses one shares the lock on its first byte (docs/region-format.md)."""
    with contextlib.suppress(OSError):  # another user's, in use, or gone meanwhile
        descriptor = os.open(cache, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
            # Who has just made it and not locked it yet finds it gone, and makes it again. Another may stand there now.
            if os.path.samestat(os.fstat(descriptor), cache.lstat()):
                _remove(cache)
        finally:
            os.close(descriptor)


def _remove(cache: Path) -> None:
    """Remove the file, and what workers who were killed left beside it."""
    for path in (cache, *cache.parent.glob(f"{cache.name}.*")):
        with contextlib.suppress(OSError):
            path.unlink()


def look_at(cache: Path) -> Place:
    """Find out what room this file has. Raises OSError, with the name of what is missing, where it could not be."""
    folder = os.fspath(cache.parent)
    room = os.statvfs(folder)
    file_bytes, taken_bytes = _size(cache)
    # A file that is there may be written where none could be made: a volume of one file.
    if not cache.exists() and not os.access(folder, os.W_OK | os.X_OK):
        number = errno.EROFS if room.f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(number, os.strerror(number), folder)
    return Place(
        is_memory=_core.is_memory(folder),
        file_bytes=file_bytes,
        taken_bytes=taken_bytes,
        # A tmpfs without a bound says that it has no blocks at all.
        free_bytes=room.f_bavail * room.f_frsize + taken_bytes if room.f_blocks else None,
    )


def _size(cache: Path) -> tuple[int, int]:
    """Measure the file that is there: its size, and what it takes up."""
    try:
        found = cache.lstat()
    except OSError:
        return 0, 0
    return (found.st_size, found.st_blocks * _BLOCK_BYTES) if stat.S_ISREG(found.st_mode) else (0, 0)


def _temporary_folder() -> Path:
    # Not `tempfile.gettempdir`: it ends in the working directory, where nobody looks for a cache. And TMPDIR is every
    # program's (POSIX), not an option of ours.
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - the region refuses what others have put there
