"""What the service is to reach under fire, and whether a report says that it did."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

MIB = 1 << 20
THROTTLED_FROM_S = 10
THROTTLED_TO_S = 60  # when the customers of `throttle` stop coming
RECOVERY_S_MAX = 3
STORM_FROM_S = 5  # the ramp's end
REFUSAL_MS_MAX = 50
MAINTENANCE_MS_MAX = 5
MAINTENANCE_RECOVERY_S_MAX = 2
ASKED_IN_MAINTENANCE_MAX = 5
POOL = 32  # connections that the service keeps idle to a registry
HELD_MIB_MAX = 110
GROWTH_MIB_MAX = 3
DESCRIPTORS_BESIDE = 64  # of what is no connection: files, the event loop's, operators'
CONCURRENCY_MAX = 200  # --registry-concurrency as the parts leave it: the adaptive limit is this or less
FETCH_S = 10  # --fetch-timeout as the parts leave it: so long may run what began while the limit was higher
BORNE_PERCENT_MIN = 85  # of what a throttling registry bears: a 429 takes a tenth of it


@dataclass(frozen=True, slots=True)
class Goal:
    """One line of the table."""

    name: str
    wanted: str
    found: str
    met: bool

    def told(self) -> dict[str, object]:
        """For the results' file."""
        return {"goal": self.name, "wanted": self.wanted, "found": self.found, "met": self.met}


def table(goals: Sequence[Goal]) -> str:
    """Write them for people."""
    rows = [("goal", "wanted", "found", ""), ("---", "---", "---", "---")]
    rows += [(goal.name, goal.wanted, goal.found, "met" if goal.met else "MISSED") for goal in goals]
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in rows
    )


def at_least(name: str, found: float, wanted: float, unit: str = "") -> Goal:
    """Reach a number."""
    return Goal(name, f"≥ {wanted:g}{unit}", f"{found:g}{unit}", found >= wanted)


def at_most(name: str, found: float, wanted: float, unit: str = "") -> Goal:
    """Stay at or below a number."""
    return Goal(name, f"≤ {wanted:g}{unit}", f"{found:g}{unit}", found <= wanted)


def _played(report: dict[str, Any]) -> list[Goal]:
    """Judge what every rehearsal must show."""
    name = report["profile"]
    late = round(100 * report["late"] / report["requests"]["asked"], 2)
    odd = {
        status: n
        for status, n in report["statuses"].items()
        if status not in ("200", "404", "502", "503", "504")
    }
    return [
        at_most(f"{name}: requests sent late, or the load was not the one asked for", late, 1, " %"),
        at_most(f"{name}: wrong answers", report["wrong"], 0),
        Goal(f"{name}: no other status than 200, 404, 502, 503, 504", "none", str(odd or "none"), not odd),
        Goal(
            f"{name}: not killed for memory",
            "no",
            str(report["memory"]["oom_killed"]),
            report["memory"]["running"],
        ),
    ]


def fire_goals(report: dict[str, Any]) -> list[Goal]:
    """Judge everything at once."""
    goals = [
        *_played(report),
        at_least(
            "fire: first tries in time, of what an ideal cache could", report["of_bound_percent"], 99, " %"
        ),
    ]
    for country, load in report["registries"].items():
        name = f"fire, {country}"
        share = (
            f"{load['right_percent']} % in time, {load['of_bound_percent']} % of what an ideal cache could"
        )
        goals.append(
            Goal(f"{name}: requests per distinct company", "≤ 1.15", f"{load['requests_per_distinct']:g} ({share})",
                 load["requests_per_distinct"] <= 1.15)
        )  # fmt: skip
        goals += _at_once(name, load, report["limits"].get(country, []))
        if load["throttled"]:
            goals.append(_throttled(name, load))
    return goals


def throttle_goals(report: dict[str, Any], *, per_s: float) -> list[Goal]:
    """Judge a registry that bears so many a second and is asked for more."""
    load = report["registries"]["ru"]
    after = load["seconds"][THROTTLED_FROM_S:THROTTLED_TO_S]
    borne = sum(second["requests"] - second["throttled"] for second in after) / max(len(after), 1)
    customers = report["registries"]["im"]["customers"]
    answerable = sum(kind["answerable"] for kind in customers.values())
    right = sum(kind["right"] for kind in customers.values())
    return [
        *_played(report),
        at_least("throttle, ru: 429s at all, or this part shows nothing", load["throttled"], 1),
        _throttled("throttle, ru", load),
        at_least(f"throttle, ru: asked and borne after the first 10 s, of {per_s:g} a second",
                 _percent(round(borne), round(per_s)), BORNE_PERCENT_MIN, " %"),
        *_at_once("throttle, ru", load, report["limits"].get("ru", [])),
        at_least("throttle, im: in time beside it, of what an ideal cache could",
                 _percent(right, answerable), 99, " %"),
    ]  # fmt: skip


