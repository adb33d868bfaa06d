"""A run says what it computes with, and warns of bases that were distilled."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import tiny_wan
import torch
from tic_ft_runs import train
from torch.nn.attention import SDPBackend, sdpa_kernel

from pack.nodes.host.runs.live_runs import run_list, run_table
from pack.nodes.host.runs.setup_line import distilled_word
from pack.nodes.host.session.session import attention_kernel
from pack.training.core.config import TrainConfig

pytestmark = pytest.mark.usefixtures("output")


def test_log_and_panel_name_kernel_type_weights_and_checkpointing(tmp_path, caplog):
    caplog.set_level("INFO")
    model = tiny_wan.load_tiny_wan(tiny_wan.save_tiny_wan(tmp_path / "wan_lightning_4steps.safetensors"))
    train(model, "told", settings=TrainConfig(checkpointing="blocks"), steps=2)
    said = [text for text in caplog.messages if "attention: " in text]
    assert len(said) == 1
    assert said[0].startswith("cpu in float32, 0.00 GiB of weights on it; attention: FlashAttentionForCpu; ")
    assert said[0].endswith("checkpointing blocks")
    notes = run_table(run_list()[0]["run"])["notes"]
    assert [note["text"] for note in notes if note["kind"] == "setup"] == said
    (warned,) = [note["text"] for note in notes if note["kind"] == "distilled"]
    assert warned.startswith("the base's name says lightning: training on a model that was distilled")


@pytest.mark.parametrize(
    ("mode", "words"),
    [("blocks", "1 of 2 blocks"), ("keep attention", "keep attention in 1 of 2 blocks"), ("off", "off")],
)
def test_log_and_panel_say_how_many_blocks_are_computed_again(model, caplog, mode, words):
    caplog.set_level("INFO")
    train(model, "some", settings=TrainConfig(checkpointing=mode, kept_blocks=1), steps=1)
    (said,) = [text for text in caplog.messages if "attention: " in text]
    assert said.endswith(f"; checkpointing {words}")
    (note,) = [note["text"] for note in run_table(run_list()[0]["run"])["notes"] if note["kind"] == "setup"]
    assert note == said


@pytest.mark.parametrize(
    ("backend", "name"),
    [(SDPBackend.MATH, "Math, which keeps the whole matrix"), (SDPBackend.FLASH_ATTENTION, "FlashAttentionForCpu")],
)
def test_the_kernel_is_the_one_that_ran(backend, name):
    q = torch.randn(1, 2, 8, 4, requires_grad=True)
    with sdpa_kernel(backend):
        output = torch.nn.functional.scaled_dot_product_attention(q, q, q)
    assert attention_kernel(output.transpose(1, 2).reshape(1, 8, 8)) == name
    assert attention_kernel(output.detach()) == ""


def model_of(name: str) -> Any:
    return SimpleNamespace(cached_patcher_init=(None, (f"/models/diffusion_models/{name}.safetensors", {})))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("wan2.2_t2v_lightx2v_4steps", "lightx2v"),
        ("Wan2_1-T2V-14B_CausVid", "CausVid"),
        ("ltxv-2b-0.9.8-distilled-fp8", "distilled"),
        ("sd_turbo", "turbo"),
        ("wan2.1_t2v_1.3B_bf16", None),
        ("cogvideox_5b", None),
        ("wan_48steps_of_mine", None),
        ("breakfast", None),
    ],
)
def test_a_distilled_base_is_known_by_the_name_of_its_file(name, word):
    assert distilled_word(model_of(name)) == word


def test_a_model_of_no_file_is_not_accused():
    assert distilled_word(SimpleNamespace(cached_patcher_init=None)) is None
    assert distilled_word(SimpleNamespace()) is None
