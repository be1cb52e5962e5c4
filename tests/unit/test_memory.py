"""Limits in recorded trees of control groups, and what the plan makes of them."""

from dataclasses import asdict
from pathlib import Path

import pytest

from backendify.memory import (
    BASE_BYTES,
    CONNECTION_BYTES,
    FETCH_BYTES,
    KIB,
    MIB,
    WAITER_BYTES,
    Limit,
    NotEnoughMemory,
    find_limit,
    plan,
    rss_bytes,
    size_text,
)
from cgroups import RECORDED, lay_out

POD = "/sys/fs/cgroup/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod5a0f.slice"
MACHINE = Limit(996_624 * KIB, "physical memory")


LIMITS = {
    "v1-docker-host": Limit(128 * MIB, "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "v1-docker-private": Limit(128 * MIB, "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    # The pod allows less than the container, and only the hierarchical limit shows it from inside.
    "v1-kubernetes-pod": Limit(192 * MIB, "/sys/fs/cgroup/memory/memory.stat"),
    "v1-kubernetes-node": Limit(
        192 * MIB, "/sys/fs/cgroup/memory/kubepods/burstable/pod5a0f/77aa/memory.stat"
    ),
    "v1-unlimited": MACHINE,
    "v2-nested-parent": Limit(96 * MIB, "/sys/fs/cgroup/system.slice/memory.max"),
    "v2-high": Limit(160 * MIB, "/sys/fs/cgroup/system.slice/backendify.service/memory.high"),
    "v2-docker-host": Limit(128 * MIB, "/sys/fs/cgroup/memory.max"),
    "v2-docker-private": Limit(128 * MIB, "/sys/fs/cgroup/memory.max"),
    "v2-kubernetes-node": Limit(192 * MIB, f"{POD}/memory.max"),
    # Here nothing shows the pod's 192M: a private namespace of v2 hides what lies above.
    "v2-kubernetes-private": Limit(256 * MIB, "/sys/fs/cgroup/memory.max"),
    "v2-unlimited": MACHINE,
}


def test_every_recording_is_used() -> None:
    assert {path.stem for path in RECORDED.glob("*.txt")} == set(LIMITS)


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name: str, tmp_path: Path) -> None:
    assert find_limit(lay_out(name, tmp_path)) == LIMITS[name]


HELD = {
    "v1-docker-private": "memory",
    "v1-kubernetes-node": "memory/kubepods/burstable/pod5a0f/77aa",
    "v2-high": "system.slice/backendify.service",
    "v2-docker-private": ".",
}


@pytest.mark.parametrize("name", HELD)
def test_what_a_group_holds(name: str, tmp_path: Path) -> None:
    root = lay_out(name, tmp_path)
    assert find_limit(root).held_bytes == 0, "of a process's own, or of a disk"
    stat = root / "sys/fs/cgroup" / HELD[name] / "memory.stat"
    stat.write_text(stat.read_text().replace("shmem 0", "shmem 4096"))
    assert find_limit(root).held_bytes == 4_096


def test_a_group_that_is_full_counts_before_a_smaller_one(tmp_path: Path) -> None:
    root = lay_out("v2-nested-parent", tmp_path)
    stat = root / "sys/fs/cgroup/system.slice/memory.stat"
    assert find_limit(root) == LIMITS["v2-nested-parent"]
    above = root / "sys/fs/cgroup"
    (above / "memory.max").write_text(f"{128 * MIB}\n")
    (above / "memory.stat").write_text(f"shmem {40 * MIB}\n")
    assert find_limit(root) == Limit(128 * MIB, "/sys/fs/cgroup/memory.max", 40 * MIB)
    stat.write_text(f"shmem {10 * MIB}\n")
    assert find_limit(root).bytes == 96 * MIB


def test_a_lower_limit_further_up_counts(tmp_path: Path) -> None:
    root = lay_out("v2-kubernetes-node", tmp_path)
    (root / "sys/fs/cgroup/kubepods.slice/memory.max").write_text("67108864\n")
    assert find_limit(root) == Limit(64 * MIB, "/sys/fs/cgroup/kubepods.slice/memory.max")


