"""The training plan as text: what each way takes on this card, and what would fit which card. Memory in GiB."""

from __future__ import annotations

from collections.abc import Sequence

from .placement import CARDS, GIB, KEPT_BACK, Weights, computed_again, first_way
from .plan import MORE_HELP, Network, Row, StepShape, first_that_fits

WAY, CELL = 48, 9  # characters of a column


def report(rows: Sequence[Row], network: Network, asked: StepShape, free: float) -> str:
    """The plan as text.

    Args:
        rows: What was found.
        network: What was measured on.
        asked: The step that was planned for.
        free: Bytes of the device with no weights on it.
    """
    chosen = first_that_fits(rows, free)
    lines = [
        f"A step of {asked.clips} x {asked.frames} latents, {asked.tokens} tokens each; the weights take "
        f"{network.stored / GIB:.2f} GiB, and {free / GIB:.2f} GiB are free for weights and step.",
        _cells("way", "step", "on card", "lent", "total", "s/step"),
        *(_line(row, free, row is chosen) for row in rows),
        _verdict(rows, chosen, free),
        *_cards(rows, network),
    ]
    return "\n".join(lines)


def _cells(name: str, *cells: str) -> str:
    return f"{name:{WAY}}" + "".join(f"{cell:>{CELL}}" for cell in cells)


def _line(row: Row, free: float, chosen: bool) -> str:
    resident = row.weights.resident(row.step, free)
    mark = "<- first that fits" if chosen else "" if resident is not None else "too large"
    # Where it does not fit, nothing else could lie on the card beside it.
    here = 0.0 if resident is None and row.weights.buffer < row.weights.whole else resident
    here = row.weights.whole if here is None else here
    lent = row.weights.whole - here
    total = row.step + here + (row.weights.buffer if lent else 0.0)
    sizes = (f"{value / GIB:.2f}" for value in (row.step, here, lent, total))
    return f"{_cells(row.name, *sizes, f'{row.seconds:.2f}')}  {mark}".rstrip()


def _verdict(rows: Sequence[Row], chosen: Row | None, free: float) -> str:
    if chosen is None:
        return f"None of these fits. What else helps: smaller frames or a lower rank; else {MORE_HELP}."
    if not chosen.by_settings:
        leanest = [row for row in rows if row.by_settings][-1]
        return f"The settings alone do not fit. Use {leanest.name} {chosen.name}."
    lent = "" if chosen.fits_whole(free) else "; lending weights to the card, layer by layer, takes time"
    return f"The settings that come out have {chosen.name}{lent}."


def _cards(rows: Sequence[Row], network: Network) -> list[str]:
    """What this step would do on the usual cards, where weights can be lent."""
    steps = {row.checkpointing: row.step for row in rows if row.by_settings and not row.kept}
    lines = [f"On other cards, {KEPT_BACK / GIB:.0f} GiB of each left to others:"]
    for card in CARDS:
        way = first_way(steps, Weights(network.stored, network.buffer), card * GIB - KEPT_BACK, network.depth)
        if way is None:
            what = "too small"
        else:
            whole = network.stored
            weights = "all weights on it" if way.most >= whole else f"{way.most / GIB:.1f} of {whole / GIB:.1f} GiB"
            what = f"checkpointing {computed_again(way.checkpointing, way.kept, network.depth)}, {weights}"
        lines.append(f"  {card:2d} GB: {what}")
    return lines
