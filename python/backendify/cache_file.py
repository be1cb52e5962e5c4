"""Where the cache's file lies."""

import errno
import os
from pathlib import Path

from backendify.settings import Settings


def cache_path(settings: Settings, port: int) -> Path:
    """Name the cache's file: one a port, so that a service finds its own again."""
    return settings.cache_path or _temporary_folder() / f"backendify-{port}.cache"


def check_place(cache: Path) -> None:
    """Raise OSError, with the name of what is missing, where no such file could be."""
    flags = os.statvfs(cache.parent).f_flag
    # A file that is there may be written where none could be made: a volume of one file.
    if cache.exists() or os.access(cache.parent, os.W_OK | os.X_OK):
        return
    number = errno.EROFS if flags & os.ST_RDONLY else errno.EACCES
    raise OSError(number, os.strerror(number), os.fspath(cache.parent))


def _temporary_folder() -> Path:
    # Not `tempfile.gettempdir`: it ends in the working directory, where nobody looks for a cache. And TMPDIR is every
    # program's (POSIX), not an option of ours.
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - the region refuses what others have put there