def test_another_groups_limit_does_not_count(tmp_path: Path) -> None:
    """What lies in a container under the name its group has outside is a child's, not its own."""
    root = lay_out("v2-docker-host", tmp_path)
    (root / "sys/fs/cgroup/docker").mkdir()
    (root / "sys/fs/cgroup/docker/memory.max").write_text("1048576\n")
    assert find_limit(root).bytes == 128 * MIB


def test_a_group_outside_of_the_namespace_is_not_looked_for(tmp_path: Path) -> None:
    root = lay_out("v2-docker-private", tmp_path)
    (root / "proc/self/cgroup").write_text("0::/../sibling\n")
    assert find_limit(root) == LIMITS["v2-docker-private"]


def test_where_nothing_tells(tmp_path: Path) -> None:
    assert find_limit(tmp_path) == Limit(None, "assuming 128M")
    assert rss_bytes(tmp_path) == 0
    assert plan(find_limit(tmp_path), cache_size=None, region_is_memory=True).fetches_max == 468


@pytest.mark.parametrize("text", ["", "max", "-1", "1e9", "\0\xff", "12 34"])
def test_a_limit_that_is_no_number_is_none(text: str, tmp_path: Path) -> None:
    root = lay_out("v2-docker-private", tmp_path)
    (root / "sys/fs/cgroup/memory.max").write_text(text)
    assert find_limit(root) == MACHINE


@pytest.mark.parametrize("text", ["", "0", "0:", "::::", "9:memory", "0::", "\0", "a b - c"])
def test_nonsense_about_groups_is_no_group(text: str, tmp_path: Path) -> None:
    for name in ("cgroup", "mountinfo"):
        root = lay_out("v1-docker-private", tmp_path / name)
        (root / "proc/self" / name).write_text(text)
        assert find_limit(root) in (MACHINE_OF_DOCKER, LIMITS["v1-docker-private"])


MACHINE_OF_DOCKER = Limit(24_684_084 * KIB, "physical memory")


