"""What kernels showed of control groups, as files: `unit/cgroups/README.md` tells where from."""

from pathlib import Path

RECORDED = Path(__file__).with_name("unit") / "cgroups"


def lay_out(name: str, root: Path) -> Path:
    """Turn a recording into files under `root`."""
    for entry in (RECORDED / f"{name}.txt").read_text().removeprefix("== ").split("\n== "):
        path, _, text = entry.partition("\n")
        (root / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
        (root / path.lstrip("/")).write_text(text)
    return root
