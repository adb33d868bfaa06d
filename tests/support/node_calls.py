"""Calls of a node as Hypothesis makes them up: mostly what its inputs are for, and what they are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from fuzz_things import WORLDS, strangers, things, usual_world
from hypothesis import strategies as st
from socket_values import (
    SIZE,
    Values,
    choices,
    clips,
    conditionings,
    fitting_latents,
    images,
    latents,
    loras,
    nonsense,
    numbers,
    settings,
    sigmas,
    texts,
    texts_encoded,
    videos,
    whole_numbers,
)

ODD = st.sampled_from([0, 0, 0, 1, 1, 3])  # arguments of a call that are not what they are for
# Few and small numbers where more make a call long, or where few values mean anything.
SMALL: dict[str, list[Any]] = {
    "width": [16, 32], "height": [16, 32], "target_frames": [8], "frames": [3, 5, 8], "index": [0, 1, 2],
    "steps": [1, 2], "appearance_steps": [0, 1], "batch_size": [1, 2], "rank": [1, 4], "count": [1, 2, 3],
    "learning_rate": [1e-4, 1e-2], "iterations": [1, 2], "cell_width": [32, 64], "checkpoints": [1, 2],
    "stride": [1, 1, 2], "start": [0, 1], "overlap_latents": [1], "run_name": ["", "run", "run", "a ball"],
    "task": ["image to video", "image to video", "video to video"], "format": ["ComfyUI", "diffusers", "kohya"],
    "condition_latents": [-1, -1, 1], "buffer_latents": [-1, -1, 1, 3], "buffer_levels": ["", "0.25, 0.5, 0.75"],
    "condition": [torch.full((1, SIZE, SIZE, 3), 0.5)],
}  # fmt: skip


def values_for(entry: Any, world: str) -> tuple[Values | None, Values]:
    """What an input of a schema is for, None where the fuzzer has nothing of the kind; and what else may arrive."""
    kinds = [getattr(kind, "io_type", kind) for kind in getattr(entry, "io_types", None) or [entry.io_type]]
    own: dict[str, Callable[[], tuple[Values, Values]]] = {
        "IMAGE": lambda: (clips(), images() | videos()), "LATENT": lambda: (fitting_latents(world), latents()),
        "CONDITIONING": lambda: (texts_encoded(), conditionings()), "LORA_MODEL": lambda: (loras(good=True), loras()),
        "SIGMAS": lambda: (sigmas(good=True), sigmas()), "TICFT_SETTINGS": lambda: (settings(good=True), settings()),
        "STRING": lambda: texts(entry.default or ""), "BOOLEAN": lambda: (st.booleans(), nonsense()),
        "INT": lambda: whole_numbers(entry.min, entry.max), "FLOAT": lambda: numbers(entry.min, entry.max),
        "COMBO": lambda: (choices(entry.options or ["nothing"]), st.sampled_from(["nonsense", 3])),
    }  # fmt: skip
    kind = next((kind for kind in kinds if kind in own), None)
    usual, odd = own[kind]() if kind else (None, nonsense())
    if entry.id in SMALL:
        usual = st.sampled_from(SMALL[entry.id])
    elif usual is not None and getattr(entry, "default", None) not in (None, ""):
        usual = usual | st.just(entry.default)
    known = next((kind for kind in kinds if kind in strangers()), None)
    if known:
        usual = st.sampled_from(things(world)[known]) if known in things(world) else None
        odd = st.sampled_from(strangers()[known])
    return usual, nonsense() | odd | odd


def calls(node: Any) -> Values:
    """Arguments for a node: what they are for, so that a call gets far, but for none, one or some of them.

    The schema is asked once, as a call may change which files there are to choose from.
    """
    schema = node.define_schema()
    optional = {entry.id: getattr(entry, "optional", False) for entry in schema.inputs}
    made = {world: {entry.id: values_for(entry, world) for entry in schema.inputs} for world in WORLDS}
    return _calls(made, optional, st.sampled_from([*[usual_world(schema.node_id)] * 9, *WORLDS]))


def chances(name: str) -> int:
    """In how many calls an optional input is connected once; what makes a call short or useful is in all."""
    return 1 if name in ("condition", "appearance_steps") else 8 if name[-2:] in ("_2", "_3", "_4") else 3


@st.composite
def _calls(
    draw: st.DrawFn, made: dict[str, dict[str, tuple[Values | None, Values]]], optional: dict[str, bool], worlds: Values
) -> dict[str, Any]:
    values: dict[str, Any] = {}
    made_here, names = made[draw(worlds)], list(optional)
    strange = {names[draw(st.integers(0, len(names) - 1))] for _ in range(draw(ODD))} if names else set()
    for name, (usual, odd) in made_here.items():
        if name in strange:
            values[name] = draw(odd)
        elif not optional[name] or (usual is not None and draw(st.integers(1, chances(name))) == 1):
            values[name] = draw(odd if usual is None else usual)
    return values