def test_of_this_process() -> None:
    """The kernel's own files: 32 MiB more are seen, a limit is found."""
    before = rss_bytes()
    held = bytearray(32 * MIB)
    held[:: 4 * KIB] = b"x" * (32 * MIB // (4 * KIB))
    assert rss_bytes() - before >= 30 * MIB
    assert (find_limit().bytes or 0) > 32 * MIB


# limit, workers, cache asked for, in memory -> cache, connections, waiters, fetches
PLANS = [
    (53 * MIB, 1, None, True, (1 * MIB, 60, 39, 30)),
    (64 * MIB, 1, None, True, (7 * MIB, 200, 132, 100)),
    (128 * MIB, 1, None, True, (44 * MIB, 936, 617, 468)),
    (128 * MIB, 1, None, False, (800 * MIB, 936, 617, 468)),
    (128 * MIB, 1, 64 * MIB, True, (64 * MIB, 220, 145, 110)),
    (128 * MIB, 1, 10 * MIB, True, (10 * MIB, 2_152, 1_420, 1_024)),
    (128 * MIB, 1, 3 * 1024 * MIB, False, (3 * 1024 * MIB, 936, 617, 468)),
    (256 * MIB, 1, None, True, (102 * MIB, 2_980, 1_966, 1_024)),
    (256 * MIB, 2, None, True, (74 * MIB, 1_586, 1_046, 793)),
    (1024 * MIB, 1, None, True, (409 * MIB, 16_384, 10_813, 1_024)),
    (64 * 1024 * MIB, 1, None, True, (800 * MIB, 16_384, 10_813, 1_024)),
]


@pytest.mark.parametrize(("limit_bytes", "workers", "cache_size", "in_memory", "expected"), PLANS)
def test_plans(
    limit_bytes: int, workers: int, cache_size: int | None, expected: tuple[int, ...], *, in_memory: bool
) -> None:
    limit = Limit(limit_bytes, "a test")
    made = plan(limit, cache_size=cache_size, region_is_memory=in_memory, workers=workers)
    assert (made.region_bytes, made.connections_max, made.waiters_max, made.fetches_max) == expected


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_every_plan_adds_up_and_keeps_its_headroom(workers: int, *, in_memory: bool) -> None:
    planned = 0
    for limit_mib in range(1, 2_048, 3):
        limit = Limit(limit_mib * MIB + 4_095, "a test")
        try:
            made = plan(limit, cache_size=None, region_is_memory=in_memory, workers=workers)
        except NotEnoughMemory:
            assert planned == 0, "a larger limit never holds less"
            continue
        planned += 1
        region = made.region_bytes if in_memory else 0
        assert limit.bytes is not None
        parts = made.fetches_max * FETCH_BYTES + made.connections_max * CONNECTION_BYTES
        parts += made.waiters_max * WAITER_BYTES
        assert made.base_bytes + region + parts + made.headroom_bytes == limit.bytes
        assert made.headroom_bytes * 10 >= limit.bytes
        assert made.fetches_max >= 8
        assert 8 <= made.waiters_max * 3 <= made.connections_max * 2
        assert made.base_bytes >= workers * BASE_BYTES
        assert made.region_bytes >= MIB
    assert planned > 0


@pytest.mark.parametrize(
    ("held_mib", "cache_size", "says"),
    [
        (
            70,
            None,
            "a memory limit of 128M (a test), 70M of it held already (tmpfs) is too small: the service needs ",
        ),
        (60, 20 * MIB, "fit a memory limit of 128M (a test), 60M of it held already (tmpfs): 9.7M at most, "),
    ],
)
def test_refusals_say_what_is_held_already(held_mib: int, cache_size: int | None, says: str) -> None:
    limit = Limit(128 * MIB, "a test", held_mib * MIB)
    with pytest.raises(NotEnoughMemory) as raised:
        plan(limit, cache_size=cache_size, region_is_memory=True)
    assert says in str(raised.value)


TOO_SMALL = "a memory limit of {} (--memory) is too small: the service needs {} at least"
TOO_LARGE = "a cache of 100M in memory does not fit a memory limit of 128M (--memory): 69M at most, {}"


@pytest.mark.parametrize(
    ("limit_mib", "workers", "cache_size", "says"),
    [
        (48, 1, None, TOO_SMALL.format("48M", "52M")),
        (0, 1, None, TOO_SMALL.format("0", "52M")),
        (64, 2, None, TOO_SMALL.format("64M", "127M")),
        (128, 1, 100 * MIB, TOO_LARGE.format("more on a disk or with a higher limit")),
    ],
)
def test_what_cannot_hold_is_refused(limit_mib: int, workers: int, cache_size: int | None, says: str) -> None:
    with pytest.raises(NotEnoughMemory) as raised:
        plan(
            Limit(limit_mib * MIB, "--memory"), cache_size=cache_size, region_is_memory=True, workers=workers
        )
    assert str(raised.value) == says


def test_what_a_refusal_offers_holds() -> None:
    plan(Limit(52 * MIB, "a test"), cache_size=None, region_is_memory=True)
    plan(Limit(127 * MIB, "a test"), cache_size=None, region_is_memory=True, workers=2)
    plan(Limit(128 * MIB, "a test"), cache_size=69 * MIB, region_is_memory=True)


def test_one_line_says_what_was_found_and_chosen() -> None:
    found = Limit(128 * MIB, "/sys/fs/cgroup/memory.max")
    made = plan(found, cache_size=None, region_is_memory=True)
    assert made.line() == (
        "memory: limit 128M (/sys/fs/cgroup/memory.max): 45M service, 44M cache in memory, 936 connections, "
        "617 waiting customers, 468 fetches, 12M headroom"
    )
    unknown = plan(Limit(None, "assuming 128M"), cache_size=None, region_is_memory=False)
    assert unknown.line().startswith(
        "memory: no limit found (assuming 128M): 45M service, 800M cache on disk, "
    )
    assert asdict(unknown)["limit"] == {"bytes": None, "source": "assuming 128M", "held_bytes": 0}


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1024, "1K"),
        (1536, "1.5K"),
        (MIB - 1, "1023K"),
        (64 * MIB, "64M"),
        (1536 * MIB, "1.5G"),
    ],
)
def test_sizes_are_written_as_users_do(size: int, text: str) -> None:
    assert size_text(size) == text
