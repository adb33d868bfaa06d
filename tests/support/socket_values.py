"""Hypothesis strategies for what may arrive at a node, by socket type."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from hypothesis import strategies as st

SIZE = 16  # pixels of the usual clip
Values = st.SearchStrategy[Any]


def nonsense() -> Values:
    """What no socket wants."""
    return st.sampled_from(["nonsense", "", 7, -1, 2.5, math.nan, True, [], {}, b"bytes", object(), (None,)])


def whole_numbers(least: float | None, most: float | None) -> tuple[Values, Values]:
    """Small ones within the limits; and those at the limits and beyond."""
    low, high = int(least or 0), int(min(most if most is not None else 64, (least or 0) + 40))
    return st.integers(low, max(low, high)), st.sampled_from([low, low - 1, -5, 10**9, 10**12, 2**63])


def numbers(least: float | None, most: float | None) -> tuple[Values, Values]:
    """Within the limits; and at them, beyond, and no numbers."""
    low, high = (0.0 if least is None else least), (1.0 if most is None else most)
    odd = [low, high, low - 1, high * 2 + 1, math.nan, math.inf, -math.inf]
    return st.floats(low, high), st.sampled_from(odd)


def texts(usual: str) -> tuple[Values, Values]:
    """What the schema has, or a word; and any characters, paths that lead elsewhere, patterns without end."""
    odd = ["", " ", "a\0b", "\ud800", "../../up", "/etc/passwd", "C:\\x", "CON", "a" * 400, "regex:(a|aa)+$", "regex:(",
           "0.25, 0.5, 0.75", "q, k", "[VIDEO] [CONDITION]", "{condition}{0.__class__}", "%s", "nan"]  # fmt: skip
    return st.sampled_from([usual, "a ball", "ball 2"]), st.one_of(st.sampled_from(odd), st.text(max_size=40))


def choices(options: list[str]) -> Values:
    """One of a combo's; of files the good ones half of the time, whose names have no second dot."""
    whole = [name for name in options if str(name).count(".") < 2]
    return st.sampled_from(options) | st.sampled_from(whole or options)


@st.composite
def images(draw: st.DrawFn) -> Any:
    """An IMAGE as it should be, or of odd sizes, types and values."""
    frames = draw(st.sampled_from([1, 5, 9, 9, 9, 21, 21, 0]))
    height, width = draw(st.sampled_from([(SIZE, SIZE), (32, 16), (16, 32), (SIZE, SIZE), (1, 1), (3, 7), (64, 64)]))
    channels = draw(st.sampled_from([3] * 12 + [4, 1]))
    clip = torch.rand(frames, height, width, channels, generator=torch.Generator().manual_seed(draw(st.integers(0, 3))))
    kind = draw(st.sampled_from(["as it is"] * 40 + ["bytes", "bright", "nan", "inf", "half", "flat", "signed"]))
    if kind in ("nan", "inf") and clip.numel():
        clip.view(-1)[0] = math.nan if kind == "nan" else math.inf
    changes: dict[str, Callable[[], Any]] = {
        "bytes": lambda: (clip * 255).byte(), "bright": lambda: clip * 255, "half": clip.half,
        "flat": lambda: clip.reshape(-1), "signed": lambda: clip * 2 - 1,
    }  # fmt: skip
    return changes.get(kind, lambda: clip)()


class BrokenVideo:
    """A VIDEO whose file is gone."""

    def get_components(self) -> Any:
        raise OSError(2, "No such file or directory")


class StillVideo:
    """A VIDEO of one rate, right or wrong."""

    def __init__(self, rate: Any) -> None:
        self.rate = rate

    def get_frame_rate(self) -> Any:
        return self.rate

    def get_components(self) -> Any:
        return type("Components", (), {"images": torch.zeros(9, SIZE, SIZE, 3), "frame_rate": self.rate})


def clips() -> Values:
    """IMAGEs as they should be."""
    sizes = st.tuples(st.sampled_from([1, 5, 9, 9, 21]), *[st.sampled_from([SIZE, SIZE, 32])] * 2)
    return sizes.map(lambda size: torch.rand(*size, 3, generator=torch.Generator().manual_seed(size[0])))


def videos() -> Values:
    """VIDEOs that play and that do not."""
    return st.builds(StillVideo, st.sampled_from([16, 24.0, 0, -1, math.nan, math.inf, "x"])) | st.builds(BrokenVideo)


