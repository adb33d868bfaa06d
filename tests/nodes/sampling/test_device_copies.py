"""Values brought to the device while it samples: each copy makes the card wait for what was asked of it before."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import tiny_aicl
import tiny_families
import tiny_sampling as tiny
import tiny_vision
import torch
from comfy.context_windows import IndexListContextWindow
from comfy.patcher_extension import WrappersMP
from comfy_extras.nodes_context_windows import ContextWindowsManualNode
from pretended_device import COPIES, pretended_host

from pack.methods.tic_ft import Layout
from pack.nodes.host.aicl.adapter import HostAdapter
from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.sampling.wrappers import Context
from pack.training.data.known_frames import FEATURES, KNOWN, UNKNOWN

LAYOUT = Layout.linear(1, 3, 9)
WAN, IMAGE = "Wan 2.1", "Wan 2.1 I2V"


def known_frames() -> dict[str, torch.Tensor]:
    """As those of a context for Wan 2.1 image-to-video, of random numbers."""
    generator = torch.Generator().manual_seed(2)
    shape = (1, 16, LAYOUT.frames, tiny.SIZE, tiny.SIZE)
    known = {KNOWN: torch.randn(shape, generator=generator), UNKNOWN: torch.ones(1, 4, *shape[2:])}
    known[UNKNOWN][:, :, :1] = 0.0
    return {**known, FEATURES: torch.randn(1, tiny_vision.TOKENS, tiny_vision.CHANNELS, generator=generator)}


def with_context(model: Any, steps: int, known: dict[str, torch.Tensor] | None = None, change: Any = None) -> Any:
    start = tiny.scene(LAYOUT, model=model)
    ready = Context(LAYOUT, start.x0, True, known, extra_steps=False).put_on(model)
    ready = ready if change is None else change(ready)
    return tiny.sample(ready, start, "dpmpp_2m", steps=steps, cfg=2.0)


def windowed(model: Any) -> Any:
    options = {"context_schedule": "standard_static", "context_stride": 1, "closed_loop": False}
    options |= {"fuse_method": "pyramid", "dim": 2, "freenoise": False}
    return ContextWindowsManualNode.execute(model, 8, 2, **options).args[0]


def with_one_window(model: Any) -> Any:
    """The network sees frames 0 and 5 to 12 alone; the host's own node asks for more than the pretence can."""

    def cut(executor: Any, x: torch.Tensor, timestep: torch.Tensor, *args: Any, **options: Any) -> torch.Tensor:
        transformer = options.get("transformer_options") or next(a for a in args if isinstance(a, dict))
        index = [0, *range(5, LAYOUT.frames)]
        transformer["context_window"] = IndexListContextWindow(index, dim=2, total_frames=LAYOUT.frames)
        out = executor(torch.cat([x[:, :, :1], x[:, :, 5:]], 2), timestep, *args, **options)
        return torch.cat([out[:, :, :1], torch.zeros_like(x[:, :, 1:5]), out[:, :, 1:]], 2)

    clone = model.clone()
    before = clone.wrappers[WrappersMP.DIFFUSION_MODEL]
    clone.wrappers[WrappersMP.DIFFUSION_MODEL] = {"window": [cut], **before}
    return clone


def with_action(model: Any, steps: int) -> Any:
    action = tiny_aicl.action_of(WAN, (0,), HostAdapter(tiny_aicl.random_adapter(WAN), "the test's adapter"))
    return tiny_aicl.sample(apply_action(model, action, 1.0), WAN, tiny_aicl.start(WAN), steps, 2.0)


RUNS = {
    "a context": (WAN, with_context),
    "a context window": (WAN, lambda model, steps: with_context(model, steps, change=with_one_window)),
    "known frames": (IMAGE, lambda model, steps: with_context(model, steps, known_frames())),
    "an action": (WAN, with_action),
}


def copies(what: str, steps: int, patch: pytest.MonkeyPatch) -> Counter[str]:
    """Of a run, by line."""
    name, sample = RUNS[what]
    model = tiny_families.fresh_model_of(name)
    tiny_families.model_of(name)  # which the action is made of: no file can be read in there
    with torch.inference_mode(), pretended_host(patch, model):
        sample(model, steps)
    return Counter(COPIES)


@pytest.mark.parametrize("what", RUNS)
def test_a_run_of_more_steps_copies_no_more_to_the_device(what, monkeypatch):
    few, many = (copies(what, steps, monkeypatch) for steps in (2, 5))
    assert sum(few.values()) > 0
    assert many == few


@pytest.mark.parametrize("windows", [False, True])
def test_known_frames_are_put_together_once_a_run_unless_windows_cut_them(windows, monkeypatch):
    model = tiny_families.fresh_model_of(IMAGE)
    kind, asked = type(model.model), []
    own = kind.concat_cond

    def counted(self: Any, **given: Any) -> Any:
        if "concat_latent_image" in given:
            asked.append(given["noise"].shape)
        return own(self, **given)

    monkeypatch.setattr(kind, "concat_cond", counted)
    with torch.inference_mode():
        with_context(model, 4, known_frames(), windowed if windows else None)
    assert len(asked) == (4 * 4 if windows else 1)  # 9 targets in windows of 4 that move on by 2
