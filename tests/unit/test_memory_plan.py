"""What is made of a limit, of `--memory` and of what lies where the cache's file is to be."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendify import _core
from backendify.app import plan_at, plan_memory
from backendify.cache_file import Place, look_at
from backendify.memory import CONNECTION_BYTES, FETCH_BYTES, KIB, MIB, WAITER_BYTES, Limit, NotEnoughMemory
from backendify.settings import Settings
from cgroups import lay_out

SHM = Path("/dev/shm")  # noqa: S108 - where tests find a tmpfs


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """The path of a cache file in a tmpfs."""
    if not SHM.is_dir() or not _core.is_memory(os.fspath(SHM)) or not os.access(SHM, os.W_OK):
        pytest.skip("NOT TESTED: a cache in memory, because there is no tmpfs at /dev/shm")
    with tempfile.TemporaryDirectory(prefix="backendify-test-", dir=SHM) as folder:
        yield Path(folder) / "cache"


@pytest.mark.parametrize("name", ["v1-docker-private", "v2-docker-private"])
def test_a_limit_that_is_found_holds_whatever_is_asked_for(
    name: str, tmp_path: Path, in_memory: Path
) -> None:
    root = lay_out(name, tmp_path)
    found = plan_memory(Settings(), in_memory, root)
    asked = plan_memory(Settings(memory_bytes=1024 * MIB), in_memory, root)
    assert asked.limit.bytes == 128 * MIB
    assert asked.region_bytes == found.region_bytes
    assert asked.line().startswith(f"memory: limit 128M ({found.limit.source}, under --memory 1G): ")


def test_less_than_is_found_may_be_asked_for(tmp_path: Path, in_memory: Path) -> None:
    root = lay_out("v2-docker-private", tmp_path)
    asked = plan_memory(Settings(memory_bytes=100 * MIB), in_memory, root)
    assert asked.limit.bytes == 100 * MIB
    assert asked.line().startswith("memory: limit 100M (--memory, under 128M of /sys/fs/cgroup/memory.max): ")
    as_found = plan_memory(Settings(memory_bytes=128 * MIB), in_memory, root)
    assert as_found.line().startswith("memory: limit 128M (/sys/fs/cgroup/memory.max): ")


def test_what_is_asked_for_counts_where_nothing_is_found(tmp_path: Path, in_memory: Path) -> None:
    asked = plan_memory(Settings(memory_bytes=100 * MIB), in_memory, tmp_path)
    assert asked.line().startswith("memory: limit 100M (--memory): ")


def machine(total_bytes: int, root: Path) -> Path:
    """Lay out a machine without control groups."""
    (root / "proc").mkdir()
    (root / "proc/meminfo").write_text(f"MemTotal:        {total_bytes // KIB} kB\n")
    return root


@pytest.mark.parametrize(
    ("total_mib", "workers", "cache_mib"),
    [(96, 1, 26), (110, 1, 34), (120, 1, 39), (192, 2, 38), (4_096, 1, 64)],
)
def test_a_small_machine_has_the_cache_that_fits_it(
    total_mib: int, workers: int, cache_mib: int, tmp_path: Path, in_memory: Path
) -> None:
    root = machine(total_mib * MIB, tmp_path)
    # Or less, where the tmpfs is small.
    assert MIB <= plan_memory(Settings(workers=workers), in_memory, root).region_bytes <= cache_mib * MIB
    roomy = Place(is_memory=True)
    limit = Limit(total_mib * MIB, "physical memory")
    assert plan_at(roomy, limit, Settings(workers=workers)).region_bytes == cache_mib * MIB
    with pytest.raises(NotEnoughMemory, match="a cache of 1G in memory does not fit"):
        plan_at(roomy, Limit(256 * MIB, "a test"), Settings(cache_bytes=1024 * MIB))


CONTAINER = Limit(128 * MIB, "/sys/fs/cgroup/memory.max")


@pytest.mark.parametrize(
    ("free_mib", "in_memory", "cache_mib"),
    [
        (None, False, 800),
        (10_000, False, 800),
        (1_066, False, 799),
        (400, False, 300),
        (1, False, 1),
        (0, False, 1),  # and the region says that there is no room
        (None, True, 44),
        (64, True, 44),
        (48, True, 36),
    ],
)
def test_a_cache_that_nobody_gave_a_size_leaves_a_quarter_of_what_is_free(
    free_mib: int | None, cache_mib: int, *, in_memory: bool
) -> None:
    place = Place(is_memory=in_memory, free_bytes=None if free_mib is None else free_mib * MIB)
    assert plan_at(place, CONTAINER, Settings()).region_bytes == cache_mib * MIB
    asked = Settings(cache_bytes=60 * MIB)
    assert plan_at(place, CONTAINER, asked).region_bytes == 60 * MIB, (
        "then the region says what room there is"
    )


@pytest.mark.parametrize(
    ("file_mib", "cache_mib"), [(0, 300), (224, 300), (225, 225), (290, 290), (375, 375), (376, 300)]
)
def test_a_file_of_nearly_the_right_size_is_kept(file_mib: int, cache_mib: int) -> None:
    place = Place(is_memory=False, file_bytes=file_mib * MIB, free_bytes=400 * MIB)
    assert plan_at(place, CONTAINER, Settings()).region_bytes == cache_mib * MIB
    asked = Settings(cache_bytes=310 * MIB)
    assert plan_at(place, CONTAINER, asked).region_bytes == 310 * MIB


@pytest.mark.parametrize("total_mib", [52, 53, 54, 60, 128, 1_024])
def test_a_file_that_is_kept_fits(total_mib: int) -> None:
    """One a little too large for the limit is made anew, whatever it holds."""
    limit = Limit(total_mib * MIB, "a test")
    for file_mib in range(600):
        place = Place(is_memory=True, file_bytes=file_mib * MIB)
        made = plan_at(place, limit, Settings())
        assert made.fetches_max >= 8
        assert made.headroom_bytes * 10 >= total_mib * MIB


def test_what_is_there_counts_as_room_for_itself(tmp_path: Path) -> None:
    nothing = look_at(tmp_path / "cache")
    assert (nothing.file_bytes, nothing.taken_bytes) == (0, 0)
    (tmp_path / "cache").write_bytes(b"x" * 4 * MIB)
    os.truncate(tmp_path / "cache", 6 * MIB)
    with (tmp_path / "cache").open() as file:
        os.fsync(file.fileno())
    found = look_at(tmp_path / "cache")
    assert found.file_bytes == 6 * MIB
    assert 4 * MIB <= found.taken_bytes < 5 * MIB
    (tmp_path / "link").symlink_to(tmp_path / "cache")
    assert look_at(tmp_path / "link").file_bytes == 0, "the region does not follow it"


STATS = {
    "v1-docker-private": "sys/fs/cgroup/memory/memory.stat",
    "v2-docker-private": "sys/fs/cgroup/memory.stat",
}


def hold(root: Path, stat: str, held_bytes: int) -> None:
    """Have the group hold so much in a tmpfs, and a lot of a disk's pages, which the kernel drops when it must."""
    text = (root / stat).read_text()
    for name in ("shmem", "total_shmem"):
        text = text.replace(f"{name} 0", f"{name} {held_bytes}")
    for name in ("cache 2080768", "file 0"):
        text = text.replace(name, f"{name.split()[0]} {100 * MIB + held_bytes}")
    (root / stat).write_text(text)


