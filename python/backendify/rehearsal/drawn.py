"""Sets of registries drawn at random: how the rules fare with them, beside one plain try."""

import json
from collections.abc import Iterable
from statistics import fmean
from typing import Any, Final

from backendify import _core
from backendify.option import quoted
from backendify.rehearsal.plan import Draw
from backendify.settings import BadSettings

Row = dict[str, Any]

_WORST: Final = 10
_HEAD: Final = (
    "set", "won", "rules %", "one try %", "bound %", "asked", "one try", "at once", "one try", "what it is",
)  # fmt: skip
_POINTS_BELOW_MAX: Final = 1.0
# Where one collapses: at least this share of what one try reaches, and at most so many times what it bears.
_OF_ONE_TRY_MIN: Final = 0.95
_OF_BORNE_MAX: Final = 2.0


def played(wanted: Draw) -> dict[str, Any]:
    """Play all sets: the report. Raises :class:`BadSettings` for a setting that there is not."""
    numbers = [wanted.only] if wanted.only else range(1, wanted.sets + 1)
    try:
        rows = [_row(wanted, number) for number in numbers]
    except ValueError as error:
        message = f"--set {error}"
        raise BadSettings(message) from None
    report = {
        "seed": wanted.seed,
        "sets": wanted.sets,
        "collapsing": wanted.collapsing,
        "policy": wanted.policy,
    }
    unthrottled = [row for row in rows if not row["throttles"]]
    report |= {"all": _summary(rows), "unthrottled": _summary(unthrottled)}
    report |= {"verdict": verdict(rows, collapsing=wanted.collapsing) or "met"}
    return report | {"rows": rows}


def told(report: dict[str, Any]) -> str:
    """Tell the worst sets, the means, and the seed."""
    rows = sorted(report["rows"], key=lambda row: row["won"])[:_WORST]
    lines = list(_aligned([_HEAD, *map(_cells, rows)]))
    for name, key in (("all sets", "all"), ("of which nobody throttles", "unthrottled")):
        if summary := report[key]:
            lines.append(f"{name}: {_sentence(summary)}")
    return "\n".join([*lines, f"seed {report['seed']}"])


def verdict(rows: list[Row], *, collapsing: bool) -> str:
    """Say what was missed; empty when all is well."""
    if not collapsing:
        below = sum(row["won"] < -_POINTS_BELOW_MAX for row in rows)
        return f"{below} of {len(rows)} sets are over a point below one plain try" if below else ""
    rules = [(row["rules"], row["one_try"]) for row in rows]
    below = sum(one["of_bound_percent"] < _OF_ONE_TRY_MIN * other["of_bound_percent"] for one, other in rules)
    over = sum(one["of_borne"] > _OF_BORNE_MAX for one, _ in rules)
    if not below and not over:
        return ""
    much = f"{over} had over {_OF_BORNE_MAX:g} times what a registry bears at once"
    return f"of {len(rows)} sets, {below} are below {100 * _OF_ONE_TRY_MIN:g} % of one plain try; {much}"


def profile(wanted: Draw) -> str:
    """Write the one set that is wanted as a TOML profile; empty where all are."""
    if not wanted.only:
        return ""
    text = _core.random_set(wanted.seed, wanted.only, collapsing=wanted.collapsing)
    return _toml(json.loads(text))


def _row(wanted: Draw, number: int) -> Row:
    text = _core.compare(wanted.seed, number, wanted.policy, collapsing=wanted.collapsing)
    row: Row = json.loads(text)
    won = row["rules"]["of_bound_percent"] - row["one_try"]["of_bound_percent"]
    return row | {"won": round(won, 3)}


def _summary(rows: list[Row]) -> dict[str, Any]:
    if not rows:
        return {}
    means = {
        f"{policy}_{key}_mean": round(fmean(row[policy][key] for row in rows), 3)
        for policy in ("rules", "one_try")
        for key in ("of_bound_percent", "requests_per_company")
    }
    won = [row["won"] for row in rows]
    below = sum(points < -_POINTS_BELOW_MAX for points in won)
    return {"sets": len(rows), **means, "won_least": min(won), "below": below}


def _cells(row: Row) -> tuple[str, ...]:
    rules, one = row["rules"], row["one_try"]
    return (
        str(row["number"]),
        f"{row['won']:+.2f}",
        f"{rules['of_bound_percent']:.2f}",
        f"{one['of_bound_percent']:.2f}",
        f"{row['bound_percent']:.2f}",
        f"{rules['requests_per_company']:.2f}",
        f"{one['requests_per_company']:.2f}",
        *(_at_once(side) for side in (rules, one)),
        row["text"],
    )


def _at_once(side: dict[str, Any]) -> str:
    """Tell the most at once, and how often that is what a registry bears, where one collapses."""
    borne = "" if side["of_borne"] is None else f" ({side['of_borne']:.1f} x)"
    return f"{side['at_once_peak']}{borne}"


def _aligned(rows: list[tuple[str, ...]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *cells, text in rows:
        numbers = [cell.rjust(width) for cell, width in zip(cells, widths[:-1], strict=True)]
        yield "  ".join([*numbers, text])


def _sentence(summary: dict[str, Any]) -> str:
    rules, one = summary["rules_of_bound_percent_mean"], summary["one_try_of_bound_percent_mean"]
    asked = (summary["rules_requests_per_company_mean"], summary["one_try_requests_per_company_mean"])
    return (
        f"{summary['sets']}, rules {rules:.2f} % of the bound, one try {one:.2f} %, {asked[0]:.2f} and {asked[1]:.2f}"
        f" requests a company; the least won {summary['won_least']:+.2f}; {summary['below']} over a point below one try"
    )


def _toml(profile: dict[str, Any]) -> str:
    """Write a profile as one would by hand: a table for the customers, and one for each registry."""
    registries = profile.pop("registries")
    tables = {"customers": profile.pop("customers")}
    tables |= {f"registries.{country}": registry for country, registry in registries.items()}
    lines = [f"{key} = {_value(value)}" for key, value in profile.items()]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *(f"{key} = {_value(value)}" for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:  # noqa: ANN401 - whatever JSON holds
    match value:
        case dict():
            return "{ " + ", ".join(f"{key} = {_value(one)}" for key, one in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_value, value)) + "]"
        case str():
            return quoted(value)
        case _:
            return json.dumps(value)
