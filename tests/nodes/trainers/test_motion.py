"""One-shot motion training in the host: two stages, each on its own layers, the second one on top of the first."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sd
import pytest
import tiny_families as tiny
import tiny_wan
import torch
from comfy_extras.nodes_train import LoraModelLoader
from motion_runs import FIRST, STEPS, heard, layers_of, one_clip, train
from tic_ft_runs import interrupt_after, probe
from tiny_vae import tiny_cogvideox_vae, tiny_vae

from pack.nodes.host.model import families
from pack.nodes.host.runs.kinds import LORA
from pack.nodes.host.runs.live_runs import run_list
from pack.nodes.host.runs.opening import runs_folder
from pack.nodes.host.trainers.motion_settings import stage_name, stages_stamp
from pack.nodes.motion import FewShotMotionTrain
from pack.training.core.config import TrainConfig
from pack.training.lora.file import load_lora
from pack.training.lora.metadata import from_metadata
from pack.training.runs.control import STOP
from pack.training.runs.record import run_record
from pack.training.runs.run import Run

pytestmark = pytest.mark.usefixtures("own_output", "output")

Interrupt = comfy.model_management.InterruptProcessingException
WAN_MOTION = {"self_attn.q", "self_attn.k", "cross_attn.q"}
WAN_LOOKS = {f"{part}.{role}" for part in ("self_attn", "cross_attn") for role in "qkvo"} | {"ffn.0", "ffn.2"}
COG_LOOKS = {"q", "k", "v", "attn_out", "ff_proj", "ff_out"}
LTX_LOOKS = {f"attn{i}.to_{role}" for i in (1, 2) for role in ("q", "k", "v", "out.0")} | {"ff.net.0.proj", "ff.net.2"}
LTX_LAYERS = ({"attn1.to_q", "attn1.to_k", "attn2.to_q"}, LTX_LOOKS, {"attn1.to_q", "attn2.to_q"})
HUNYUAN_LOOKS = {f"{side}_{part}" for side in ("img", "txt") for part in ("attn.qkv", "attn.proj", "mlp.0", "mlp.2")}
HUNYUAN_FUSED = {"img_attn.qkv", "txt_attn.qkv", "linear1"}
HUNYUAN_LAYERS = (HUNYUAN_FUSED, HUNYUAN_LOOKS | {"linear1", "linear2"}, HUNYUAN_FUSED)
UNREAD = ("double_blocks.1.txt_attn.proj", "double_blocks.1.txt_mlp")  # of the last block of HunyuanVideo 1.5
KANDINSKY_PARTS = [
    f"{kind}_attention.{name}" for kind in ("self", "cross") for name in ("to_query", "to_key", "to_value", "out_layer")
]
KANDINSKY_LAYERS = (
    {"self_attention.to_query", "self_attention.to_key", "cross_attention.to_query"},
    {*KANDINSKY_PARTS, "feed_forward.in_layer", "feed_forward.out_layer"},
    {"self_attention.to_query", "cross_attention.to_query"},
)
LAYERS = {
    "Wan": (WAN_MOTION, WAN_LOOKS, {"self_attn.q", "cross_attn.q"}),
    "CogVideoX": ({"q", "k"}, COG_LOOKS, {"q"}),
    **dict.fromkeys((family.name for family in tiny.LTX), LTX_LAYERS),
    "HunyuanVideo": HUNYUAN_LAYERS,
    "Kandinsky": KANDINSKY_LAYERS,
}
TRAINED = [family for family in tiny.ALL if family.name.split()[0] in LAYERS]


def same(first: Any, second: Any) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def data_for(family: tiny.Tiny) -> Any:
    """A clip that the family's network takes, with latents of its own channels."""
    row = next(known for known in families.FAMILIES if known.name == family.name)
    channels = tiny.model_of(family.name).model.latent_format.latent_channels
    sizes = {"width": row.spatial, "height": row.spatial, "channels": channels, "compression": row.compression}
    return one_clip(frames=17, text=tiny.text_of(family), **sizes)