def _throttled(name: str, load: dict[str, Any]) -> Goal:
    after = load["seconds"][THROTTLED_FROM_S:]
    throttled, asked = (sum(second[count] for second in after) for count in ("throttled", "requests"))
    return at_most(f"{name}: 429s after the first 10 s", _percent(throttled, asked), 5, " %")


def _at_once(name: str, load: dict[str, Any], limits: Sequence[int]) -> list[Goal]:
    peak = load["at_once_peak"]
    beyond = beyond_limit([second["at_once_peak"] for second in load["seconds"]], limits)
    return [
        at_most(f"{name}: at once at the registry, of --registry-concurrency", peak, CONCURRENCY_MAX),
        at_most(f"{name}: at once beyond the adaptive limit under which they began", beyond, 0),
    ]


def beyond_limit(peaks: Sequence[int], limits: Sequence[int]) -> int:
    """Compare, second by second, the most at once at a registry with the limit: how many more there ever were.

    What runs may have begun under a higher limit, :data:`FETCH_S` ago at most. The looks at the limit began within a
    second of the customers, so the seconds around that time count, too.
    """
    allowed = (
        max(limits[max(0, second - FETCH_S - 1) : second + 2] or limits[-1:], default=0)
        for second in range(len(peaks))
    )
    return max((peak - most for peak, most in zip(peaks, allowed, strict=True) if peak > most), default=0)


def noise_goals(report: dict[str, Any], *, of_bound: float) -> list[Goal]:
    """Judge registries that are merely noisy."""
    name = report["profile"]
    each = ", ".join(
        f"{country} {load['of_bound_percent']} at {load['requests_per_distinct']:g} requests a company"
        for country, load in report["registries"].items()
    )
    wanted = f"{name}: first tries in time, of what an ideal cache could ({each})"
    return [*_played(report), at_least(wanted, report["of_bound_percent"], of_bound, " %")]


def maintenance_goals(report: dict[str, Any]) -> list[Goal]:
    """Judge registries of which each in turn asks to be left alone."""
    goals = _played(report)
    for country, load in report["registries"].items():
        name, outage = f"maintenance, {country}", load["outages"][0]
        warm = _percent(outage["warm"]["right"], outage["warm"]["asked"])
        refusals = outage["failures_settled"]
        p99 = max((part["latency_ms"]["p99"] for part in refusals["statuses"].values()), default=0.0)
        asked = sum(
            second["requests"]
            for second in load["seconds"][
                int(outage["begin_s"]) + 1 : int(outage["begin_s"] + outage["length_s"])
            ]
        )
        recovery_s = outage["recovery_s"]
        goals += [
            at_least(f"{name}: warm companies in time", warm, 100, " %"),
            Goal(f"{name}: errors of cold ones from 3 s into it", f"p99 ≤ {MAINTENANCE_MS_MAX} ms",
                 f"p99 {p99:g} ms (hung up {refusals['hung_up']})",
                 p99 <= MAINTENANCE_MS_MAX and not refusals["hung_up"]),
            Goal(f"{name}: well again after it", f"≤ {MAINTENANCE_RECOVERY_S_MAX} s",
                 "never" if recovery_s is None else f"{recovery_s:g} s",
                 recovery_s is not None and recovery_s <= MAINTENANCE_RECOVERY_S_MAX),
            at_most(f"{name}: requests at it from its second second on", asked, ASKED_IN_MAINTENANCE_MAX),
        ]  # fmt: skip
    return goals


def outage_goals(report: dict[str, Any]) -> list[Goal]:
    """Judge an outage of all registries."""
    goals = _played(report)
    for country, load in report["registries"].items():
        name, outage = f"outage, {country}", load["outages"][0]
        warm = outage["warm"]
        goals.append(
            at_least(f"{name}: warm companies in time", _percent(warm["right"], warm["asked"]), 100, " %")
        )
        settled = outage["failures_settled"]
        slowest = max((part["latency_ms"]["max"] for part in settled["statuses"].values()), default=0.0)
        p99 = max((part["latency_ms"]["p99"] for part in settled["statuses"].values()), default=0.0)
        told = ", ".join(f"{status}: {part['count']}" for status, part in settled["statuses"].items())
        goals.append(
            Goal(f"{name}: errors of cold ones from 3 s into it", f"p99 < {REFUSAL_MS_MAX} ms",
                 f"p99 {p99:g} ms, max {slowest:g} ms ({told}; hung up {settled['hung_up']})",
                 p99 < REFUSAL_MS_MAX and not settled["hung_up"])
        )  # fmt: skip
        recovery_s = outage["recovery_s"]
        goals.append(
            Goal(f"{name}: well again after it", f"≤ {RECOVERY_S_MAX} s",
                 "never" if recovery_s is None else f"{recovery_s:g} s",
                 recovery_s is not None and recovery_s <= RECOVERY_S_MAX)
        )  # fmt: skip
        end_s = int(outage["begin_s"] + outage["length_s"])
        before = max(second["at_once_peak"] for second in load["seconds"][: int(outage["begin_s"])])
        after = max(second["at_once_peak"] for second in load["seconds"][end_s : end_s + 10])
        goals.append(
            Goal(f"{name}: at once in the 10 s after it, of --registry-concurrency: no herd", f"≤ {CONCURRENCY_MAX}",
                 f"{after} (before it: {before})", after <= CONCURRENCY_MAX)
        )  # fmt: skip
    return goals


