"""Hypothesis strategies for what may arrive at a node, by socket type, and what counts as a fair answer."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
OWN = [str(ROOT / folder) for folder in ("nodes", "training", "methods", "toy")]
SIZE = 16  # pixels of the usual clip
Values = st.SearchStrategy[Any]


def nonsense() -> st.SearchStrategy[Any]:
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


def videos() -> st.SearchStrategy[Any]:
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


@st.composite
def conditionings(draw: st.DrawFn) -> Any:
    """A CONDITIONING of the tiny model's width, or of another, of none, or of several prompts."""
    width, count = draw(st.sampled_from([32] * 10 + [64, 768])), draw(st.sampled_from([1] * 10 + [0, 2]))
    tokens = torch.randn(draw(st.sampled_from([1, 1, 2])), 5, width, generator=torch.Generator().manual_seed(2))
    tokens = tokens * draw(st.sampled_from([1.0] * 10 + [math.nan]))
    return [[tokens, draw(st.sampled_from([{}, {"pooled_output": None}, {"pooled_output": tokens[0, :1]}]))]] * count


def sigmas() -> Values:
    """SIGMAS of few steps, or of none, rising, far away, no numbers, or of another shape."""
    odd = [[], [1.0], [0.0, 1.0], [1e9, 1.0, 0.0], [1.0, -1.0], [1.0, 1.0], [math.nan, 0.0], [math.inf, 0.0],
           [[1.0, 0.0]]]  # fmt: skip
    return st.sampled_from([[1.0, 0.0], [0.9, 0.4, 0.0], *odd]).map(lambda levels: torch.tensor(levels))


def loras() -> st.SearchStrategy[Any]:
    """A LORA_MODEL for the tiny model, for another, damaged or empty."""
    key = "diffusion_model.blocks.0.self_attn.q"

    def pair(rank: int, width: int, value: float, half: bool) -> dict[str, torch.Tensor]:
        up = {f"{key}.lora_up.weight": torch.full((width, rank), value)}
        return up if half else {**up, f"{key}.lora_down.weight": torch.ones(rank, width)}

    made = st.builds(
        pair, st.sampled_from([1, 4]), st.sampled_from([48, 7]), st.sampled_from([0.1, math.nan]), st.booleans()
    )
    return made | st.just({}) | st.just({"lora_te.x": torch.zeros(2)}) | st.just({key: "no tensor"})


def settings() -> st.SearchStrategy[Any]:
    """TICFT_SETTINGS, whole or damaged."""
    from pack.methods.tic_ft import Layout
    from pack.training.tic_ft.layout import ticft_settings

    good = ticft_settings("image to video", Layout.linear(1, 3, 2))
    wrong = st.sampled_from([10**9, -1, "x", None, [], [math.nan], [0.5] * 1000, math.inf])
    return st.builds(lambda name, value: {**good, name: value}, st.sampled_from(sorted(good)), wrong) | st.just(good)


@cache
def things() -> dict[str, list[Any]]:
    """Objects of the host and of the pack, made once; a node changes none of them."""
    import aicl_runs
    import tiny_aicl
    import tiny_unet
    import tiny_vae
    import tuned_models
    import tuning_clips
    from clip_pairs import encoded_pairs
    from comfy.samplers import ksampler

    from pack.training.core.config import TrainConfig

    encoded = [encoded_pairs(frames=8), encoded_pairs(frames=9, conditions=0, clips=1), aicl_runs.clips_of(),
               tuning_clips.encoded_clips()]  # fmt: skip
    unet = tiny_unet.fresh_unet()
    return {
        "MODEL": [tiny_aicl.model_of("Wan 2.1"), tiny_aicl.model_of("CogVideoX 5B"), unet],
        "VAE": [tiny_vae.tiny_vae(), tiny_vae.tiny_ltxv_vae()],
        "SAMPLER": [ksampler(name) for name in ("euler", "dpmpp_2m", "dpmpp_sde", "lcm")],
        "FEWSHOT_ENCODED": encoded,
        "FEWSHOT_DATASET": [handle.dataset for handle in encoded],
        "FEWSHOT_TRAIN_SETTINGS": [TrainConfig(), TrainConfig(target_modules="nothing"), TrainConfig(warmup_steps=9)],
        "TUNE_A_VIDEO": [tuned_models.tuned_of(unet)],
        "AICL_ADAPTER": [tiny_aicl.host_adapter("Wan 2.1")],
        "AICL_ACTION": [tiny_aicl.action_of("Wan 2.1")],
    }


def values_for(entry: Any) -> Values:
    """What may arrive at an input of a schema: mostly what it is for, so that calls get far."""
    kinds = [getattr(kind, "io_type", kind) for kind in getattr(entry, "io_types", None) or [entry.io_type]]
    own: dict[str, Callable[[], tuple[Values, Values]]] = {
        "IMAGE": lambda: (images(), videos()), "LATENT": lambda: (latents(), latents()),
        "CONDITIONING": lambda: (conditionings(), conditionings()), "LORA_MODEL": lambda: (loras(), loras()),
        "SIGMAS": lambda: (sigmas(), sigmas()),
        "TICFT_SETTINGS": lambda: (settings(), settings()), "STRING": lambda: texts(entry.default or ""),
        "BOOLEAN": lambda: (st.booleans(), st.booleans()),
        "INT": lambda: whole_numbers(entry.min, entry.max), "FLOAT": lambda: numbers(entry.min, entry.max),
        "COMBO": lambda: (st.sampled_from([*(entry.options or ["nothing"])]), st.sampled_from(["nonsense", 3])),
    }  # fmt: skip
    kind = next((kind for kind in kinds if kind in own), None)
    usual, odd = own[kind]() if kind else (nonsense(), nonsense())
    known = next((kind for kind in kinds if kind in things()), None)
    usual = st.sampled_from(things()[known]) if known else usual
    return st.integers(0, 24).flatmap(lambda chance: nonsense() if chance == 0 else odd if chance == 1 else usual)


def calls(node: Any, steps: int = 2) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments for a node: all required ones, and some of the optional; runs are short."""
    required, optional = {}, {}
    for entry in node.define_schema().inputs:
        kept = optional if getattr(entry, "optional", False) else required
        kept[entry.id] = values_for(entry)
        if entry.id in ("steps", "appearance_steps"):
            kept[entry.id] = st.integers(0, steps) | st.sampled_from([-1, 2.5, 10**12])
    return st.fixed_dictionaries(required, optional=optional)


def complaint(error: BaseException) -> str:
    """What is wrong with an error as an answer to a user; empty for a fair one."""
    text = str(error)
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    if not isinstance(error, (ValueError, RuntimeError)) or not any(last.startswith(folder) for folder in OWN):
        return f"a bare {type(error).__name__} of {last}: {text[:300]}"
    if "\n" in text or not 20 <= len(text) <= 1500:
        return f"no sentence: {text[:300]!r}"
    return ""
