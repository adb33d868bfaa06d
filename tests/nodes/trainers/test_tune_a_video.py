"""Tune-A-Video Train in the host: what is tuned is right, and the model is left as it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import pytest
import tiny_unet
import torch
from jobs import job_of
from tic_ft_runs import interrupt_after
from tiny_unet import answer
from torch import Tensor
from tuning_clips import PIXELS, STEPS, encoded_clips, tune

from pack.methods.tune_a_video import POOLED, Tuned
from pack.nodes.host.services.folders import tune_a_video_output_folder
from pack.nodes.host.session import clip as clip_session
from pack.nodes.host.trainers import tune_a_video as tune_trainer
from pack.nodes.host.tune_a_video.apply import apply_tuned
from pack.nodes.host.tune_a_video.inflation import blocks_of
from pack.training.core.config import TrainConfig
from pack.training.lora.file import load_lora
from pack.training.lora.metadata import from_metadata
from pack.training.tune_a_video.file import load_tuned

pytestmark = pytest.mark.usefixtures("own_output")

CFG = [1, 0]


@pytest.fixture
def model() -> Any:
    return tiny_unet.fresh_unet()


def run_folder(name: str) -> Path:
    return tune_a_video_output_folder() / name


def same(first: Tuned, second: Tuned) -> bool:
    return all(
        ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())
        for ours, theirs in ((first.temporal, second.temporal), (first.queries, second.queries))
    )


def weights_of(model: Any) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.model.state_dict().items()}


def stop_after(monkeypatch: Any, done: int, model: Any, name: str, **values: Any) -> None:
    """The user presses cancel once so many steps are done."""
    with monkeypatch.context() as patch:
        interrupt_after(patch, done)
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            tune(model, name, **values)


def test_what_is_tuned_is_queries_and_temporal_attention_and_every_one_of_them_changes(model):
    tuned, loss, steps, path = tune(model, "tuned")
    blocks = list(blocks_of(model))
    assert set(tuned.queries) == {f"{name}.{query}" for name in blocks for query in ("attn1.to_q", "attn2.to_q")}
    names = ("to_q", "to_k", "to_v", "to_out", "to_out_bias")
    assert set(tuned.temporal) == {f"{block}.{name}" for block in blocks for name in names}
    assert all(delta.any() for delta in tuned.queries.values())
    fresh = clip_session.new_layers(model, clip_session.seeded_generator(1, 0, "temporal").initial_seed()).tensors()
    assert all(not torch.equal(value, fresh[name]) for name, value in tuned.temporal.items())
    assert len(loss["loss"]) == steps == STEPS
    assert tuned.base == "Stable Diffusion 1.x, noise prediction"
    assert Path(path).parent == run_folder("tuned")
    assert Path(path).stat().st_size < 0.75 * sum(v.numel() * 4 for v in model.model.diffusion_model.parameters())


def test_only_what_is_tuned_gets_gradients_and_the_models_weights_stay_as_they_are(model, monkeypatch):
    before, parameters = weights_of(model), dict(model.model.named_parameters())
    places = {name: value.data_ptr() for name, value in parameters.items()}
    during, predict = {}, clip_session.ClipPredictor.__call__

    def look(self: Any, *args: Any) -> Tensor:
        during.update({name: value.requires_grad for name, value in self.base.named_parameters()})
        return predict(self, *args)

    monkeypatch.setattr(clip_session.ClipPredictor, "__call__", look)
    tune(model, "frozen", group_norms=POOLED)
    assert during
    assert not any(during.values())
    assert {name: value.data_ptr() for name, value in model.model.named_parameters()} == places
    assert all(value is parameters[name] for name, value in model.model.named_parameters())
    assert all(value.grad is None for value in model.model.parameters())
    assert list(weights_of(model)) == list(before)
    assert all(torch.equal(value, before[name]) for name, value in weights_of(model).items())
    assert not any(module._forward_hooks for module in model.model.modules())
    assert not model.object_patches
    assert comfy.model_management.in_training is False


def test_the_model_answers_as_before_and_so_does_one_that_was_applied(model):
    x = tiny_unet.clip(3, 1, 2)
    plain = answer(model, x, 500, CFG)
    first = tune(model, "first")[0]
    assert torch.equal(answer(model, x, 500, CFG), plain)
    applied = apply_tuned(model, first, 1.0)
    expected = answer(applied, x, 500, CFG)
    assert not torch.allclose(expected, plain, atol=1e-2)
    second = tune(model, "second")[0]  # while the network holds what was applied
    assert same(first, second)
    assert torch.equal(answer(applied, x, 500, CFG), expected)
    assert torch.equal(answer(model, x, 500, CFG), plain)


@pytest.mark.parametrize("rank", [0, 2])
@pytest.mark.parametrize("group_norms", ["per frame", POOLED])
def test_the_saved_file_equals_the_live_layers(model, monkeypatch, rank, group_norms):
    live, predict = {}, clip_session.ClipPredictor
    x = tiny_unet.clip(3, 4)
    made = clip_session.TunedLayers.tensors
    session: dict[str, Any] = {}
    init = predict.__init__
    monkeypatch.setattr(predict, "__init__", lambda self, patcher: (session.update(p=self), init(self, patcher))[1])

    def look(self: Any, *args: Any) -> dict[str, Tensor]:
        sigma = session["p"].sampling.sigmas[500][None]
        caption = [{"cross_attn": tiny_unet.text(1)[0]}]
        with torch.no_grad():
            live["output"] = session["p"](x.transpose(0, 1)[None], sigma, caption)[0].transpose(0, 1)
        return made(self, *args)

    monkeypatch.setattr(clip_session.TunedLayers, "tensors", look)
    tuned, _, _, path = tune(model, f"file {rank} {group_norms}", rank=rank, group_norms=group_norms)
    loaded = load_tuned(Path(path))
    assert same(loaded, tuned)
    assert (loaded.group_norms, loaded.sparse_causal) == (group_norms, True)
    found = answer(apply_tuned(model, loaded, 1.0), x, 500, [0])
    torch.testing.assert_close(found, live["output"], rtol=0, atol=1e-5)
    assert not torch.allclose(answer(apply_tuned(model, loaded, 0.0), x, 500, [0]), found, atol=1e-2)
    assert ("lora_up" in " ".join(load_lora(Path(path)))) == bool(rank)


def test_the_file_says_how_it_was_tuned(model):
    path = tune(model, "says", frames=2, stride=2, start=1, sparse_causal=False, seed=7)[3]
    record = from_metadata(load_lora(Path(path)).metadata)
    plain = {"base_family": "Stable Diffusion 1.x, noise prediction", "steps": str(STEPS), "finished": "true"}
    assert plain.items() <= record.items()
    settings = {"method": "tune_a_video", "captions": ["a ball"], "frames": 2, "stride": 2, "start": 1}
    settings |= {"window": "fixed", "query_rank": 0, "sparse_causal": False, "width": PIXELS, "fps": 8.0}
    assert settings.items() <= {key: json.loads(record[key]) for key in settings}.items()
    assert json.loads(record["config"])["seed"] == 7
    assert load_tuned(Path(path)).sparse_causal is False


def test_half_precision_files_are_half_as_large(model):
    sizes = [
        Path(tune(model, name, settings=TrainConfig(lora_dtype=name))[3]).stat().st_size for name in ("fp32", "bf16")
    ]
    assert sizes[1] < 0.6 * sizes[0]


def test_tuning_lowers_the_loss_on_its_clip(model):
    rates = (0.01, 1e-8)  # the same noise and levels with both
    learns, stays = (tune(model, f"rate {r}", steps=40, learning_rate=r)[1]["loss"] for r in rates)
    assert learns[0] == stays[0]
    assert sum(learns[-20:]) < 0.98 * sum(stays[-20:])


def test_what_older_versions_called_the_clips_is_known_of_the_prior_too(model, monkeypatch):
    job = job_of(monkeypatch, tune_trainer, lambda: tune(model, "older", prior=encoded_clips(1, 2, 5), steps=1))
    assert job.former.keys() == {"training clips", "prior clips"}
    assert job.former.keys() <= job.identity.keys()


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(model):
    first, second, third = (tune(model, name, seed=seed)[0] for name, seed in (("one", 1), ("two", 1), ("three", 2)))
    assert same(first, second)
    assert not same(first, third)


@pytest.mark.parametrize("rank", [0, 2])
def test_a_run_that_stops_goes_on_to_the_same_bytes(model, monkeypatch, rank):
    settings = TrainConfig(ema_decay=0.9, caption_dropout=0.3, save_every=1)
    more = {"settings": settings, "rank": rank, "window": "random start", "prior": encoded_clips(1, 2, 5), "steps": 6}
    straight = tune(model, f"straight {rank}", **more)
    stop_after(monkeypatch, 3, model, f"stops {rank}", **more)
    (kept,) = run_folder(f"stops {rank}").glob("*.safetensors")
    assert from_metadata(load_lora(kept).metadata)["steps"] == "3"
    gone_on = tune(model, f"stops {rank}", **more)
    assert same(gone_on[0], straight[0])
    assert gone_on[1] == straight[1]
    assert gone_on[2] == 6


def test_cancel_keeps_what_was_learned_and_leaves_the_model_as_it_was(model, monkeypatch):
    before, x = weights_of(model), tiny_unet.clip(3, 1)
    plain = answer(model, x, 500, [0])
    stop_after(monkeypatch, 2, model, "cancelled", steps=50)
    (path,) = run_folder("cancelled").glob("*.safetensors")
    record = from_metadata(load_lora(path).metadata)
    assert (record["steps"], record["finished"]) == ("2", "false")
    two = tune(model, "two steps", steps=2)[0]
    assert same(load_tuned(path), two)
    assert torch.equal(answer(model, x, 500, [0]), plain)
    assert all(torch.equal(value, before[name]) for name, value in weights_of(model).items())
    assert not any(module._forward_hooks for module in model.model.modules())


def test_a_finished_run_is_returned_and_not_repeated(model, monkeypatch):
    first = tune(model, "again")
    monkeypatch.setattr(clip_session.ClipPredictor, "__call__", lambda *_: pytest.fail("it trains again"))
    second = tune(model, "again")
    assert first[1:] == second[1:]
    assert same(first[0], second[0])


def test_an_average_of_the_steps_is_saved_where_one_is_asked_for(model):
    plain, averaged = (
        tune(model, f"average {decay}", settings=TrainConfig(ema_decay=decay))[0] for decay in (0.0, 0.99)
    )
    name = next(iter(plain.queries))
    assert 0 < float(averaged.queries[name].norm()) < float(plain.queries[name].norm())


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 2}, {"stride": 2}, {"start": 1}, {"window": "random start"}, {"group_norms": POOLED}, {"rank": 2},
        {"sparse_causal": False}, {"prior": encoded_clips(1, 1, 5)}, {"encoded": encoded_clips(caption="a red ball")},
        {"settings": TrainConfig(caption_dropout=1.0, weight_decay=1e-2, betas=(0.9, 0.999))},
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_option_makes_a_difference(model, change):
    plain = tune(model, "plain", steps=2)
    other = tune(model, f"other {'_'.join(change)}", **{"steps": 2, **change})
    assert not same(plain[0], other[0])
    assert other[3] != plain[3]


def test_the_prior_pulls_as_much_as_it_is_weighed(model):
    prior = encoded_clips(1, 1, 5)
    plain = tune(model, "no prior", steps=1)[1]["loss"][0]
    losses = [tune(model, f"prior {w}", steps=1, prior=prior, prior_weight=w)[1]["loss"][0] for w in (0.0, 1.0, 2.0)]
    assert losses[0] == pytest.approx(plain)
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)
    assert losses[1] > losses[0] + 0.1


def test_without_settings_the_published_ones_are_used(model):
    record = from_metadata(load_lora(Path(tune(model, "published")[3])).metadata)
    config = json.loads(record["config"])
    assert (config["weight_decay"], config["betas"], config["max_grad_norm"]) == (1e-2, [0.9, 0.999], 1.0)


def test_a_lora_on_the_model_is_part_of_what_is_tuned_on(model):
    name = next(iter(blocks_of(model)))
    weight = model.model.diffusion_model.get_submodule(f"{name}.attn1.to_q").weight
    generator = torch.Generator().manual_seed(3)
    shapes = {"lora_up": (weight.shape[0], 2), "lora_down": (2, weight.shape[1])}
    lora = {
        f"diffusion_model.{name}.attn1.to_q.{part}.weight": torch.randn(shape, generator=generator)
        for part, shape in shapes.items()
    }
    patched, _ = comfy.sd.load_lora_for_models(model, None, lora, 1.0, 0.0)
    assert not same(tune(model, "without LoRA")[0], tune(patched, "with LoRA")[0])


@pytest.mark.parametrize("checkpointing", ["blocks", "blocks, offloaded"])
def test_checkpointing_gives_the_same_bytes(model, checkpointing):
    plain = tune(model, "kept", group_norms=POOLED)[0]
    settings = TrainConfig(weight_decay=1e-2, betas=(0.9, 0.999), checkpointing=checkpointing)
    again = tune(model, checkpointing.replace(",", ""), group_norms=POOLED, settings=settings)[0]
    assert same(plain, again)


def test_both_predictions_and_later_models_are_tuned_and_told_apart():
    later, x = tiny_unet.fresh_unet(velocity=True, kind="SD20"), tiny_unet.clip(3, 1)
    tuned, _, _, path = tune(later, "later")
    assert tuned.base == "Stable Diffusion 2.x, velocity prediction"
    assert not torch.equal(answer(apply_tuned(later, tuned, 1.0), x, 500, [0]), answer(later, x, 500, [0]))
    noise = tiny_unet.tiny_unet(False, "SD20")
    message = r"tuned on Stable Diffusion 2\.x, velocity prediction, the model is Stable Diffusion 2\.x, noise"
    with pytest.raises(ValueError, match=message):
        apply_tuned(noise, load_tuned(Path(path)), 1.0)


def test_as_published_tunes_on_every_second_frame_with_norms_over_the_whole_clip(model):
    made = {"frames": 3, "stride": 1, "group_norms": "per frame", "rank": 4, "encoded": encoded_clips(50)}
    tuned, _, _, path = tune(model, "by preset", preset="as published", **made)
    record = from_metadata(load_lora(Path(path)).metadata)
    assert (record["frames"], record["stride"], record["start"]) == ("24", "2", "0")
    assert tuned.group_norms == POOLED
    assert all(delta.ndim == 2 for delta in tuned.queries.values())
    set_so = tune(model, "by inputs", encoded=encoded_clips(50), frames=24, stride=2, group_norms=POOLED)
    assert same(tuned, set_so[0])
    with pytest.raises(ValueError, match=r"the clip has 20 frames, 24 at a stride of 2"):
        tune(model, "short", preset="as published", encoded=encoded_clips(20))
