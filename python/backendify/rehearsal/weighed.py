"""What a server takes: memory and descriptors, of its processes or of its control group."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Weight(NamedTuple):
    """What was found at one moment."""

    bytes: int
    descriptors: int


class Scales:
    """Weighs a process and those it started, a control group by its folder, or reads the bytes in a file.

    A process weighs its Pss (proc(5), `smaps_rollup`): what several share is counted once. A memory control group,
    version 1 or 2, weighs what the kernel cannot drop: anonymous and shared memory, and no other page cache.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.seconds: list[Weight | None] = []
        """Each time that was weighed: once a second; none where it could not be."""

    def weigh(self) -> Weight | None:
        """Weigh now, and keep it; none when it cannot be weighed, such as what is gone."""
        try:
            now = self.read()
        except (OSError, ValueError):
            now = None
        self.seconds.append(now)
        return now

    def read(self) -> Weight:
        """Weigh now. :class:`OSError` or :class:`ValueError` when there is no such thing, or it tells no weight."""
        path = Path(self._what)
        if self._what.isdecimal():
            pids = _tree(int(self._what))
            return Weight(sum(map(_proportional_bytes, pids)), sum(map(_descriptors, pids)))
        if path.is_dir():
            pids = [int(line) for line in (path / "cgroup.procs").read_text(encoding="ascii").split()]
            return Weight(_held_bytes(path), sum(map(_descriptors, pids)))
        return Weight(int(path.read_text(encoding="ascii")), 0)

    def told(self) -> dict[str, object]:
        """Tell it for the report: null is unknown, and not nothing."""
        weighed = [one for one in self.seconds if one]
        return {
            "server_memory_bytes_peak": max((one.bytes for one in weighed), default=None),
            "server_descriptors_peak": max((one.descriptors for one in weighed), default=None),
            "server_seconds": [one and one._asdict() for one in self.seconds],
        }


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:  # grows while it is walked: each process is followed by its children
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text(encoding="ascii").split())
    return found


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except PermissionError:
        resident = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(resident) * os.sysconf("SC_PAGE_SIZE")
    found = next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), None)
    if found is None:
        message = f"/proc/{pid}/smaps_rollup tells no Pss"
        raise ValueError(message)
    return found


def _held_bytes(group: Path) -> int:
    stat = dict(_numbers(group / "memory.stat"))
    for anonymous, shared in (("total_rss", "total_shmem"), ("anon", "shmem")):  # versions 1 and 2
        if anonymous in stat and shared in stat:
            return stat[anonymous] + stat[shared]
    message = f"{group}/memory.stat tells neither anonymous nor shared memory"
    raise ValueError(message)


def _numbers(path: Path) -> Iterator[tuple[str, int]]:
    for line in path.read_text(encoding="ascii").splitlines():
        name, number = line.split()
        yield name, int(number)


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
