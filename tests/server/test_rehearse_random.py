"""`backendify rehearse --random`: registries drawn at random, played by the rules and by one plain try."""

import asyncio
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from backendify.rehearsal.drawn import verdict

RAISED = (
    "--set",
    "deadline_ms=1000",
    "--set",
    "concurrency_max=2000",
    "--set",
    "fetches_max=20000",
    "--set",
    "waiters_max=50000",
)


async def rehearse(*arguments: str) -> tuple[int, str, str]:
    """Run it: (exit status, standard output, standard error)."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "backendify", "rehearse", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    told, complained = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, told.decode(), complained.decode()


def read(path: Path) -> dict[str, Any]:
    """Read a score."""
    score: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return score


async def draw(path: Path, *arguments: str) -> dict[str, Any]:
    """Play sets: the report."""
    status, told, complained = await rehearse("--random", *arguments, "--simulated", "--json", str(path))
    report = read(path)
    assert status == (0 if report["verdict"] == "met" else 1), complained
    assert complained == ("" if status == 0 else f"backendify: {report['verdict']}\n")
    assert told.endswith(f"\nseed {report['seed']}\n")
    return report


async def test_sets_are_told_by_what_the_rules_win(tmp_path: Path) -> None:
    report = await draw(tmp_path / "score.json", "12", "--seed", "3")
    rows = report["rows"]
    assert [row["number"] for row in rows] == list(range(1, 13))
    for row in rows:
        won = row["rules"]["of_bound_percent"] - row["one_try"]["of_bound_percent"]
        assert row["won"] == pytest.approx(won, abs=0.001)
        assert 0 < row["bound_percent"] <= 100
        assert row["rules"]["at_once_peak"] > 0
        assert row["one_try"]["requests_per_company"] >= 1
        assert row["rules"]["of_borne"] is None
    assert report["all"]["sets"] == 12
    assert report["unthrottled"]["sets"] == sum(not row["throttles"] for row in rows)
    assert report["all"]["won_least"] == min(row["won"] for row in rows)
    assert report["policy"]["concurrency_max"] == 2000
    assert await draw(tmp_path / "again.json", "12", "--seed", "3") == report
    other = await draw(tmp_path / "other.json", "12", "--seed", "4", "--set", "concurrency_max=7")
    assert [row["text"] for row in other["rows"]] != [row["text"] for row in rows]
    assert other["policy"]["concurrency_max"] == 7
    assert max(row["rules"]["at_once_peak"] for row in other["rows"]) <= 3 * 7


async def test_the_worst_ten_are_told_the_worst_first() -> None:
    _, told, _ = await rehearse("--random", "12", "--simulated")
    head, *rows = told.splitlines()[:11]
    assert head.split()[:3] == ["set", "won", "rules"]
    won = [float(row.split()[1]) for row in rows]
    assert won == sorted(won)
    starts = {row.index(" /s for ") - len(row.split(" /s for ")[0].split("  ")[-1]) for row in rows}
    assert starts == {head.index("what it is")}


async def test_one_set_is_a_profile_that_plays_the_same(tmp_path: Path) -> None:
    _, told, _ = await rehearse("--random", "30", "--seed", "3", "--only", "25", "--simulated")
    text = told[: told.index("set  ")]
    assert set(tomllib.loads(text)) == {"seed", "customers", "registries"}
    report = await draw(tmp_path / "row.json", "30", "--seed", "3", "--only", "25")
    [row] = report["rows"]
    assert row["number"] == 25
    path, score = tmp_path / "set.toml", tmp_path / "score.json"
    path.write_text(text, encoding="utf-8")
    await rehearse(str(path), "--simulated", *RAISED, "--sla", "0", "--json", str(score))
    played = read(score)
    for key in ("of_bound_percent", "bound_percent"):
        assert played[key] == (row | row["rules"])[key]


async def test_where_one_collapses_it_is_told_how_far_it_was_driven(tmp_path: Path) -> None:
    report = await draw(tmp_path / "score.json", "4", "--collapsing")
    assert report["policy"] == {"deadline_ms": 1000}
    for row in report["rows"]:
        assert not row["throttles"]
        assert row["rules"]["of_borne"] > 0
        assert row["rules"]["at_once_peak"] <= 200


def row(won: float, rules: float = 90, of_borne: float = 1) -> dict[str, Any]:
    side = {"of_borne": of_borne}
    return {"won": won, "rules": side | {"of_bound_percent": rules}, "one_try": {"of_bound_percent": 90}}


@pytest.mark.parametrize(
    ("rows", "collapsing", "told"),
    [
        ([row(0), row(-1)], False, ""),
        ([row(5), row(-1.1)], False, "1 of 2 sets are over a point below one plain try"),
        ([row(-4, rules=86, of_borne=2)], True, ""),
        ([row(-5, rules=85), row(0)], True, "of 2 sets, 1 are below 95 % of one plain try; 0 had over"),
        ([row(0, of_borne=2.1)], True, "0 are below 95 % of one plain try; 1 had over 2 times"),
    ],
)
def test_a_set_over_a_point_below_one_try_is_a_miss(
    rows: list[dict[str, Any]], told: str, *, collapsing: bool
) -> None:
    assert told in verdict(rows, collapsing=collapsing)
    assert bool(verdict(rows, collapsing=collapsing)) == bool(told)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--random", "2"), "--random: plays in virtual time; expected --simulated"),
        (("fire", "--random", "2", "--simulated"), "PROFILE: expected none with --random"),
        (("--random", "2", "--simulated", "--plot", "x.svg"), "--plot: expected none with --random"),
        (("--random", "2", "--simulated", "--sla", "95"), "--sla: expected none with --random"),
        (("--random", "2", "--simulated", "--target", "http://127.0.0.1:1"), "--target: expected none"),
        (("--random", "2", "--simulated", "--registries-only"), "--registries-only: expected none"),
        (("--random", "2", "--simulated", "--memory-of", "1"), "--memory-of: expected none"),
        (("--random", "2", "--simulated", "--", "--workers", "2"), "none is started"),
        (("--random", "2", "--simulated", "--only", "3"), "--only 3: is no set's number; expected 1 to 2"),
        (("--random", "0", "--simulated"), "0 is not in the range"),
        (("--random", "2", "--simulated", "--seed", "-1"), "-1 is not in the range"),
        (("--random", "2", "--simulated", "--set", "nothing=1"), "nothing: no setting of the miss path"),
        (("quick", "--simulated", "--seed", "1"), "--seed: of sets drawn at random; expected --random"),
        (("quick", "--simulated", "--only", "1"), "--only: of sets drawn at random; expected --random"),
        (("quick", "--simulated", "--collapsing"), "--collapsing: of sets drawn at random"),
    ],
)
async def test_what_does_not_go_together_is_one_line_and_status_2(
    arguments: tuple[str, ...], complaint: str
) -> None:
    status, told, complained = await rehearse(*arguments)
    assert (status, told) == (2, "")
    assert complaint in complained
    assert complained.count("\n") == 1
