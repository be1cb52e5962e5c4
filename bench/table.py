"""The results for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from loads import SATURATED
from parts import median
from servers import OURS_ROW

MIB = 1 << 20
OPEN_COLUMNS = ("per s", "p50 ms", "p99 ms", "p99.9 ms")
Told = Mapping[str, Any]
Runs = list[dict[str, Any]]


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


def _rates(part: str, runs: Mapping[str, Runs]) -> Iterator[str]:
    columns = ("per s", "ours is", "p50 ms", "p99 ms", "CPU µs", "not 200", "stolen", "tries")
    yield _line(f"\n{part}, closed loop", *columns, "  rounds")
    own = median(runs[OURS_ROW], "per_s")
    for name, those in runs.items():
        per_s = median(those, "per_s")
        figures = (
            f"{per_s:,.0f}",
            f"{own / per_s:.2f}x",
            *(f"{median(those, key):.2f}" for key in ("p50_ms", "p99_ms", "server_cpu_us")),
            f"{sum(run['not_200'] + run['broken'] for run in those)}",
            f"{max(run['stolen'] for run in those):.0%}",
            f"{sum(run['tries'] for run in those)}",
        )
        rounds = " ".join(str(run["per_s"]) for run in those)
        is_bound = max(run["load_core"] for run in those) > SATURATED
        yield _line(name, *figures, f"  {rounds}{' (the load was busy)' if is_bound else ''}")


def _latencies(part: Told) -> Iterator[str]:
    yield _line(f"\nhits at {part['rate_per_s']:,.0f}/s, open loop", *OPEN_COLUMNS)
    for name, runs in part["runs"].items():
        yield _line(name, *_open(runs))


def _beside(part: Told) -> Iterator[str]:
    columns = ("alone", "beside", "share", "p99 ms", "misses", "p99 ms")
    yield _line("\nhits beside 500 misses/s", *columns)
    for name, runs in part["together"].items():
        alone, per_s = median(part["alone"][name], "per_s"), median(runs, "per_s")
        others = [run["misses"] for run in runs]
        figures = (f"{alone:,.0f}", f"{per_s:,.0f}", f"{per_s / alone:.0%}", f"{median(runs, 'p99_ms'):.2f}")
        yield _line(name, *figures, f"{median(others, 'per_s'):,.0f}", f"{median(others, 'p99_ms'):.2f}")
    yield _line("\n5,000 hits/s and 500 misses/s", *OPEN_COLUMNS)
    for name, runs in part["at_a_rate"].items():
        yield _line(name, *_open(runs))
        yield _line("  its misses", *_open([run["misses"] for run in runs]))


def _open(runs: Runs) -> tuple[str, ...]:
    latencies = (f"{median(runs, key):.2f}" for key in ("p50_ms", "p99_ms", "p99_9_ms"))
    return (f"{median(runs, 'per_s'):,.0f}", *latencies)


def _memory(part: Told) -> Iterator[str]:
    yield _line("\nmemory, MiB", "idle", "warm", "loaded", "files", "B/company", "of cache")
    for name, weights in part.items():
        resident = (f"{weights[when]['rss'] / MIB:.1f}" for when in ("idle", "warm", "loaded"))
        files = f"{weights['loaded']['files'] / MIB:.1f}"
        cache = f"{weights['cache_a_company']:.1f}" if "cache_a_company" in weights else ""
        yield _line(name, *resident, files, f"{weights['added_a_company']:.1f}", cache)


def _starts(runs: Mapping[str, Runs]) -> Iterator[str]:
    yield _line("\nstart", "s to 200", "RSS MiB")
    for name, those in runs.items():
        yield _line(name, f"{median(those, 'started_s'):.3f}", f"{median(those, 'rss_bytes') / MIB:.1f}")


def _line(name: str, *cells: str) -> str:
    """Write a row; a cell that begins with spaces is longer than others, and the last."""
    begin = "\n" if name.startswith("\n") else ""
    return begin + f"{name.strip():<34}" + "".join(c if c.startswith("  ") else f"{c:>10}" for c in cells)


def _goals(goals: list[dict[str, Any]]) -> Iterator[str]:
    yield f"{'':<8}{'goal':<66}{'wanted':>20}{'found':>10}"
    for goal in goals:
        yield f"{'met' if goal['met'] else 'MISSED':<8}{goal['text']:<66}{goal['goal']:>20}{goal['found']:>10.3f}"
