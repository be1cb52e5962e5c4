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
    assert weight.bytes == 120
    assert weight.descriptors > 3


def test_a_process_weighs_its_memory_and_descriptors() -> None:
    scales = Scales(str(os.getpid()))
    before = scales.weigh()
    with ExitStack() as opened:
        for _ in range(20):
            opened.enter_context(Path(os.devnull).open("rb"))
        after = scales.weigh()
    assert before.bytes > 1 << 20
    assert after.descriptors == before.descriptors + 20
    told = scales.told()
    assert told["server_descriptors_peak"] == after.descriptors
    assert told["server_seconds"] == [before._asdict(), after._asdict()]


@pytest.mark.parametrize("what", ["999999999", "no-such-file"])
def test_what_is_gone_weighs_nothing(what: str) -> None:
    assert Scales(what).weigh() == (0, 0)


def test_a_file_holds_bytes(tmp_path: Path) -> None:
    path = tmp_path / "memory.current"
    path.write_text("4711\n", encoding="ascii")
    assert Scales(str(path)).weigh() == (4711, 0)