@st.composite
def latents(draw: st.DrawFn) -> Any:
    """A LATENT of the tiny video model, or of other shapes and values."""
    shape = draw(
        st.sampled_from([(1, 16, 3, 4, 4), (2, 16, 7, 4, 4), (1, 4, 8, 8), (1, 16, 1, 1, 1), (0, 16, 3, 4, 4)])
    )
    samples = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    samples = samples * draw(st.sampled_from([1.0] * 10 + [0.0, math.nan]))
    layout = {"condition": 1, "buffer": 0, "target": shape[2] - 1, "levels": [], "compression": 4, "target_frames": 8}
    more = draw(st.sampled_from([{}, {"tic_ft": layout}, {"tic_ft": {}}, {"noise_mask": samples[:, :1]}]))
    return {"samples": samples, **more}


def fitting_latents(world: str) -> Values:
    """LATENTs of a world's model, as they should be."""
    if world == "image":
        return st.sampled_from([1, 3]).map(lambda frames: {"samples": torch.full((frames, 4, 4, 4), 0.5)})
    layout = {"condition": 1, "buffer": 0, "target": 2, "levels": [], "compression": 4, "target_frames": 8}
    more = st.sampled_from([{}, {"tic_ft": layout}, {"tic_ft": layout}])
    return more.map(lambda more: {"samples": torch.ones(1, 16, 3, 4, 4), **more})


def texts_encoded() -> Values:
    """CONDITIONINGs of the tiny models' width, as they should be."""
    return st.integers(0, 3).map(
        lambda seed: [[torch.randn(1, 5, 32, generator=torch.Generator().manual_seed(seed)), {}]]
    )


@st.composite
def conditionings(draw: st.DrawFn) -> Any:
    """A CONDITIONING of the tiny model's width, or of another, of none, or of several prompts."""
    width, count = draw(st.sampled_from([32] * 10 + [64, 768])), draw(st.sampled_from([1] * 10 + [0, 2]))
    tokens = torch.randn(draw(st.sampled_from([1, 1, 2])), 5, width, generator=torch.Generator().manual_seed(2))
    tokens = tokens * draw(st.sampled_from([1.0] * 10 + [math.nan]))
    return [[tokens, draw(st.sampled_from([{}, {"pooled_output": None}, {"pooled_output": tokens[0, :1]}]))]] * count


def sigmas(good: bool = False) -> Values:
    """SIGMAS of few steps, or of none, rising, far away, no numbers, or of another shape."""
    odd = [[], [1.0], [0.0, 1.0], [1e9, 1.0, 0.0], [1.0, -1.0], [1.0, 1.0], [math.nan, 0.0], [math.inf, 0.0],
           [[1.0, 0.0]]]  # fmt: skip
    levels = [[1.0, 0.0], [0.9, 0.4, 0.0], *([] if good else odd)]
    return st.sampled_from(levels).map(lambda levels: torch.tensor(levels))


def loras(good: bool = False) -> Values:
    """A LORA_MODEL for the tiny model, for another, damaged or empty."""
    key = "diffusion_model.blocks.0.self_attn.q"

    def pair(rank: int, width: int, value: float, half: bool) -> dict[str, torch.Tensor]:
        up = {f"{key}.lora_up.weight": torch.full((width, rank), value)}
        return up if half else {**up, f"{key}.lora_down.weight": torch.ones(rank, width)}

    if good:
        return st.builds(pair, st.sampled_from([1, 4]), st.just(48), st.just(0.1), st.just(False))
    made = st.builds(
        pair, st.sampled_from([1, 4]), st.sampled_from([48, 7]), st.sampled_from([0.1, math.nan]), st.booleans()
    )
    return made | st.just({}) | st.just({"lora_te.x": torch.zeros(2)}) | st.just({key: "no tensor"})


def settings(good: bool = False) -> Values:
    """TICFT_SETTINGS, whole or damaged."""
    from pack.methods.tic_ft import Layout
    from pack.training.tic_ft.layout import ticft_settings

    whole = ticft_settings("image to video", Layout.linear(1, 3, 2))
    if good:
        return st.just(whole)
    wrong = st.sampled_from([10**9, -1, "x", None, [], [math.nan], [0.5] * 1000, math.inf])
    return st.builds(lambda name, value: {**whole, name: value}, st.sampled_from(sorted(whole)), wrong)