def layers_in(family: tiny.Tiny, stage: int) -> set[str]:
    """Layers that a stage trains: of the motion (0), of the appearance (1), and of the classic motion (2)."""
    names = LAYERS[family.name.split()[0]][stage]
    return names - {"linear1", "linear2"} if family is tiny.HUNYUAN_15 else names


@pytest.mark.parametrize("family", TRAINED, ids=lambda family: family.name)
def test_each_stage_trains_exactly_its_layers_in_every_family(family):
    motion, appearance = layers_in(family, 0), layers_in(family, 1)
    found = train(tiny.model_of(family.name), "layers", encoded=data_for(family), steps=2, appearance_steps=2)
    assert layers_of(found["motion"]) == motion
    assert layers_of(found["appearance"]) == appearance
    for lora in (found["motion"], found["appearance"]):
        unread = UNREAD if family is tiny.HUNYUAN_15 else ()
        ups = [v for k, v in lora.items() if k.endswith("lora_up.weight") and not any(name in k for name in unread)]
        assert ups
        assert all(up.any() for up in ups)  # they start at zero, so a gradient has reached each


@pytest.mark.parametrize(
    "family", [*TRAINED[:3], tiny.LTXV, *tiny.HUNYUANS, tiny.KANDINSKY], ids=lambda family: family.name
)
def test_classic_trains_queries_alone_and_no_look(family, monkeypatch):
    with heard(monkeypatch) as calls:
        found = train(tiny.model_of(family.name), "classic", encoded=data_for(family), steps=2, classic=True)
    assert layers_of(found["motion"]) == layers_in(family, 2)
    assert len(calls) == 2  # no other stage
    assert found["appearance"] == {}
    assert from_metadata(found["appearance"].metadata)["steps"] == "0"
    assert json.loads(from_metadata(found["motion"].metadata)["debiased_weight"]) == 0.0


@pytest.mark.parametrize(("classic", "parts"), [(False, 2), (True, 1)])
@pytest.mark.parametrize("family", tiny.HUNYUANS, ids=lambda family: family.name)
def test_of_a_fused_projection_queries_and_keys_alone_are_trained(family, classic, parts):
    values = {"encoded": data_for(family), "steps": 2, "appearance_steps": 0, "classic": classic}
    found = train(tiny.model_of(family.name), f"parts {parts} {family.name}", **values)["motion"]
    ups = {key: value for key, value in found.items() if key.endswith("lora_up.weight")}
    assert ups
    for key, up in ups.items():
        trained, others = up.split([parts * 128, len(up) - parts * 128])  # rows of a head of 128 channels
        # What HunyuanVideo 1.5's last block makes of the text is read by nothing, so its queries are not.
        assert trained.any() or (family is tiny.HUNYUAN_15 and classic and "double_blocks.1.txt_attn" in key)
        assert not others.any()


def test_the_first_stage_sees_single_frames_and_the_second_the_clip(model, monkeypatch):
    with heard(monkeypatch) as calls:
        train(model, "frames", batch_size=2)
    assert [call["xt"].shape[2] for call in calls] == [1] * FIRST + [3] * STEPS
    assert all(len(call["xt"]) == 2 for call in calls)


def test_the_appearance_lora_is_active_and_frozen_in_the_second_stage(model, monkeypatch):
    with heard(monkeypatch) as calls:
        found = train(model, "frozen", settings=TrainConfig())
    first = calls[FIRST]  # adapters of the motion add nothing yet
    context = torch.stack([c["cross_attn"] for c in first["conditioning"]])
    with_look = LoraModelLoader.execute(model, found["appearance"], 1.0).result[0]
    inputs = first["xt"], first["sigma"], context
    torch.testing.assert_close(tiny_wan.velocity_of(with_look, *inputs), first["output"], atol=1e-5, rtol=1e-5)
    assert (tiny_wan.velocity_of(model, *inputs) - first["output"]).abs().max() > 1e-3
    (path,) = LORA.files("frozen_appearance").glob("*.safetensors")
    assert same(load_lora(path), found["appearance"])


