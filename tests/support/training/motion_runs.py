"""Run the motion trainer as the executor does, on a tiny model and one random clip."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from clip_pairs import encoded_pairs

STEPS, FIRST = 5, 4  # of the motion run, and of the appearance run
NAMES = ("motion", "appearance", "loss", "steps", "path")


def one_clip(frames: int = 9, clips: int = 1, **sizes: Any) -> Any:
    """FEWSHOT_ENCODED of one clip without conditions."""
    return encoded_pairs(clips=clips, frames=frames, conditions=0, **sizes)


def train(model: Any, run_name: str, **values: Any) -> dict[str, Any]:
    """The node as the executor runs it; its outputs by name."""
    from pack.nodes.motion import FewShotMotionTrain

    arguments = {
        "encoded": one_clip(), "rank": 4, "learning_rate": 0.02, "steps": STEPS, "seed": 1, "run_name": run_name,
        "appearance_steps": FIRST,
    }  # fmt: skip
    with torch.inference_mode():
        return dict(zip(NAMES, FewShotMotionTrain.execute(model, **{**arguments, **values}).result, strict=True))


@contextmanager
def heard(monkeypatch: Any) -> Iterator[list[dict[str, Any]]]:
    """What the network is shown in each step and what it answers, and the options it is called with."""
    from pack.nodes.host.session import session as training

    calls: list[dict[str, Any]] = []
    predict = training.HostPredictor.__call__

    def listen(self: Any, xt: Any, sigma: Any, conditioning: Any) -> Any:
        output = predict(self, xt, sigma, conditioning)
        options = self.model.model_options.get("transformer_options", {})
        calls.append({"xt": xt, "sigma": sigma, "conditioning": conditioning, "output": output.detach(),
                      "options": options})  # fmt: skip
        return output

    with monkeypatch.context() as patch:
        patch.setattr(training.HostPredictor, "__call__", listen)
        yield calls


def layers_of(lora: dict[str, Any]) -> set[str]:
    """Names of a LoRA's layers within the network, without the number of the block."""
    names = {key.removeprefix("diffusion_model.").split(".lora_")[0] for key in lora if ".lora_" in key}
    return {".".join(name.split(".")[2:]) for name in names}
