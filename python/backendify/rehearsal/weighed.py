"""How much memory a server takes: its processes', or its control group's."""

import os
from pathlib import Path


class Scales:
    """Weighs a process and those it started, or, for a file, reads the bytes in it (cgroup's memory.current)."""

    def __init__(self, what: str) -> None:
        self._what = what
        self.peak_bytes = 0

    def weigh(self) -> int:
        """Weigh now, in bytes; 0 when there is nothing to weigh any more."""
        try:
            if self._what.isdecimal():
                now = sum(_proportional_bytes(pid) for pid in _tree(int(self._what)))
            else:
                now = int(Path(self._what).read_text(encoding="ascii"))
        except (OSError, ValueError):
            now = 0
        self.peak_bytes = max(self.peak_bytes, now)
        return now


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:  # grows while it is walked: each process is followed by its children
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text(encoding="ascii").split())
    return found


def _proportional_bytes(pid: int) -> int:
    """Read Pss: what several processes share is counted once (proc(5), `smaps_rollup`)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    except PermissionError:
        resident = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
        return int(resident) * os.sysconf("SC_PAGE_SIZE")
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:")), 0)
