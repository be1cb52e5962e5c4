"""A rehearsal over time, drawn: share of right answers and rate, second by second, as an SVG."""

from collections.abc import Callable
from html import escape
from typing import Any, Final

_WIDTH: Final = 900
_HEIGHT: Final = 360
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 60, 40, 40
_FONT: Final = 'font-family="sans-serif" font-size="12"'
_INNER: Final = (_WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM)
_RIGHT_COLOUR, _BOUND_COLOUR, _RATE_COLOUR = "#1a7f37", "#8250df", "#8c959f"


def plotted(report: dict[str, Any]) -> str:
    """Draw the report."""
    seconds = report["seconds"]
    rate_max = max((second["asked"] for second in seconds), default=0) or 1
    last = max(len(seconds) - 1, 1)

    def line(colour: str, share: Callable[[dict[str, Any]], float]) -> str:
        points = " ".join(
            f"{_x(index / last):.1f},{_y(share(second)):.1f}"
            for index, second in enumerate(seconds)
            if second["asked"]
        )
        return f'<polyline fill="none" stroke="{colour}" stroke-width="1.5" points="{points}"/>'

    away = [
        f'<rect x="{_x(begin):.1f}" y="{_TOP}" width="{_x(end) - _x(begin):.1f}" height="{_INNER[1]}"'
        f' fill="#cf222e" opacity="0.1"><title>{escape(country)} is away</title></rect>'
        for country, load in report["registries"].items()
        for outage in load["outages"]
        if (begin := outage["begin_s"] / last) < 1
        for end in [min((outage["begin_s"] + outage["length_s"]) / last, 1)]
    ]
    steps = [(0, "0"), (0.25, "25"), (0.5, "50"), (0.75, "75"), (1, "100 %")]
    axes = [
        f'<path d="M{_LEFT} {_y(share):.1f}h{_INNER[0]}" stroke="#d0d7de"/>'
        f'<text x="{_LEFT - 6}" y="{_y(share) + 4:.1f}" text-anchor="end">{text}</text>'
        f'<text x="{_WIDTH - _RIGHT + 6}" y="{_y(share) + 4:.1f}">{share * rate_max:.0f}/s</text>'
        for share, text in steps
    ]
    axes += [
        f'<text x="{_x(share):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{share * last:.0f} s</text>'
        for share, _ in steps
    ]
    legend = [
        f'<text x="{_LEFT + 190 * index}" y="24" fill="{colour}">{text}</text>'
        for index, (colour, text) in enumerate(
            (
                (_RIGHT_COLOUR, "right at the first try"),
                (_BOUND_COLOUR, "what an ideal cache could"),
                (_RATE_COLOUR, "requests a second"),
            )
        )
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" {_FONT}>',
            f"<title>{escape(report['profile'])}: {report['right_percent']} % right in time</title>",
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
            *away,
            *axes,
            line(_RATE_COLOUR, lambda second: second["asked"] / rate_max),
            line(_BOUND_COLOUR, lambda second: second["answerable"] / second["asked"]),
            line(_RIGHT_COLOUR, lambda second: second["right"] / second["asked"]),
            *legend,
            "</svg>",
            "",
        ]
    )


def _x(share: float) -> float:
    return _LEFT + share * _INNER[0]


def _y(share: float) -> float:
    return _TOP + (1 - share) * _INNER[1]
