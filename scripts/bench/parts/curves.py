"""Curves with their spread as a small SVG; the host has no plotting library and a page needs no more than this."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 640, 360, 56, 16, 16, 96
COLOURS = ("#0b62a4", "#c2410c", "#15803d", "#7e22ce", "#525252")


@dataclass(frozen=True)
class Curve:
    """Shares in [0, 1] of several seeds at each number of pairs."""

    name: str
    points: Mapping[int, Sequence[float]]


def draw_curves(curves: Sequence[Curve], label: str, axis: str = "training pairs") -> str:
    """Means against a logarithmic axis, with one standard deviation up and down.

    Raises:
        ValueError: there is no curve.
    """
    if not curves:
        raise ValueError("there is no finished run to draw a curve of")
    counts = sorted({count for curve in curves for count in curve.points})
    body = [_grid(counts), _words(label, axis)]
    body += [_curve(curve, i, counts) for i, curve in enumerate(curves)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
    return f'{head} font-size="12"><rect width="100%" height="100%" fill="white"/>{"".join(body)}</svg>\n'


def _x(count: int, counts: Sequence[int]) -> float:
    low, high = math.log(counts[0]), math.log(counts[-1])
    place = (math.log(count) - low) / (high - low) if high > low else 0.5
    return LEFT + 20 + place * (WIDTH - LEFT - RIGHT - 40)


def _y(share: float) -> float:
    return TOP + (1.0 - min(1.0, max(0.0, share))) * (HEIGHT - TOP - BOTTOM)


def _grid(counts: Sequence[int]) -> str:
    lines = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = _y(share)
        lines.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>')
        lines.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{share:g}</text>')
    marks = (f'<text x="{_x(n, counts):.1f}" y="{_y(0) + 18:.1f}" text-anchor="middle">{n}</text>' for n in counts)
    return "".join([*lines, *marks])


def _words(label: str, axis: str) -> str:
    middle = (_y(0) + _y(1)) / 2
    turned = f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(label)}</text>'
    return f'{turned}<text x="{WIDTH / 2:.0f}" y="{_y(0) + 36:.0f}" text-anchor="middle">{escape(axis)}</text>'


def _curve(curve: Curve, number: int, counts: Sequence[int]) -> str:
    colour = COLOURS[number % len(COLOURS)]
    shift = 4.0 * (number - 1.5)  # so that the bars of two curves are seen side by side
    places = [(_x(count, counts) + shift, curve.points[count]) for count in sorted(curve.points)]
    means = [(x, statistics.mean(values)) for x, values in places]
    path = " ".join(f"{x:.1f},{_y(mean):.1f}" for x, mean in means)
    parts = [f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>']
    for (x, values), (_, mean) in zip(places, means, strict=True):
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        ends = f'y1="{_y(mean - spread):.1f}" y2="{_y(mean + spread):.1f}"'
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" {ends} stroke="{colour}"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{_y(mean):.1f}" r="3" fill="{colour}"/>')
    x, y = LEFT + 20 + 290 * (number % 2), _y(0) + 58 + 18 * (number // 2)
    key = f'<line x1="{x}" x2="{x + 24}" y1="{y - 4:.0f}" y2="{y - 4:.0f}" stroke="{colour}" stroke-width="2"/>'
    return "".join([*parts, key, f'<text x="{x + 30}" y="{y:.0f}">{escape(curve.name)}</text>'])
