"""Where ComfyUI and diffusers are known to compute otherwise, and that one thing made alike in both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest.mock import patch

# By the first word of a family's name.
ALIKE = {"CogVideoX": "ComfyUI's last noise level in both", "Kandinsky": "diffusers' rounding to bf16 in both"}


def alike(subject: Any) -> AbstractContextManager[None]:
    """The one thing in which the two programs differ made alike while the context is open.

    CogVideoX: diffusers' schedule ends in pure noise and ComfyUI's at sigma 4519, so diffusers' scheduler gets that
    level. Kandinsky 5: diffusers rounds what RoPE has turned to bf16 whatever it computes in, so ComfyUI's does, too.
    ``subject`` is a family's network as ``parity.py`` has it.
    """
    import torch

    process = subject.video.process
    return _rounded() if subject.tiny.flow else _last_level(float(process.sigma_at(torch.ones(()))))


@contextmanager
def _rounded() -> Iterator[None]:
    import comfy.ldm.kandinsky5.model as network
    import torch

    turn = network.apply_rope1
    with patch.object(network, "apply_rope1", lambda x, turned: turn(x, turned).to(torch.bfloat16).to(x)):
        yield


@contextmanager
def _last_level(sigma: float) -> Iterator[None]:
    import diffusers_networks

    published = diffusers_networks.cogvideox_scheduler

    def scheduler(family: str) -> Any:
        made = published(family)
        made.alphas_cumprod[-1] = 1.0 / (1.0 + sigma**2)
        return made

    with patch.object(diffusers_networks, "cogvideox_scheduler", scheduler):
        yield
