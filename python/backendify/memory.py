"""How much memory there is, how much is in use, and what is made of it: the plan.

The plan is shared out once, at start, and nothing grows past it: a process that a kernel kills for its memory
answers nobody. Units are bytes; texts write them as users do, `64M` for 64 MiB.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    held_bytes: int = 0
    """What its group already holds in tmpfs and shared memory: nobody is sure to give it back."""

    def text(self) -> str:
        """Say the limit, where it is from, and what is left of it."""
        size = ASSUMED_LIMIT_BYTES if self.bytes is None else self.bytes
        held = f", {size_text(self.held_bytes)} of it held already (tmpfs)" if self.held_bytes >= MIB else ""
        return f"{size_text(size)} ({self.source}){held}"


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
        limit = (
            f"no limit found ({self.limit.source})"
            if self.limit.bytes is None
            else f"limit {self.limit.text()}"
        )
        place = "in memory" if self.region_is_memory else "on disk"
        return (
            f"memory: {limit}: {size_text(self.base_bytes)} service, "
            f"{size_text(self.region_bytes)} cache {place}, {self.connections_max} connections, "
            f"{self.waiters_max} waiting customers, {self.fetches_max} fetches, "
            f"{size_text(self.headroom_bytes)} headroom"
        )


def plan(  # noqa: PLR0913 - each is one fact, and named
    limit: Limit,
    *,
    cache_size: int | None,
    region_is_memory: bool,
    workers: int = 1,
    auto_bytes_max: int = REGION_BYTES_MAX,
    file_bytes: int = 0,
) -> Plan:
    """Share a limit out. `cache_size` is the region's size in bytes, none to choose one of `auto_bytes_max` at most.

    `file_bytes` is the size of the file that is there: it is kept where it is nearly what would be chosen.
    :class:`NotEnoughMemory` when the parts cannot have what they need at least.
    """
    limit_bytes = ASSUMED_LIMIT_BYTES if limit.bytes is None else limit.bytes
    base_bytes = BASE_BYTES if workers == 1 else SUPERVISOR_BYTES + workers * BASE_BYTES
    left = limit_bytes - limit.held_bytes - base_bytes - limit_bytes * HEADROOM_PERCENT // 100
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
        region_bytes = min(for_region, auto_bytes_max) if region_is_memory else auto_bytes_max
        region_bytes = max(region_bytes // MIB * MIB, REGION_BYTES_MIN)
        if _is_near(file_bytes, region_bytes) and (not region_is_memory or file_bytes <= for_region_max):
            region_bytes = file_bytes
    if region_is_memory:
        for_region = region_bytes
        if for_region > for_region_max:
            raise NotEnoughMemory(_too_large(region_bytes, for_region_max, limit))

    shares = (left - for_region) // SHARE_BYTES
    fetches_max = min(shares, FETCHES_MAX)
    connections_max = min(CONNECTIONS_PER_FETCH * shares, CONNECTIONS_MAX)
    waiters_max = connections_max * WAITERS_PERCENT // 100
    taken = limit.held_bytes + base_bytes + (region_bytes if region_is_memory else 0)
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


def _is_near(file_bytes: int, chosen_bytes: int) -> bool:
    """Whether a file that is there is at most a quarter off: room varies, and a new size loses all that it holds."""
    return max(REGION_BYTES_MIN, chosen_bytes * 3 // 4) <= file_bytes <= chosen_bytes * 5 // 4


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
    Lowest is what leaves least beside what is held already. That is `shmem` and nothing else: what a group has of a
    disk's pages is the kernel's to drop, and what it has of its own comes and goes with its processes.
    `root` is where `proc` and `sys` are.
    """
    limits = [limit for folder in _groups(root) for limit in _limits(folder, root)]
    meminfo = _fields(root / "proc/meminfo")
    if "MemTotal:" in meminfo:
        limits.append((meminfo["MemTotal:"] * KIB, PHYSICAL_MEMORY, meminfo.get("Shmem:", 0) * KIB))
    if not limits:
        return Limit(None, f"assuming {size_text(ASSUMED_LIMIT_BYTES)}")
    return Limit(*min(limits, key=lambda limit: limit[0] - limit[2]))


def at_most(found: Limit, asked_bytes: int) -> Limit:
    """Take the lower of the limit that is found and the one that is asked for with `--memory`.

    The kernel holds to its own, whatever is asked for: a plan for more is a process that it kills.
    """
    if found.bytes is None:
        return Limit(asked_bytes, "--memory")
    if found.bytes < asked_bytes:
        return replace(found, source=f"{found.source}, under --memory {size_text(asked_bytes)}")
    if found.bytes > asked_bytes:
        return Limit(
            asked_bytes,
            f"--memory, under {size_text(found.bytes)} of {found.source}",
            held_bytes=max(0, found.held_bytes - (found.bytes - asked_bytes)),
        )
    return found


def rss_bytes(root: Path = ROOT) -> int:
    """Measure this process's resident memory, shared and file pages included; 0 where nothing tells."""
    fields = _read(root / "proc/self/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") if len(fields) > 1 else 0


def _too_small(limit: Limit, limit_bytes: int, *, short_bytes: int) -> str:
    needed = limit_bytes + -(-short_bytes * 100 // (100 - HEADROOM_PERCENT))
    needed = -(-needed // MIB) * MIB
    return f"a memory limit of {limit.text()} is too small: the service needs {size_text(needed)} at least"


def _too_large(region_bytes: int, region_bytes_max: int, limit: Limit) -> str:
    return (
        f"a cache of {size_text(region_bytes)} in memory does not fit a memory limit of "
        f"{limit.text()}: {size_text(region_bytes_max)} at most, "
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


def _limits(folder: Path, root: Path) -> Iterator[tuple[int, str, int]]:
    """Yield what a group allows, the file that says so, and what the group holds in tmpfs and shared memory."""
    place = f"/{folder.relative_to(root)}"
    stat = _fields(folder / "memory.stat")
    held_bytes = stat.get(
        "total_shmem", stat.get("shmem", 0)
    )  # v1 counts a group's children apart, v2 does not
    for name in ("memory.max", "memory.high", "memory.limit_in_bytes"):
        text = _read(folder / name).strip()
        if text.isdecimal():  # `max` is none
            yield int(text), f"{place}/{name}", held_bytes
    if "hierarchical_memory_limit" in stat:
        yield stat["hierarchical_memory_limit"], f"{place}/memory.stat", held_bytes


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
