"""How much memory there is, how much is in use, and what is made of it: the plan.

The plan is shared out once, at start, and nothing grows past it: a process that a kernel kills for its memory
answers nobody. Units are bytes; texts write them as users do, `64M` for 64 MiB.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path, PurePosixPath
from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB

ROOT: Final = Path("/")

ASSUMED_LIMIT_BYTES: Final = 128 * MIB  # where nothing tells: the smallest container that is meant to work

# Measured with CPython 3.11 and Granian 2.8, resident bytes.
BASE_BYTES: Final = 45 * MIB  # one worker that serves: interpreter, server, client
SUPERVISOR_BYTES: Final = 22 * MIB  # Granian's parent of several workers
CONNECTION_BYTES: Final = 20 * KIB  # 13 KiB once it has asked; storms take more, and the allocator keeps it
WAITER_BYTES: Final = 4 * KIB  # a customer who waits for a registry, over his connection: 2.3 KiB
FETCH_BYTES: Final = 12 * KIB  # a try under way, its connection included: 8.2 KiB

# A fetch brings room for two connections: most questions are asked by more than one. Two of three may wait: Granian
# accepts nobody once all are taken, so waiters are shed before, or hits and /status would have to wait with them.
CONNECTIONS_PER_FETCH: Final = 2
WAITERS_PERCENT: Final = 66
SHARE_BYTES: Final = (
    FETCH_BYTES + CONNECTIONS_PER_FETCH * (100 * CONNECTION_BYTES + WAITERS_PERCENT * WAITER_BYTES) // 100
)
FETCHES_MIN: Final = 8
FETCHES_MAX: Final = 1024  # registries that are slow and unreliable are not helped by more
CONNECTIONS_MAX: Final = 16_384  # one core serves no more

HEADROOM_PERCENT: Final = 10
REGION_PERCENT_OF_LIMIT: Final = 40
REGION_PERCENT_OF_LEFT: Final = 63  # binds in small containers, where the base weighs most
REGION_BYTES_MIN: Final = 1 * MIB
REGION_BYTES_MAX: Final = 800 * MIB  # by itself; some twenty million companies. More is for the user to say


PHYSICAL_MEMORY = "physical memory"


class NotEnoughMemory(ValueError):  # noqa: N818 - it reads as what it is: `raise NotEnoughMemory`
    """What was asked for cannot hold; the text says what, by how much, and what would."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What the kernel, or the user, allows."""

    bytes: int | None
    """None where nothing tells."""
    source: str
    """A file, an option, or words: where this was found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What each part may take; counts are over all workers together."""

    limit: Limit
    base_bytes: int
    region_bytes: int
    region_is_memory: bool
    """Whether the region's pages count as memory (tmpfs), or are the kernel's to drop (a disk)."""
    connections_max: int
    waiters_max: int
    fetches_max: int
    headroom_bytes: int
    """What nobody was given; with a region on a disk, also what the kernel may cache of it."""

    def line(self) -> str:
        """Say in one line what was found and what was chosen."""
        limit = "no limit found" if self.limit.bytes is None else f"limit {size_text(self.limit.bytes)}"
        place = "in memory" if self.region_is_memory else "on disk"
        return (
            f"memory: {limit} ({self.limit.source}): {size_text(self.base_bytes)} service, "
            f"{size_text(self.region_bytes)} cache {place}, {self.connections_max} connections, "
            f"{self.waiters_max} waiting customers, {self.fetches_max} fetches, "
            f"{size_text(self.headroom_bytes)} headroom"
        )


