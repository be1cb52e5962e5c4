"""What is made of a limit, of `--memory` and of what lies where the cache's file is to be."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendify import _core
from backendify.app import plan_memory
from backendify.memory import MIB
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