def test_neither_stage_changes_the_model(model):
    before = tiny_wan.weights_of(model)
    train(model, "base")
    tiny_wan.velocity_of(model, *probe())  # the host puts the original weights back when it loads the plain model
    assert all(torch.equal(value, before[name]) for name, value in tiny_wan.weights_of(model).items())
    assert not any(module._forward_hooks for module in model.model.modules())
    assert "rope_options" not in model.model_options.get("transformer_options", {})


def test_both_loras_load_in_the_stock_loader_and_change_what_the_model_does(model):
    found = train(model, "stock")
    base = tiny_wan.velocity_of(model, *probe())
    (look,) = LORA.files("stock_appearance").glob("*.safetensors")
    for path in (found["path"], look):
        patched, _ = comfy.sd.load_lora_for_models(model, None, dict(load_lora(Path(path))), 1.0, 0.0)
        assert (tiny_wan.velocity_of(patched, *probe()) - base).abs().max() > 1e-4


def test_the_files_say_what_they_are(model):
    found = train(model, "told", debiased_weight=0.5, still_caption="a ball")
    motion, look = (from_metadata(found[name].metadata) for name in ("motion", "appearance"))
    assert (motion["method"], look["method"]) == ('"motion"', '"appearance"')
    assert (motion["debiased_weight"], motion["stride"], look["still_caption"]) == ("0.5", "1", '"a ball"')
    assert (motion["steps"], look["steps"]) == (str(STEPS), str(FIRST))
    assert motion["base_family"] == "Wan 2.1"
    assert Path(found["path"]).parent == LORA.files("told_motion")


def test_either_file_tells_the_graph_that_makes_both_again(model):
    values = {"debiased_weight": 0.5, "still_caption": "a ball", "sparse_latents": 0, "classic": False}
    found = train(model, "graph", **values)
    for lora in (found["motion"], found["appearance"]):
        graph = run_record(lora, "graph")["graph"]
        (node,) = (node for node in graph.values() if node["class_type"] == "FewShotMotionTrain")
        assert {**values, "steps": STEPS, "appearance_steps": FIRST}.items() <= node["inputs"].items()
        assert node["inputs"].keys() <= {field.id for field in FewShotMotionTrain.GET_SCHEMA().inputs}
        (settings,) = (node for node in graph.values() if node["class_type"] == "FewShotTrainSettings")
        assert settings["inputs"]["target_modules"] == "attention"
        assert settings["inputs"]["density"] == "high_noise"


def test_without_settings_high_noise_is_preferred_and_captions_are_dropped(model):
    asked = {"plain": {}, "old": {"classic": True}, "own": {"settings": TrainConfig(density="mode")}}
    loras = [train(model, name, **values)["motion"] for name, values in asked.items()]
    configs = [json.loads(from_metadata(lora.metadata)["config"]) for lora in loras]
    assert [config["density"] for config in configs] == ["high_noise", "uniform", "mode"]
    assert [config["caption_dropout"] for config in configs] == [0.1, 0.0, 0.0]


def test_the_look_is_learned_at_all_levels_whatever_is_set_for_the_motion(model, monkeypatch):
    settings = TrainConfig(density="high_noise", sigma_low=0.9)
    with heard(monkeypatch) as calls:
        train(model, "levels", settings=settings, appearance_steps=20)
    assert min(float(call["sigma"].min()) for call in calls[:20]) < 0.5
    assert min(float(call["sigma"].min()) for call in calls[20:]) >= 0.9


