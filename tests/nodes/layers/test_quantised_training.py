"""Training on bases in the quantised formats that people have: the gradients of what the layers compute, no copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import aicl_runs
import motion_runs
import packed_layers
import pytest
import quantised_files
import tic_ft_runs
import tiny_wan
import torch
import tuning_clips
from clip_pairs import encoded_pairs
from quantised_files import CONVROT, FP8, INT8, KINDS, MXFP8, NVFP4, W4A4, quantised_unet, quantised_wan, unpacking
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_families import WAN
from training_steps import loss_and_gradients, objective_of

from pack.nodes.host.layers.autograd import gradients, ordinary_weights
from pack.nodes.host.layers.stored_weights import stored_bytes, stored_parts
from pack.nodes.host.model.fingerprint import describe_base, model_fingerprint
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.plan import memory_profile, plan
from pack.nodes.host.session.memory_use import peak_memory
from pack.nodes.host.session.session import training_session
from pack.nodes.plan import FewShotTrainingPlan
from pack.training.core.config import TrainConfig
from pack.training.core.plan import MARGIN

pytestmark = pytest.mark.usefixtures("own_output")
CONFIG = TrainConfig(rank=4, batch_size=2)


@pytest.fixture(autouse=True)
def quiet(caplog) -> Iterator[None]:
    """Without the host's word on every product that a CPU has no kernel for."""
    with caplog.at_level("ERROR", logger="comfy_kitchen"):
        yield


def run(name: str, kind: str) -> str:
    """The name of a run of its own."""
    return f"{name} {kind.replace(',', '')}"


def same(first: Any, second: Any) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def distance(first: Any, second: Any) -> float:
    """Relative L2 distance of two LoRAs."""
    off = sum(float((first[key] - second[key]).square().sum()) for key in first)
    return (off / sum(float(second[key].square().sum()) for key in second)) ** 0.5


