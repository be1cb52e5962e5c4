"""What holds between the files: one version, small files, a border on one page."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import backendify
from backendify import _core

ROOT = Path(__file__).parents[1]
PYTHON = sorted((ROOT / "python").rglob("*.py"))
RUST = [path for path in sorted((ROOT / "rust").rglob("src/**/*.rs")) if path.name != "tests.rs"]
LINES_MAX = 300


def test_there_is_one_version() -> None:
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    assert (
        manifest["workspace"]["package"]["version"]
        == _core.VERSION
        == backendify.__version__
        == version("backendify")
    )


def test_a_release_is_what_is_tested() -> None:
    assert _core.BUILD_PROFILE == "release"


@pytest.mark.parametrize("path", [*PYTHON, *RUST], ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_one_thing(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    # A Rust file's own tests stand at its end and do not count.
    lines = re.split(r"^#\[cfg\((?:all\()?test\b", text, flags=re.MULTILINE)[0].count("\n")
    assert lines <= LINES_MAX or f"over {LINES_MAX} lines:" in text, (
        f"{lines} lines: split it, or argue in it"
    )


def test_the_border_and_the_readme_are_short() -> None:
    border = (ROOT / "python/backendify/_core.pyi").read_text(encoding="utf-8")
    assert border.count("\n") <= 150 or ("over 150 lines:" in border and border.count("\n") <= 170)
    assert (ROOT / "README.md").read_text(encoding="utf-8").count("\n") <= 120


def test_what_the_documents_name_is_there() -> None:
    for document in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / target).exists(), f"{document} points to {target}"
    names = {
        path.name for path in ROOT.rglob("*") if ".venv" not in path.parts and "target" not in path.parts
    }
    for row in re.findall(
        r"^\|.*\|$", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), flags=re.MULTILINE
    ):
        for name in re.findall(r"`([\w./]+\.(?:rs|py|pyi))`", row):
            assert Path(name).name in names, f"ARCHITECTURE.md names {name}"