@pytest.mark.parametrize("stage", ["appearance", "motion"])
def test_a_cancelled_stage_goes_on_to_the_same_bytes(model, monkeypatch, stage):
    whole = train(model, "whole")
    before = {"appearance": 0, "motion": FIRST}[stage]
    with monkeypatch.context() as patch:
        pressed = iter(range(1, 100))
        interrupt_after(patch, 2) if stage == "appearance" else _interrupt_at(patch, before + 2, pressed)
        with pytest.raises(Interrupt):
            train(model, "parts")
    kept = {path.parent.name for path in (LORA.folder()).glob("parts*/*.safetensors")}
    assert kept == {"parts_appearance"} | ({"parts_motion"} if stage == "motion" else set())
    with heard(monkeypatch) as calls:
        parts = train(model, "parts")
    assert len(calls) == FIRST + STEPS - before - 2
    assert same(parts["motion"], whole["motion"])
    assert same(parts["appearance"], whole["appearance"])
    assert parts["loss"] == whole["loss"]


def _stop_first_run_at(patch: Any, step: int) -> None:
    """Give the first run the page's command to stop."""
    after_step = Run.after_step

    def ordered(self: Run, done: int, record: Any) -> None:
        if self.trainer.objective.name == "appearance" and done == step:
            self.control.give(STOP)
        after_step(self, done, record)

    patch.setattr(Run, "after_step", ordered)


def test_a_first_run_that_was_stopped_stays_as_it_is_when_the_second_goes_on(model, monkeypatch):
    with monkeypatch.context() as patch:
        _stop_first_run_at(patch, 2)
        _interrupt_at(patch, 2 + 2, iter(range(1, 100)))
        with pytest.raises(Interrupt):
            train(model, "early")
    with heard(monkeypatch) as calls:
        found = train(model, "early")
    assert len(calls) == STEPS - 2
    assert from_metadata(found["appearance"].metadata)["steps"] == "2"
    with heard(monkeypatch) as calls:
        assert same(train(model, "early")["motion"], found["motion"])
        assert same(train(model, "early_motion")["appearance"], found["appearance"])  # as the page calls it
        assert not calls
        with pytest.raises(ValueError, match=r"early_motion .* with other settings: appearance"):
            train(model, "early", appearance_steps=FIRST + 1)  # asks for more of the first run, and so for another
    with pytest.raises(ValueError, match=r"early_appearance .* with other settings: rank 4 → 2"):
        train(model, "early", rank=2)


def _interrupt_at(patch: Any, step: int, count: Iterator[int]) -> None:
    """Press cancel once so many steps of both stages together are done."""
    from pack.nodes.host.services.progress import StepProgress

    show = StepProgress.show

    def pressed(self: Any, done: int, total: int | None = None) -> None:
        if total is None and done and next(count) == step:
            comfy.model_management.interrupt_current_processing()
        show(self, done, total)

    patch.setattr(StepProgress, "show", pressed)


def test_finished_runs_are_returned_with_and_without_a_name(model, monkeypatch):
    for name in ("again", ""):
        first = train(model, name)
        with heard(monkeypatch) as calls:
            second = train(model, name)
        assert not calls
        assert same(first["motion"], second["motion"])
        assert same(first["appearance"], second["appearance"])
        assert first["path"] == second["path"]


def test_another_look_makes_another_motion_run(model):
    train(model, "look")
    with pytest.raises(ValueError, match=r"the run look_motion .* appearance"):
        train(model, "look", appearance_steps=FIRST + 1)
    assert train(model, "look", appearance_steps=FIRST + 1, on_change="accept")["steps"] == STEPS


def test_the_terms_of_the_loss_change_what_is_learned(model):
    plain, full = (train(model, f"terms {weight}", debiased_weight=weight)["motion"] for weight in (0.0, 1.0))
    assert not same(plain, full)


def test_sparse_latents_are_told_their_places(model, monkeypatch):
    with heard(monkeypatch) as calls:
        found = train(model, "sparse", encoded=one_clip(frames=33), sparse_latents=3)
    assert [call["xt"].shape[2] for call in calls[FIRST:]] == [3] * STEPS  # of 9, every third
    assert [call["options"].get("rope_options") for call in calls] == [None] * FIRST + [{"scale_t": 3.0}] * STEPS
    assert from_metadata(found["motion"].metadata)["stride"] == "3"
    assert from_metadata(found["motion"].metadata)["target_latents"] == "9"