def pair(folder: Any, kind: str) -> tuple[Any, Any]:
    """A quantised model and the same numbers plain; a kind that the host does not know is left out."""
    if kind not in quantised_files.available():
        pytest.skip(f"this host does not know {kind}")
    return quantised_wan(folder, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_lora_trained_on_a_quantised_base_is_that_of_the_numbers_it_stands_for(tmp_path, kind):
    stored, plain = pair(tmp_path, kind)
    assert quantised_files.stored_parts(stored) == 20
    before = model_fingerprint(unpacking(stored))
    lora, losses, *_ = tic_ft_runs.train(stored, run("stored", kind))
    expected, others, *_ = tic_ft_runs.train(plain, run("plain", kind))
    assert losses == others
    assert same(lora, expected)
    of_the_run = {"fewshot_video.run_key", "modelspec.title", "ss_output_name"}
    assert {name for name in lora.metadata if lora.metadata[name] != expected.metadata.get(name)} == of_the_run
    assert model_fingerprint(stored) == before
    assert describe_base(stored) == describe_base(plain)


@pytest.mark.parametrize(
    ("kind", "loss", "far"),
    [
        (FP8, 0.04, 0.15),
        (INT8, 0.01, 0.08),
        (CONVROT, 0.01, 0.08),
        (MXFP8, 0.04, 0.15),
        (NVFP4, 0.06, 0.35),
        (W4A4, 0.1, 0.4),
    ],
)
def test_with_the_quantised_product_of_a_card_it_ends_close_by(tmp_path, kind, loss, far):
    stored, plain = pair(tmp_path, kind)
    lora, losses, *_ = tic_ft_runs.train(quantised_files.with_quantised_product(stored), run("product", kind))
    expected, others, *_ = tic_ft_runs.train(plain, run("expected", kind))
    assert losses != others  # else the product was not used
    assert losses["loss"] == pytest.approx(others["loss"], rel=loss)
    assert 0 < distance(lora, expected) < far


def others(folder: Any, kind: str) -> tuple[Any, Any]:
    """The same for weights that the host knows as no format: all of them plain fp8, or packed as GGUF node packs do."""
    import comfy.sd

    if kind == "packed":
        return packed_layers.load(folder), packed_layers.load(folder, unpacked=True)
    source = tiny_wan.save_tiny_wan(folder / "source.safetensors")
    with torch.inference_mode():
        stored = comfy.sd.load_diffusion_model(str(source), model_options={"dtype": torch.float8_e4m3fn})
    with safe_open(source, framework="pt") as file:
        metadata = file.metadata()
    numbers = {name: value.float().clone() for name, value in stored.model.diffusion_model.state_dict().items()}
    save_file(numbers, folder / "plain.safetensors", metadata=metadata)
    return stored, tiny_wan.load_tiny_wan(folder / "plain.safetensors")


@pytest.mark.parametrize("kind", ["plain fp8", "packed"])
def test_so_is_one_on_weights_that_are_stored_in_another_way_without_a_format(tmp_path, kind):
    stored, plain = others(tmp_path, kind)
    weights = stored.model.diffusion_model.blocks[0].ffn[0].weight
    assert stored_bytes([weights]) < weights.numel() * 2
    lora, losses, *_ = tic_ft_runs.train(stored, run("stored", kind))
    expected, told, *_ = tic_ft_runs.train(plain, run("expected", kind))
    assert losses["loss"] == pytest.approx(told["loss"], rel=1e-5)
    assert distance(lora, expected) < 1e-3


@pytest.mark.parametrize("kind", [*KINDS, "plain fp8", "packed"])
def test_the_plan_counts_the_weights_as_they_are_stored(tmp_path, monkeypatch, kind):
    models = pair(tmp_path, kind) if kind in KINDS else others(tmp_path, kind)
    report, told = plan.report, []

    def noted(rows: Any, network: Any, *rest: Any) -> str:
        told.append((rows, network))
        return report(rows, network, *rest)

    monkeypatch.setattr(plan, "report", noted)
    monkeypatch.setattr(memory_profile, "TIMED", 1)  # seconds are no matter here
    for model in models:
        with torch.inference_mode():
            FewShotTrainingPlan.execute(model, encoded=encoded_pairs(), rank=4, batch_size=1)
    (rows, network), (like, plain) = told
    assert (network.stored, plain.stored) == tuple(stored_bytes(one.model.parameters()) for one in models)
    assert network.stored < 0.5 * plain.stored
    steps = [[row.step for row in found if row.by_settings] for found in (rows, like)]
    more = {one - other for one, other in zip(*steps, strict=True)}
    if kind in KINDS:  # one layer at a time is unpacked
        assert max(more) == pytest.approx(min(more)) == pytest.approx(MARGIN * 512 * 256 * 4)
    assert 0 < max(more) < plain.stored / 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("product", [False, True])
def test_no_dequantised_copy_outlives_its_layer(tmp_path, kind, product):
    stored, plain = pair(tmp_path, kind)
    quantised_files.with_quantised_product(stored, product)
    peaks = {}
    for name, model in (("stored", stored), ("plain", plain)):
        kept: set[tuple[int, ...]] = set()

        def keep(tensor: torch.Tensor, kept: set[tuple[int, ...]] = kept) -> torch.Tensor:
            kept.add(tuple(tensor.shape))
            return tensor

        with torch.inference_mode(), training_session(video_model(model), CONFIG) as session:
            objective = objective_of(WAN, CONFIG, size=6)
            hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
            with hooks, peak_memory(session.device) as peak:
                loss_and_gradients(session, objective, CONFIG)
        peaks[name] = peak.bytes
        if name == "stored":
            assert not {(256, 256), (512, 256), (256, 512)} & kept
    largest = 512 * 256 * 4
    assert peaks["stored"] < peaks["plain"] + 3 * largest  # one layer, what it is made of, and its input in pieces
    assert 8 * largest < 20 * 256 * 256 * 4  # what all of them together would take


def test_autograd_is_shown_the_stored_numbers_themselves(tmp_path):
    network = quantised_wan(tmp_path, NVFP4)[0].model.diffusion_model
    weight = network.blocks[0].self_attn.q.weight
    places = [part.data_ptr() for part in stored_parts(weight)]
    with gradients(), ordinary_weights(network):
        shown = network.blocks[0].self_attn.q.weight
        assert shown is not weight
        assert not shown.is_inference()
        assert [part.data_ptr() for part in stored_parts(shown)] == places
        assert isinstance(shown, torch.nn.Parameter)
    assert network.blocks[0].self_attn.q.weight is weight
    assert stored_bytes([weight]) < 0.6 * weight.numel() < 4 * weight.numel()


@pytest.mark.parametrize("kind", [*KINDS, "plain fp8", "packed"])
def test_a_run_on_a_quantised_base_stops_and_goes_on_to_equal_bytes(tmp_path, monkeypatch, kind):
    import comfy.model_management

    stored, _ = pair(tmp_path, kind) if kind in KINDS else others(tmp_path, kind)
    whole, *_ = tic_ft_runs.train(stored, run("whole", kind))
    with monkeypatch.context() as patch:
        tic_ft_runs.interrupt_after(patch, 3)
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            tic_ft_runs.train(stored, run("parts", kind))
    parts, *_ = tic_ft_runs.train(stored, run("parts", kind))
    assert same(parts, whole)


@pytest.mark.parametrize("kind", [FP8, INT8])
def test_motion_and_aicl_train_on_quantised_bases(tmp_path, kind):
    stored, plain = pair(tmp_path, kind)
    unpacking(stored)
    motion = [
        motion_runs.train(model, run(f"m{i}", kind), appearance_steps=0)["motion"]
        for i, model in enumerate((stored, plain))
    ]
    assert same(*motion)
    adapters = [load_file(aicl_runs.train(model, run(f"a{i}", kind))[3]) for i, model in enumerate((stored, plain))]
    assert same(*adapters)


def test_both_stages_of_motion_train_on_a_quantised_base(tmp_path):
    stored, _ = quantised_wan(tmp_path, FP8)
    before = model_fingerprint(stored)
    found = motion_runs.train(stored, "both")
    assert all(torch.isfinite(value).all() for value in found["motion"].values())
    assert found["steps"] == motion_runs.STEPS
    assert model_fingerprint(stored) == before


@pytest.mark.parametrize("kind", [FP8, INT8])
def test_tune_a_video_trains_on_quantised_bases(kind):
    stored, plain = quantised_unet(kind)
    tuned = [
        load_file(tuning_clips.tune(model, run(f"t{i}", kind))[3]) for i, model in enumerate((unpacking(stored), plain))
    ]
    assert same(*tuned)


def test_a_format_that_lets_no_right_gradient_through_is_named(tmp_path, monkeypatch):
    from comfy.quant_ops import QuantizedTensor

    stored, _ = quantised_wan(tmp_path, FP8)
    quantised_files.with_quantised_product(stored)  # forward is as it was, only the numbers of backward are not
    dequantize = QuantizedTensor.dequantize
    monkeypatch.setattr(QuantizedTensor, "dequantize", lambda self: dequantize(self).roll(7, 0))
    with pytest.raises(ValueError, match=r"Linear \(float8_e4m3fn\) let no right gradient through; load the fp16"):
        tic_ft_runs.train(stored, "wrong")