@pytest.mark.parametrize("name", STATS)
def test_what_the_group_holds_in_a_tmpfs_is_not_free(name: str, tmp_path: Path, in_memory: Path) -> None:
    """The cache of a service on another port, in a container of 128 MB: together they stay under it."""
    root = lay_out(name, tmp_path)
    hold(root, STATS[name], 44 * MIB)
    made = plan_memory(Settings(), in_memory, root)
    assert made.region_bytes < 20 * MIB
    assert made.line().startswith(
        f"memory: limit 128M ({made.limit.source}), 44M of it held already (tmpfs): "
    )
    parts = made.base_bytes + made.region_bytes + 44 * MIB + made.headroom_bytes
    parts += made.fetches_max * FETCH_BYTES + made.connections_max * CONNECTION_BYTES
    parts += made.waiters_max * WAITER_BYTES
    assert parts == 128 * MIB
    assert made.headroom_bytes * 10 >= 128 * MIB


@pytest.mark.parametrize("name", STATS)
def test_a_restart_finds_the_file_it_left_and_its_size(name: str, tmp_path: Path, in_memory: Path) -> None:
    root = lay_out(name, tmp_path)
    first = plan_memory(Settings(), in_memory, root)
    in_memory.write_bytes(b"x" * first.region_bytes)
    for others_bytes in (0, 4_096, 3 * MIB):
        root = lay_out(name, tmp_path)
        hold(root, STATS[name], first.region_bytes + others_bytes)
        again = plan_memory(Settings(), in_memory, root)
        assert again.limit.held_bytes == others_bytes
        assert again.region_bytes == first.region_bytes
    assert "3M of it held already" in again.line()