@pytest.mark.parametrize("family", [tiny.WAN, tiny.COG_15], ids=lambda family: family.name)
def test_both_stages_show_previews_where_they_are_asked_for(family, caplog):
    vae = tiny_vae() if family is tiny.WAN else tiny_cogvideox_vae()
    sparse = {"encoded": one_clip(frames=33), "sparse_latents": 3} if family is tiny.WAN else {}
    values = {"encoded": data_for(family), "settings": TrainConfig(sample_every=2), "vae": vae, **sparse}
    train(tiny.model_of(family.name), "shown", **values)
    found = {name: len(list((runs_folder() / f"shown_{name}" / "samples").glob("*.mp4"))) for name in
             ("appearance", "motion")}  # fmt: skip
    assert found == {"appearance": FIRST // 2, "motion": STEPS // 2}
    assert "was skipped" not in caplog.text


def test_a_run_that_was_named_by_the_pack_goes_on_under_that_name(model, monkeypatch):
    interrupt_after(monkeypatch, 2)
    with pytest.raises(Interrupt):
        train(model, "")
    monkeypatch.undo()
    (run,) = (path.name for path in runs_folder().iterdir())
    assert stage_name(run, "appearance") == run
    assert stage_name(run, "motion") == f"{run}_motion"
    with heard(monkeypatch) as calls:
        train(model, run)
    assert len(calls) == FIRST + STEPS - 2


def test_the_node_runs_again_when_one_of_its_runs_has_gone_on(model):
    before = stages_stamp("stamp")
    train(model, "stamp")
    assert FewShotMotionTrain.fingerprint_inputs(run_name=" stamp ") == stages_stamp("stamp") != before
    assert stages_stamp("") == stages_stamp(" ")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"encoded": one_clip(frames=4)}, "4 frames is too short for its motion to be learned"),
        ({"encoded": one_clip(width=24)}, "width 24 is no multiple of 16"),
        ({"encoded": one_clip(channels=4)}, "makes latents of 4 channels"),
        ({"sparse_latents": 1}, "motion needs at least 2"),
        ({"debiased_weight": -1.0}, "debiased_weight is -1.0; it must be a number from 0 to 100"),
        ({"still_caption": "a\nb"}, "2 captions of stills were given for 1 clips"),
        ({"settings": TrainConfig(per_frame_timesteps=True)}, "one noise level for all frames"),
        ({"settings": TrainConfig(target_modules="q, v"), "classic": True}, "classic trains the queries alone"),
        ({"run_name": "../out"}, "cannot name a folder"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_sentence_and_leaves_nothing(model, values, said):
    with pytest.raises(ValueError, match=said):
        train(model, **{"run_name": "refused", **values})
    assert not list(LORA.folder().glob("refused*")) if LORA.folder().is_dir() else True
    assert not any(module._forward_hooks for module in model.model.modules())


def test_layers_that_the_settings_name_are_the_ones_trained(model):
    found = train(model, "own", settings=TrainConfig(target_modules="self-attention"))
    assert layers_of(found["motion"]) == {f"self_attn.{role}" for role in "qkvo"}
    assert layers_of(found["appearance"]) == WAN_LOOKS


def test_each_run_tells_which_stage_it_is_and_the_second_which_run_it_follows(model):
    train(model, "staged")
    runs = {run["stage"]: run for run in run_list() if run["name"].startswith("staged")}
    assert {run["stages"] for run in runs.values()} == {"appearance, motion"}
    assert runs["appearance"]["follows"] == ""
    assert runs["motion"]["follows"] == runs["appearance"]["run"] != ""
    train(model, "single", appearance_steps=0)
    (single,) = [run for run in run_list() if run["name"].startswith("single")]
    assert (single["stage"], single["stages"], single["follows"]) == ("", "", "")
