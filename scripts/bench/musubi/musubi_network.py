"""Musubi-tuner's own Wan network, LoRA and checkpointing out of a checkout, as a trainer and beside ours."""

from __future__ import annotations

import importlib
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from parts import bare_loop
from parts.train_modes import CHANNELS, TEXT_DIM, TOKENS, Stepped, Work
from torch import Tensor, nn

BF16 = {"musubi, bf16": True, "musubi, bf16, checkpointing": True, "musubi, fp32": False,
        "musubi, fp32, checkpointing": False}  # fmt: skip
CHECKPOINTING = ", checkpointing"
FP32 = re.compile(r"time_embedding|time_projection|blocks\.\d+\.norm3")  # which a card's autocast computes in fp32


def start(checkout: Path) -> None:
    """Make musubi's modules importable, but for those of text encoder and VAE, which need further packages.

    Raises:
        SystemExit: there is no checkout of musubi-tuner, or a package that it needs is missing.
    """
    source = checkout / "src" / "musubi_tuner"
    if not (source / "wan" / "modules" / "model.py").is_file():
        raise SystemExit(
            f"{checkout} has no src/musubi_tuner/wan/modules/model.py; clone kohya-ss/musubi-tuner and give its folder"
        )
    sys.path.insert(0, str(source.parent))
    for name in ("wan", "wan.modules"):  # so that their own __init__, which imports all the rest, is not run
        package = ModuleType(f"musubi_tuner.{name}")
        package.__path__ = [str(source.joinpath(*name.split(".")))]
        sys.modules[package.__name__] = package
    try:
        part("wan.modules.model")
    except ImportError as error:
        raise SystemExit(f"musubi-tuner cannot be imported here: {error}; install what is missing") from error
    logging.getLogger().setLevel(logging.WARNING)  # its modules turn all notes on


def part(name: str) -> Any:
    """A module of musubi's; call ``start`` first."""
    return importlib.import_module(f"musubi_tuner.{name}")


def network(work: Work, dim: int, bf16: bool) -> nn.Module:
    """Its network for Wan 2.1 with the weights of the file, frozen, in the types its trainer gives them."""
    from safetensors.torch import load_file

    sizes = {"in_dim": CHANNELS, "out_dim": CHANNELS, "dim": dim, "ffn_dim": 4 * dim, "num_heads": max(1, dim // 64)}
    sizes |= {"freq_dim": 64, "text_dim": TEXT_DIM, "text_len": TOKENS, "num_layers": work.layers}
    made = part("wan.modules.model").WanModel(attn_mode="torch", **sizes)
    made.load_state_dict(load_file(work.path))
    if bf16:
        made.to(torch.bfloat16)
        for name, module in made.named_modules():
            if FP32.fullmatch(name):
                module.float()
    return made.requires_grad_(False).eval()


def add_lora(made: nn.Module, rank: int) -> Any:
    """Its LoRA on the attention projections alone, where ours are; the scale is 1, as ours."""
    exclude = repr([r".*\.ffn\..*"])
    lora = part("networks.lora_wan").create_arch_network(1.0, rank, rank, None, [], made, exclude_patterns=exclude)
    lora.apply_to(None, made, apply_text_encoder=False, apply_unet=True)
    lora.prepare_grad_etc(made)
    lora.train()
    return lora


def predict(made: Any, bf16: bool, checkpointing: bool, xt: Tensor, sigma: Tensor, context: Tensor) -> Tensor:
    """Velocity as its trainer calls the network: under autocast, and with inputs that ask for gradients."""
    if checkpointing:
        xt, context = xt.requires_grad_(), context.requires_grad_()
    tokens = xt.shape[2] * (xt.shape[3] // 2) * (xt.shape[4] // 2)
    with torch.autocast(xt.device.type, torch.bfloat16, enabled=bf16):
        return torch.stack(made(xt, t=sigma * 1000, context=list(context), seq_len=tokens))


def make(mode: str, work: Work, dim: int) -> Stepped:
    """A trainer by its name in ``BF16``; calling it makes a step."""

    def run(between: Any) -> None:
        from pack.methods.tic_ft import Layout

        with torch.inference_mode(False):
            made, checkpointing = network(work, dim, BF16[mode]), mode.endswith(CHECKPOINTING)
            trained = list(add_lora(made, work.rank).parameters())
            if checkpointing:
                made.enable_gradient_checkpointing()
                made.train()
            layout = Layout.linear(1, 3, work.frames - 4)
            predicting = partial(predict, made, BF16[mode], checkpointing)
            step = bare_loop.step_of(predicting, trained, *work.data(), layout.max_sigmas(), layout.prefix, 1)
            while True:
                step()
                between()

    return Stepped(run, work.threads)


@contextmanager
def full_attention() -> Iterator[None]:
    """Its attention in the type it is given: it computes it in bf16 also where all else is fp32."""

    def attention(qkv: list[Tensor], **_others: Any) -> Tensor:
        q, k, v = (each.transpose(1, 2) for each in qkv)
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)

    with patch.object(part("wan.modules.model"), "flash_attention", attention):
        yield
