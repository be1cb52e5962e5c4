"""The results for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from parts import median
from servers import OURS_ROW

MIB = 1 << 20
Told = Mapping[str, Any]


def tables(told: Told) -> str:
    """Write all parts that were measured, what is lacking, and the goals."""
    results = told["results"]
    lines = [
        f"commit {told['commit'][:10]}, {told['machine']}, load {told['load_average_before'][0]:.1f} before"
    ]
    for part in ("hits", "mixed", "misses"):
        if part in results:
            lines += _rates(part, results[part])
    if "latency" in results:
        lines += _latencies(results["latency"])
    if "beside" in results:
        lines += _beside(results["beside"])
    if "memory" in results:
        lines += _memory(results["memory"])
    if "start" in results:
        lines += _starts(results["start"])
    lines += ["", *_goals(told["goals"])]
    lines += ["", *told["lacking"]] if told["lacking"] else []
    return "\n".join(lines)


def _rates(part: str, runs: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield f"\n{part + ', closed loop':<34}{'per s':>9}{'ours is':>9}{'p50 ms':>8}{'p99 ms':>8}{'CPU µs':>8}{'not 200':>9}{'stolen':>8}  rounds"
    own = median(runs[OURS_ROW], "per_s")
    for name, those in runs.items():
        per_s = median(those, "per_s")
        figures = f"{per_s:>9,.0f}{own / per_s:>8.2f}x{median(those, 'p50_ms'):>8.2f}{median(those, 'p99_ms'):>8.2f}"
        figures += (
            f"{median(those, 'server_cpu_us'):>8.1f}{sum(run['not_200'] + run['broken'] for run in those):>9}"
        )
        figures += f"{max(run['stolen'] for run in those):>8.0%}"
        marks = " *" if max(run["load_core"] for run in those) > 0.97 else ""
        yield f"{name:<34}{figures}  {' '.join(str(run['per_s']) for run in those)}{marks}"


def _latencies(part: Told) -> Iterator[str]:
    yield f"\n{'hits at ' + format(part['rate_per_s'], ',.0f') + '/s, open loop':<34}{'per s':>9}{'p50 ms':>8}{'p99 ms':>8}{'p99.9':>8}"
    for name, runs in part["runs"].items():
        yield f"{name:<34}{_open(runs)}"


def _beside(part: Told) -> Iterator[str]:
    yield f"\n{'hits beside 500 misses/s':<34}{'alone':>9}{'beside':>9}{'share':>8}{'p99 ms':>8}{'misses':>8}{'p99 ms':>8}"
    for name, runs in part["together"].items():
        alone, per_s = median(part["alone"][name], "per_s"), median(runs, "per_s")
        others = [run["misses"] for run in runs]
        figures = f"{alone:>9,.0f}{per_s:>9,.0f}{per_s / alone:>8.0%}{median(runs, 'p99_ms'):>8.2f}"
        yield f"{name:<34}{figures}{median(others, 'per_s'):>8.0f}{median(others, 'p99_ms'):>8.2f}"
    yield f"\n{'5,000 hits/s and 500 misses/s':<34}{'per s':>9}{'p50 ms':>8}{'p99 ms':>8}{'p99.9':>8}"
    for name, runs in part["at_a_rate"].items():
        yield f"{name:<34}{_open(runs)}"
        yield f"{'  its misses':<34}{_open([run['misses'] for run in runs])}"


def _open(runs: list[dict[str, Any]]) -> str:
    latencies = "".join(f"{median(runs, key):>8.2f}" for key in ("p50_ms", "p99_ms", "p99_9_ms"))
    return f"{median(runs, 'per_s'):>9,.0f}{latencies}"


def _memory(part: Told) -> Iterator[str]:
    yield f"\n{'memory, MiB':<34}{'idle':>9}{'warm':>9}{'loaded':>9}{'files':>9}{'B a company':>13}{'of the cache':>14}"
    for name, weights in part.items():
        resident = "".join(f"{weights[when]['rss'] / MIB:>9.1f}" for when in ("idle", "warm", "loaded"))
        files = f"{weights['loaded']['files'] / MIB:>9.1f}"
        cache = f"{weights['cache_a_company']:>14.1f}" if "cache_a_company" in weights else ""
        yield f"{name:<34}{resident}{files}{weights['added_a_company']:>13.1f}{cache}"


def _starts(runs: Mapping[str, list[dict[str, Any]]]) -> Iterator[str]:
    yield f"\n{'start':<34}{'s to 200':>9}{'RSS MiB':>9}"
    for name, those in runs.items():
        yield f"{name:<34}{median(those, 'started_s'):>9.2f}{median(those, 'rss_bytes') / MIB:>9.1f}"


def _goals(goals: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{'':<8}{'goal':<66}{'wanted':>20}{'found':>10}"
    for goal in goals:
        yield f"{'met' if goal['met'] else 'MISSED':<8}{goal['text']:<66}{goal['goal']:>20}{goal['found']:>10.3f}"
