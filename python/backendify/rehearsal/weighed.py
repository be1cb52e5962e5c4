"""What a server takes: memory and descriptors, of its processes or of its control group."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Weight(NamedTuple):
    """What was found at one moment; 0 where there was nothing to find."""

    bytes: int
    descriptors: int


class Scales:
    """Weighs a process and those it started, a control group by its folder, or reads the bytes in a file.

    A process weighs its Pss (proc(5), `smaps_rollup`): what several share is counted once. A memory control group,
    version 1 or 2, weighs what the kernel cannot drop: anonymous and shared memory, and no other page cache.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self.seconds: list[Weight] = []
        """Each time that was weighed: once a second."""

    def weigh(self) -> Weight:
        """Weigh now."""
        try:
            now = self._weighed()
        except (OSError, ValueError):
            now = Weight(0, 0)
        self.seconds.append(now)
        return now

    def _weighed(self) -> Weight:
        path = Path(self._what)
        if self._what.isdecimal():
            pids = _tree(int(self._what))
            return Weight(sum(map(_proportional_bytes, pids)), sum(map(_descriptors, pids)))
        if path.is_dir():
            pids = [int(line) for line in (path / "cgroup.procs").read_text(encoding="ascii").split()]
            return Weight(_held_bytes(path), sum(map(_descriptors, pids)))
        return Weight(int(path.read_text(encoding="ascii")), 0)

    def told(self) -> dict[str, object]:
        """Tell it for the report."""
        return {
            "server_memory_bytes_peak": max((one.bytes for one in self.seconds), default=0),
            "server_descriptors_peak": max((one.descriptors for one in self.seconds), default=0),
            "server_seconds": [one._asdict() for one in self.seconds],
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
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)


def _held_bytes(group: Path) -> int:
    stat = dict(_numbers(group / "memory.stat"))
    if "total_rss" in stat:  # version 1
        return stat["total_rss"] + stat["total_shmem"]
    return stat["anon"] + stat["shmem"]


def _numbers(path: Path) -> Iterator[tuple[str, int]]:
    for line in path.read_text(encoding="ascii").splitlines():
        name, number = line.split()
        yield name, int(number)


def _descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