def storm_goals(storm: dict[str, Any], calm: dict[str, Any]) -> list[Goal]:
    """Judge a storm: one registry hangs, its customers ask four times."""
    goals = [*_played(storm), *_played(calm)]
    hanging, at_rest = storm["registries"]["us"], calm["registries"]["us"]
    outage = hanging["outages"][0]
    end_s = int(outage["begin_s"] + outage["length_s"])
    tries = mean(storm["tries_by_second"][STORM_FROM_S:end_s])
    goals.append(
        at_least("storm: tries a second, after the ramp and while the registry hangs", round(tries), 12_000)
    )
    counts = [sum(second["requests"] for second in load["seconds"][:end_s]) for load in (hanging, at_rest)]
    goals.append(
        Goal("storm: requests at the registry that hangs", "no more with retries than without",
             f"{counts[0]} with, {counts[1]} without", counts[0] <= 1.1 * counts[1] + 50)
    )  # fmt: skip
    for country in ("im", "ru"):
        customers = storm["registries"][country]["customers"]
        goals += [
            at_least(f"storm, {country}: {kind} companies in time, of what an ideal cache could",
                     _percent(customers[kind]["right"], customers[kind]["answerable"]), wanted, " %")
            for kind, wanted in (("warm", 99.9), ("cold", 99))
        ]  # fmt: skip
    return goals


def misses_goals(runs: dict[str, list[dict[str, float]]]) -> list[Goal]:
    """Judge misses against a registry that answers at once."""
    fast, own = (mean(run["per_s"] for run in runs[name]) for name in ("fast", "httpx"))
    failed = sum(run["not_200"] + run["broken"] for several in runs.values() for run in several)
    each = "  ".join(f"{name} {[run['per_s'] for run in several]}" for name, several in runs.items())
    return [
        Goal("misses: a second, one core", "≥ 4000 (6000)", f"{fast:.0f} ({each})", fast >= 4000),
        at_least("misses: times as many as on httpx's own transport", round(fast / max(own, 1), 2), 8),
        at_most("misses: that failed", failed, 0),
    ]


def abandon_goals(report: dict[str, Any]) -> list[Goal]:
    """Judge what is left of a thousand tries that were given up."""
    load, stats = report["registries"]["im"], report["stats"]
    running = [registry["running"] for registry in stats["registries"]]
    return [
        *_played(report),
        at_least("abandon: tries that were never answered", load["failed"], 1000),
        at_most("abandon: sockets left at the registry after the fetches' deadline", load["sockets"], POOL),
        at_most("abandon: requests left at the registry", load["at_once"], 0),
        at_most(
            "abandon: fetches and permits still held (/stats)", stats["fetches_running"] + sum(running), 0
        ),
    ]


def memory_goals(report: dict[str, Any]) -> list[Goal]:
    """Judge ten minutes of fire."""
    seconds = [second for second in report["server_seconds"] if second]
    early, last = (max(second["bytes"] for second in part) for part in (seconds[120:240], seconds[-120:]))
    return [
        *_played(report),
        at_most("memory: anonymous + shmem, peak", _mib(report["memory"]["peak_held_bytes"]), HELD_MIB_MAX, " MiB"),
        Goal("memory: flat, most of the last two minutes over minutes 3 and 4", f"≤ {GROWTH_MIB_MAX} MiB",
             f"{_mib(last - early):+g} MiB ({_mib(early):g}, {_mib(last):g})", last - early <= GROWTH_MIB_MAX * MIB),
at_most("memory: descriptors, by the plan told at start", report["server_descriptors_peak"], _descriptors_max(report)),
    ]  # fmt: skip


def _descriptors_max(report: dict[str, Any]) -> int:
    """Read from the plan how many connections there may be: customers', and the fetches' own."""
    plan = next(line for line in report["log"] if " connections, " in line)
    counts = [re.search(rf"(\d+) {what}", plan) for what in ("connections", "fetches")]
    return sum(int(count[1]) for count in counts if count) + DESCRIPTORS_BESIDE


def _percent(part: int, whole: int) -> float:
    """Cut, not rounded."""
    return int(100_000 * part / whole) / 1000 if whole else 100.0


def _mib(number: int) -> float:
    return round(number / MIB, 1)
