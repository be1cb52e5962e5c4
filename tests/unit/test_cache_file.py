"""Files that services with any free port left behind."""

import fcntl
from pathlib import Path

import pytest

from backendify.cache_file import cache_file
from backendify.settings import Settings


def test_a_file_that_took_the_place_of_an_unused_one_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    left = tmp_path / "backendify-once-1.cache"
    left.touch()

    def replace(*_: object) -> None:
        left.rename(tmp_path / "old")
        left.touch()

    with monkeypatch.context() as patched:
        patched.setattr(fcntl, "lockf", replace)
        with cache_file(Settings(port=0), 1):
            assert left.exists(), "somebody else's, who began meanwhile"
    with cache_file(Settings(port=0), 1):
        assert not left.exists()
