"""``loss.png`` of a run: its losses over the steps, for a look without ComfyUI."""

from __future__ import annotations

import contextlib
import io
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..storage.atomic import write_atomically
from .history import History

if TYPE_CHECKING:
    from .monitor import RunInfo
    from .reporter import Entry

PLOT_FILE = "loss.png"
EVERY = 30.0  # seconds between two drawings while the run goes on
SIZE = (960, 540)  # pixels
LEFT, TOP, RIGHT, BOTTOM = 80, 48, 24, 56  # margins, pixels
# Okabe and Ito's colours, which colour-blind people can tell apart.
INK, GRID, RAW, SMOOTHED = (40, 40, 40), (225, 225, 225), (170, 200, 225), (0, 114, 178)
HELD_OUT = ((213, 94, 0), (0, 158, 115), (204, 121, 167), (230, 159, 0), (86, 180, 233))
TICKS = 5

Points = list[tuple[float, float]]


class LossPlot:
    """The sink that keeps the picture up to date; it stands behind the history it draws."""

    def __init__(self, history: History, clock: Callable[[], float] = time.monotonic) -> None:
        self.history, self.clock = history, clock
        self.path: Path | None = None
        self.drawn = clock()

    def begin(self, run: RunInfo, step: int, earlier: list[Entry]) -> list[Entry]:  # noqa: ARG002 - a sink's order
        """Know where to draw."""
        self.path, self.drawn = Path(run.folder) / PLOT_FILE, self.clock()
        return earlier

    def add(self, entry: Entry) -> None:
        """Draw at the end of a run and now and then before it."""
        due = entry["kind"] == "ended" or (entry["kind"] != "started" and self.clock() - self.drawn >= EVERY)
        if due and self.path is not None and self.path.parent.is_dir():
            self.drawn = self.clock()
            with contextlib.suppress(OSError):  # open in a viewer, or a full disk: the next drawing may do
                write_atomically(self.path, draw_losses(self.history.table()))


def draw_losses(table: dict[str, Any]) -> bytes:
    """PNG of a history's ``table``: loss, smoothed loss and validation losses over steps.

    The scale leaves out the highest fiftieth of the losses, which would press the rest flat.
    """
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", SIZE, "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=13)
    lines = plot_lines(table)
    every = [y for _, points, *_ in lines for _, y in points]
    frame = Frame(
        last=max([1.0, float(table["steps"]), *(x for _, points, *_ in lines for x, _ in points)]), top=scale_top(every)
    )
    for i in range(TICKS + 1):
        y = frame.y(frame.top * i / TICKS)
        x = frame.x(frame.last * i / TICKS)
        draw.line([(LEFT, y), (SIZE[0] - RIGHT, y)], fill=GRID)
        draw.text((LEFT - 8, y), f"{frame.top * i / TICKS:.3g}", fill=INK, font=font, anchor="rm")
        draw.text((x, SIZE[1] - BOTTOM + 8), f"{frame.last * i / TICKS:.0f}", fill=INK, font=font, anchor="ma")
    for _, points, colour, marked in lines:
        spots = [(frame.x(x), frame.y(y)) for x, y in points]
        draw.line(spots, fill=colour, width=2)
        for x, y in spots if marked or len(spots) == 1 else ():
            draw.ellipse([x - 3, y - 3, x + 3, y + 3], fill=colour)
    _write_words(draw, font, table, lines)
    file = io.BytesIO()
    image.save(file, format="PNG")
    return file.getvalue()


class Frame:
    """Where a step and a loss lie in the picture."""

    def __init__(self, last: float, top: float) -> None:
        self.last, self.top = last, top

    def x(self, step: float) -> float:
        return LEFT + (SIZE[0] - LEFT - RIGHT) * step / self.last

    def y(self, loss: float) -> float:
        return SIZE[1] - BOTTOM - (SIZE[1] - TOP - BOTTOM) * min(loss, self.top) / self.top


def plot_lines(table: dict[str, Any]) -> list[tuple[str, Points, tuple[int, int, int], bool]]:
    """Name, points, colour and whether points are marked, of every line that has points."""
    curve, held_out = table["curve"], table["validation"]
    lines = [("loss", curve, "loss", RAW, False), ("smoothed", curve, "smoothed", SMOOTHED, False)]
    names = [name for name in held_out if name != "steps"]
    lines += [(f"validation {name}", held_out, name, HELD_OUT[i % len(HELD_OUT)], True) for i, name in enumerate(names)]
    found = [
        (label, _points(data["steps"], data.get(name, [])), colour, marked)
        for label, data, name, colour, marked in lines
    ]
    return [line for line in found if line[1]]


def scale_top(losses: Sequence[float]) -> float:
    """A round number above all but the highest fiftieth of the losses; 1 without any."""
    ranked = sorted(losses)
    high = ranked[(len(ranked) - 1) * 49 // 50] if ranked else 0.0
    if high <= 0.0:
        return 1.0
    unit = 10.0 ** math.floor(math.log10(high * 1.05))
    return next(step * unit for step in (1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0) if step * unit >= high * 1.05)


def _points(steps: Sequence[Any], values: Sequence[Any]) -> Points:
    return [(float(x), float(y)) for x, y in zip(steps, values, strict=False) if y is not None]


def _write_words(draw: Any, font: Any, table: dict[str, Any], lines: Sequence[Any]) -> None:
    name = "".join(letter if letter.isascii() else "?" for letter in table["name"])  # what the font can write
    draw.text((LEFT, 16), f"{name}: step {table['step']} of {table['steps']}", fill=INK, font=font)
    draw.text((SIZE[0] - RIGHT, SIZE[1] - 20), "step", fill=INK, font=font, anchor="rm")
    x = SIZE[0] - RIGHT
    for label, _, colour, _ in reversed(lines):
        x -= int(draw.textlength(label, font=font)) + 8
        draw.text((x, 16), label, fill=INK, font=font)
        x -= 24
        draw.line([(x, 22), (x + 18, 22)], fill=colour, width=3)
        x -= 8