def plan(limit: Limit, *, cache_size: int | None, region_is_memory: bool, workers: int = 1) -> Plan:
    """Share a limit out. `cache_size` is the region's size in bytes, none to choose one.

    :class:`NotEnoughMemory` when the parts cannot have what they need at least.
    """
    limit_bytes = ASSUMED_LIMIT_BYTES if limit.bytes is None else limit.bytes
    base_bytes = BASE_BYTES if workers == 1 else SUPERVISOR_BYTES + workers * BASE_BYTES
    left = limit_bytes - base_bytes - limit_bytes * HEADROOM_PERCENT // 100
    for_region_max = left - FETCHES_MIN * SHARE_BYTES
    if for_region_max < REGION_BYTES_MIN:
        raise NotEnoughMemory(_too_small(limit, limit_bytes, short_bytes=REGION_BYTES_MIN - for_region_max))

    # On a disk, the kernel is left as much to cache the region's pages as the region would take in memory.
    for_region = min(
        limit_bytes * REGION_PERCENT_OF_LIMIT // 100,
        left * REGION_PERCENT_OF_LEFT // 100,
        for_region_max,
        REGION_BYTES_MAX,
    )
    for_region = max(for_region // MIB * MIB, REGION_BYTES_MIN)
    region_bytes = cache_size
    if region_bytes is None:
        region_bytes = for_region if region_is_memory else REGION_BYTES_MAX
    if region_is_memory:
        for_region = region_bytes
        if for_region > for_region_max:
            raise NotEnoughMemory(_too_large(region_bytes, for_region_max, limit, limit_bytes))

    shares = (left - for_region) // SHARE_BYTES
    fetches_max = min(shares, FETCHES_MAX)
    connections_max = min(CONNECTIONS_PER_FETCH * shares, CONNECTIONS_MAX)
    waiters_max = connections_max * WAITERS_PERCENT // 100
    taken = base_bytes + (region_bytes if region_is_memory else 0)
    taken += fetches_max * FETCH_BYTES + connections_max * CONNECTION_BYTES + waiters_max * WAITER_BYTES
    return Plan(
        limit=limit,
        base_bytes=base_bytes,
        region_bytes=region_bytes,
        region_is_memory=region_is_memory,
        connections_max=connections_max,
        waiters_max=waiters_max,
        fetches_max=fetches_max,
        headroom_bytes=limit_bytes - taken,
    )


def size_text(size: int) -> str:
    """Write a size as users do, rounded down: `64M`, `1.5G`, `800K`."""
    for unit, name in ((1024 * MIB, "G"), (MIB, "M"), (KIB, "K")):
        if size >= unit:
            whole, tenth = divmod(size * 10 // unit, 10)
            return f"{whole}.{tenth}{name}" if tenth and whole < 10 else f"{whole}{name}"  # noqa: PLR2004
    return str(size)


def find_limit(root: Path = ROOT) -> Limit:
    """Find the lowest of what this process's control groups allow, up to the root, and physical memory.

    v1: `memory.limit_in_bytes`, and `hierarchical_memory_limit`, which knows of groups that a container
    cannot see. v2: `memory.max`, and `memory.high`, over which the kernel slows a group down more and more.
    `root` is where `proc` and `sys` are.
    """
    limits = [limit for folder in _groups(root) for limit in _limits(folder, root)]
    meminfo = _fields(root / "proc/meminfo")
    if "MemTotal:" in meminfo:
        limits.append((meminfo["MemTotal:"] * KIB, PHYSICAL_MEMORY))
    if not limits:
        return Limit(None, f"assuming {size_text(ASSUMED_LIMIT_BYTES)}")
    return Limit(*min(limits, key=itemgetter(0)))


def current_bytes(root: Path = ROOT) -> int:
    """Count what this process's control group holds that the kernel cannot drop: anonymous and shared.

    It is what brings the OOM killer. Every process of the group counts; without a group, this one alone.
    """
    for folder in _groups(root):
        stat = _fields(folder / "memory.stat")
        for anonymous, shared in (("anon", "shmem"), ("total_rss", "total_shmem")):  # v2, v1
            if anonymous in stat:
                return stat[anonymous] + stat.get(shared, 0)
    return rss_bytes(root)


def rss_bytes(root: Path = ROOT) -> int:
    """Measure this process's resident memory, shared and file pages included; 0 where nothing tells."""
    fields = _read(root / "proc/self/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def _too_small(limit: Limit, limit_bytes: int, *, short_bytes: int) -> str:
    needed = limit_bytes + -(-short_bytes * 100 // (100 - HEADROOM_PERCENT))
    needed = -(-needed // MIB) * MIB
    return (
        f"a memory limit of {size_text(limit_bytes)} ({limit.source}) is too small: "
        f"the service needs {size_text(needed)} at least"
    )


def _too_large(region_bytes: int, region_bytes_max: int, limit: Limit, limit_bytes: int) -> str:
    return (
        f"a cache of {size_text(region_bytes)} in memory does not fit a memory limit of "
        f"{size_text(limit_bytes)} ({limit.source}): {size_text(region_bytes_max)} at most, "
        f"more on a disk or with a higher limit"
    )


def _groups(root: Path) -> Iterator[Path]:
    """Name the folders of this process's control groups: its own first, then upwards as far as one sees."""
    paths: dict[str, PurePosixPath] = {}
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number == "0" and not controllers:
            paths["cgroup2"] = PurePosixPath(path)
        elif "memory" in controllers.split(","):
            paths["cgroup"] = PurePosixPath(path)
    for line in _read(root / "proc/self/mountinfo").splitlines():  # proc_pid_mountinfo(5)
        mount, _, system = line.partition(" - ")
        mount_fields, system_fields = mount.split(), system.split()
        if len(mount_fields) < 5 or len(system_fields) < 3:  # noqa: PLR2004
            continue
        kind, options = system_fields[0], system_fields[2]
        if kind not in paths or (kind == "cgroup" and "memory" not in options.split(",")):
            continue
        top, mounted = PurePosixPath(mount_fields[3]), root / mount_fields[4].lstrip("/")
        # A container may see no more of the tree than its own group, mounted as if it were the root.
        inside = paths[kind].relative_to(top) if paths[kind].is_relative_to(top) else PurePosixPath()
        if ".." in inside.parts:
            inside = PurePosixPath()
        for group in (inside, *inside.parents):
            yield mounted / group


def _limits(folder: Path, root: Path) -> Iterator[tuple[int, str]]:
    """Yield what a group allows, and the file that says so."""
    place = f"/{folder.relative_to(root)}"
    for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
        text = _read(folder / name).strip()
        if text.isdecimal():  # `max` is none
            yield int(text), f"{place}/{name}"
    stat = _fields(folder / "memory.stat")
    if "hierarchical_memory_limit" in stat:
        yield stat["hierarchical_memory_limit"], f"{place}/memory.stat"


def _fields(path: Path) -> dict[str, int]:
    """Read a file of lines such as `anon 4096`."""
    rows = (line.split() for line in _read(path).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal()}


def _read(path: Path) -> str:
    """Read a small file of the kernel's; what is missing or forbidden is empty."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
