"""What a server weighs, by process, control group or file."""

import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from backendify.rehearsal.weighed import Scales

V1 = "cache 900\nrss 7\nshmem 5\ntotal_cache 1000\ntotal_rss 70\ntotal_shmem 50\n"
V2 = "anon 70\nfile 1000\nshmem 50\n"


@pytest.mark.parametrize("stat", [V1, V2])
def test_a_control_group_weighs_what_cannot_be_dropped(tmp_path: Path, stat: str) -> None:
    (tmp_path / "memory.stat").write_text(stat, encoding="ascii")
    (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n", encoding="ascii")
    weight = Scales(str(tmp_path)).weigh()
    assert weight
    assert weight.bytes == 120
    assert weight.descriptors > 3


def test_a_process_weighs_its_memory_and_descriptors() -> None:
    scales = Scales(str(os.getpid()))
    before = scales.weigh()
    with ExitStack() as opened:
        for _ in range(20):
            opened.enter_context(Path(os.devnull).open("rb"))
        after = scales.weigh()
    assert before
    assert after
    assert before.bytes > 1 << 20
    assert after.descriptors == before.descriptors + 20
    told = scales.told()
    assert told["server_descriptors_peak"] == after.descriptors
    assert told["server_seconds"] == [before._asdict(), after._asdict()]


@pytest.mark.parametrize("what", ["999999999", "no-such-file", os.devnull, "/", "/proc/self"])
def test_what_cannot_be_weighed_is_unknown_and_not_light(what: str) -> None:
    scales = Scales(what)
    assert scales.weigh() is None
    with pytest.raises((OSError, ValueError)):
        scales.read()
    told = {"server_memory_bytes_peak": None, "server_descriptors_peak": None, "server_seconds": [None]}
    assert scales.told() == told


def test_a_group_that_tells_no_memory_is_unknown(tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").write_text("", encoding="ascii")
    (tmp_path / "memory.stat").write_text("file 1000\n", encoding="ascii")
    assert Scales(str(tmp_path)).weigh() is None


def test_what_is_weighed_no_more_leaves_its_peak(tmp_path: Path) -> None:
    path = tmp_path / "memory.current"
    path.write_text("4711\n", encoding="ascii")
    scales = Scales(str(path))
    scales.weigh()
    path.unlink()
    scales.weigh()
    told = scales.told()
    assert told["server_memory_bytes_peak"] == 4711
    assert told["server_seconds"] == [{"bytes": 4711, "descriptors": 0}, None]


def test_a_file_holds_bytes(tmp_path: Path) -> None:
    path = tmp_path / "memory.current"
    path.write_text("4711\n", encoding="ascii")
    assert Scales(str(path)).weigh() == (4711, 0)
