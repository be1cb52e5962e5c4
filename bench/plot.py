"""The hits of every server, drawn as an SVG."""

from collections.abc import Mapping
from html import escape
from typing import Any

from parts import median

WIDTH, ROW, TOP, LEFT, RIGHT = 760, 30, 56, 230, 90
FONT = 'font-family="sans-serif" font-size="13"'
OURS_COLOUR, PEER_COLOUR = "#1a7f37", "#8c959f"


def plotted(told: Mapping[str, Any]) -> str:
    """Draw hits a second as bars, the slowest and the fastest round as a line over each."""
    runs = told["results"].get("hits", {})
    rates = sorted(((median(those, "per_s"), name) for name, those in runs.items()), reverse=True)
    most = max((run["per_s"] for those in runs.values() for run in those), default=1)
    height = TOP + ROW * len(rates) + 30
    scale = (WIDTH - LEFT - RIGHT) / most
    bars = []
    for row, (per_s, name) in enumerate(rates):
        y = TOP + ROW * row
        colour = OURS_COLOUR if name.startswith("ours") else PEER_COLOUR
        slowest, fastest = (side(run["per_s"] for run in runs[name]) * scale for side in (min, max))
        bars += [
            f'<text x="{LEFT - 8}" y="{y + 15}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{per_s * scale:.1f}" height="20" fill="{colour}"/>',
            f'<path d="M{LEFT + slowest:.1f} {y + 10}H{LEFT + fastest:.1f}" stroke="#24292f" stroke-width="1.5"/>',
            f'<text x="{LEFT + fastest + 8:.1f}" y="{y + 15}">{per_s:,.0f}/s</text>',
        ]
    about = f"{told['date'][:10]}, commit {told['commit'][:10]}, {told['machine']}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {FONT}>',
            "<title>Hits a second, one core for the server</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
            '<text x="12" y="22" font-size="15">Hits a second, one core for the server, 64 connections</text>',
            f'<text x="12" y="42" fill="#57606a" font-size="12">{escape(about)}</text>',
            *bars,
            "</svg>",
            "",
        ]
    )
