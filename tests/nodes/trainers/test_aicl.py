"""AICL Train: from clips with references to an adapter that AICL's other nodes take."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import comfy.model_management
import pytest
import tiny_aicl
import tiny_unet
import torch
from aicl_runs import STEPS, clips_of, train
from jobs import job_of
from tic_ft_runs import interrupt_after

from pack.methods.aicl import PRESETS, parameter_counts, preset_sizes
from pack.nodes.aicl import AICLLoad
from pack.nodes.aicl_train import AICLTrain
from pack.nodes.host.aicl.adapter import adapter_names
from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.model.fingerprint import original_weights
from pack.nodes.host.runs.opening import runs_folder
from pack.nodes.host.trainers import aicl as aicl_trainer
from pack.training.core.config import TrainConfig
from pack.training.lora.file import load_lora, read_metadata
from pack.training.lora.metadata import from_metadata

pytestmark = pytest.mark.usefixtures("output")
Interrupt = comfy.model_management.InterruptProcessingException
WAN = "Wan 2.1"
EVERY = (WAN, "CogVideoX 5B", "LTXV", "LTX-2.3", "HunyuanVideo 1.5", "Kandinsky 5")


def model_of(name: str = WAN) -> Any:
    return tiny_aicl.model_of(name)


def record_of(path: str) -> dict[str, str]:
    return from_metadata(read_metadata(Path(path)))


@pytest.mark.parametrize("name", EVERY)
def test_a_trained_adapter_loads_and_acts_as_the_one_of_the_graph(name, output):
    before = {key: value.clone() for key, value in original_weights(model_of(name)).items()}
    adapter, loss, steps, path = train(model_of(name), "mine", encoded=clips_of(name))
    assert (steps, len(loss["loss"])) == (STEPS, STEPS)
    assert Path(path) == output / "aicl" / "mine" / "mine_00001_.safetensors"
    after = original_weights(model_of(name))
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    offered = [listed for listed in adapter_names() if listed.endswith("mine_00001_.safetensors")]
    loaded = AICLLoad.execute(offered[0], model_of(name)).result[0]
    begin, found = tiny_aicl.start(name, frames=4), []
    for one in (adapter, loaded):
        action = tiny_aicl.action_of(name, adapter=one)
        found.append(tiny_aicl.sample(apply_action(model_of(name), action, 1.0), name, begin))
    assert torch.equal(found[0], found[1])
    assert tiny_aicl.differs(found[0], tiny_aicl.plain(name, begin))


def test_the_file_tells_what_it_is_and_how_it_was_made():
    record = record_of(train(model_of(), "told", steps=1, size="base")[3])
    assert json.loads(record["method"]) == "aicl"
    assert record["base_family"] == WAN
    assert record["training_data"] == "4 clips of 2 actions, references by sub-folder"
    assert json.loads(record["drop_rates"]) == [0.1, 0.0, 0.0]
    assert (json.loads(record["size"]), json.loads(record["form"])) == ("base", "resampler")
    assert json.loads(record["sizes"])["prism"]["layers"] == 1
    assert (record["steps"], record["finished"], record["clips"]) == ("1", "true", "4")
    metadata = read_metadata(Path(train(model_of(), "told", steps=1, size="base")[3]))
    assert metadata["modelspec.architecture"] == "wan2.1/aicl"
    assert not [key for key in metadata if key.startswith("ss_")]


def test_a_finished_run_is_returned():
    first = train(model_of(), "again", steps=2)
    second = train(model_of(), "again", steps=2)
    assert second[3] == first[3]
    assert second[1] == first[1]


@pytest.mark.parametrize("name", EVERY)
def test_a_cancelled_run_keeps_its_steps_and_goes_on_to_the_same_bytes(name, monkeypatch, caplog):
    settings = TrainConfig(ema_decay=0.8, accumulation=2, lr_schedule="linear")
    data = clips_of(name)
    whole = train(model_of(name), "whole", encoded=data, settings=settings)
    with monkeypatch.context() as patch:
        interrupt_after(patch, 4)
        with pytest.raises(Interrupt):
            train(model_of(name), "cut", encoded=data, settings=settings)
    kept = next((runs_folder().parents[1] / "aicl" / "cut").glob("*.safetensors"))
    assert record_of(str(kept))["finished"] == "false"
    assert "run_name cut goes on from there" in caplog.text
    cut = train(model_of(name), "cut", encoded=data, settings=settings)
    assert cut[1] == whole[1]
    first, second = load_lora(Path(whole[3])), load_lora(Path(cut[3]))
    assert first.keys() == second.keys()
    assert all(torch.equal(value, second[key]) for key, value in first.items())


def test_other_settings_are_refused_with_a_list(monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupt):
            train(model_of(), "changed")
    with pytest.raises(ValueError, match=r"changed has done 2 steps with other settings: drop_both 0 → 0\.1;"):
        train(model_of(), "changed", drop_both=0.1)
    with pytest.raises(ValueError, match="other settings: training clips;"):
        train(model_of(), "changed", encoded=clips_of(seed=3))


def test_a_run_of_another_form_does_not_go_on_and_says_what_to_set(monkeypatch):
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupt):
            train(model_of(), "formed")
    with pytest.raises(ValueError, match="an AICL adapter's size and form"):
        train(model_of(), "formed", form="faithful", on_change="accept")


def test_of_a_validation_no_variants_are_encoded():
    counts = []
    for name, data in (("training", clips_of()), ("validation", clips_of(seed=9))):
        seen, encode = [], data.encode_video
        data.encode_video = lambda pixels, seen=seen, encode=encode: seen.append(1) or encode(pixels)
        others = {"validation": data} if name == "validation" else {"encoded": data}
        train(model_of(), name, steps=1, variants=2, **others)
        counts.append(len(seen))
    assert counts == [4 * (1 + 2), 4]


def test_validation_tells_whether_the_reference_is_read():
    path = train(model_of(), "judged", steps=3, validation=clips_of(seed=9))[3]
    entries = json.loads(Path(path).with_suffix(".json").read_text(encoding="utf-8"))["validation"]
    names = ["step", "mean", "0.2", "0.4", "0.6", "0.8", "wrong reference", "no reference"]
    assert [list(entry) for entry in entries] == [names, names]
    first, last = entries
    assert first["mean"] == first["wrong reference"] == first["no reference"]  # a fresh adapter adds nothing
    assert last["no reference"] == first["no reference"]
    assert len({last["mean"], last["wrong reference"], last["no reference"]}) == 3
    levels = [last[level] for level in names[2:6]]
    assert last["mean"] == pytest.approx(sum(levels) / 4)


def test_previews_are_made_with_a_reference():
    train(model_of(), "shown", steps=2, settings=TrainConfig(sample_every=1))
    assert len(list((runs_folder() / "shown" / "samples").glob("*.mp4"))) == 2


@pytest.mark.parametrize("form", ["resampler", "faithful"])
@pytest.mark.parametrize("group_by", ["reference files", "sub-folder", "action word"])
def test_every_form_and_way_of_grouping_trains(form, group_by):
    values = {"form": form, "group_by": group_by, "actions": "walks, jumps", "leak_control": "colour, crop and flip"}
    adapter, loss, _, path = train(model_of(), "", steps=1, remove_still=True, **values)
    assert torch.isfinite(torch.tensor(loss["loss"])).all()
    assert adapter.sizes.prism.size == ((3, 4, 4) if form == "faithful" else None)
    assert not adapter.sizes.prism.still
    assert f"references by {group_by}" in record_of(path)["training_data"]


def test_clips_of_several_lengths_train_in_batches_of_one_length():
    steps = train(model_of(), "lengths", encoded=clips_of(clips=6, clip_0=13, clip_3=13))[2]
    assert steps == STEPS


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"group_by": "action word", "actions": ""}, "no action word is given"),
        ({"group_by": "action word", "actions": "walks"}, r"without an action word in the caption: jumps/1 and 1 more"),
        ({"group_by": "nothing"}, "group_by is 'nothing'"),
        ({"form": "round"}, "form is 'round'; choose one of resampler, faithful"),
        ({"size": "huge"}, "size is 'huge'; choose one of small, base, paper"),
        ({"leak_control": "blur"}, "leak_control is 'blur'"),
        ({"drop_caption": 0.9, "drop_references": 0.2}, "drop rates .* 1 or less together"),
        ({"max_references": 0}, "max_references is 0; it must be a whole number from 1 to 16"),
        ({"settings": TrainConfig(caption_dropout=0.1)}, "caption_dropout of the settings is not used here"),
        ({"settings": TrainConfig(per_frame_timesteps=True)}, "one noise level a clip"),
        ({"settings": TrainConfig(target_modules="feed-forward")}, "target_modules is 'feed-forward', but AICL trains"),
        ({"encoded": clips_of(clips=3)}, "^the action jumps has one clip"),
        ({"encoded": clips_of(clip_1=4)}, "jumps/1: the clip has 4 frames, in which nothing moves; at least 5"),
        ({"encoded": clips_of(clip_1=13), "form": "faithful"}, "the faithful form takes .* alone"),
        ({"validation": clips_of(clips=3)}, "^validation: the action jumps has one clip"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_in_one_sentence(values, sentence):
    with pytest.raises(ValueError, match=sentence) as caught:
        train(model_of(), "refused", **values)
    assert "\n" not in str(caught.value)
    assert not (runs_folder() / "refused").exists()


def test_a_set_without_references_is_refused():
    data = clips_of()
    data.dataset = replace(
        data.dataset, samples=tuple(replace(s, reference=None, action="") for s in data.dataset.samples)
    )
    for group_by, what in (("reference files", "without a reference"), ("sub-folder", "in no sub-folder")):
        with pytest.raises(ValueError, match=f"clips {what}: walks/0 and 3 more; AICL learns from references, so "):
            train(model_of(), "none", encoded=data, group_by=group_by)


def test_a_model_that_acts_already_and_one_of_no_family_are_refused():
    acting = apply_action(model_of(), tiny_aicl.action_of(WAN), 1.0)
    with pytest.raises(ValueError, match="performs an action already"):
        train(acting, "acting")
    with pytest.raises(ValueError, match=r"trained on Wan, CogVideoX, .*, Kandinsky 5, the model is SVD"):
        train(model_of("SVD"), "svd")
    with pytest.raises(ValueError, match=r"AICL works with .* the model is a BaseModel"):
        train(tiny_unet.tiny_unet(), "image", encoded=clips_of())


def test_the_tooltip_and_the_page_tell_the_sizes_of_wan(root):
    inputs = {field.id: field for field in AICLTrain.GET_SCHEMA().inputs}
    page = (root / "js" / "docs" / "AICLTrain" / "en.md").read_text(encoding="utf-8")
    for name in PRESETS:
        sizes = preset_sizes(name, 16, 4096, {f"blocks.{i}": 1536 for i in range(30)})
        text = f"{name} {sum(parameter_counts(sizes)) / 1e6:.0f} M"
        assert text in inputs["size"].tooltip
        assert text in page
    faithful = preset_sizes("small", 16, 4096, {f"blocks.{i}": 1536 for i in range(30)}, (13, 60, 104))
    text = f"{sum(parameter_counts(faithful)) / 1e6:.0f} M at 832 x 480"
    assert text in inputs["form"].tooltip
    assert text in page


def test_the_schema_is_that_of_the_contract():
    schema = AICLTrain.GET_SCHEMA()
    required = [field.id for field in schema.inputs if not field.optional]
    assert required == ["model", "encoded", "learning_rate", "steps", "seed"]
    assert [output.io_type for output in schema.outputs] == ["AICL_ADAPTER", "LOSS_MAP", "INT", "STRING"]
    assert schema.is_output_node
    assert all(field.tooltip for field in schema.inputs)


def test_a_stopped_run_makes_the_host_look_again(monkeypatch):
    before = AICLTrain.fingerprint_inputs(run_name="stamped")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 2)
        with pytest.raises(Interrupt):
            train(model_of(), "stamped")
    assert AICLTrain.fingerprint_inputs(run_name="stamped", model=None) != before


def test_what_older_versions_called_the_clips_is_known_of_both_data_sets(monkeypatch):
    job = job_of(monkeypatch, aicl_trainer, lambda: train(model_of(), "older", validation=clips_of(seed=9)))
    assert job.former.keys() == {"training clips", "validation clips"}
    assert job.former.keys() <= job.identity.keys()


def test_a_later_run_on_a_set_reads_no_clip_before_its_steps_and_learns_the_same(tmp_path, monkeypatch):
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.trainers.aicl_plan import AiclRequest, make_objective, plan_aicl
    from pack.training.core.batches import StepGenerators
    from pack.training.storage import lazy
    from pack.training.storage.cache import DiskCache

    encoded = clips_of()
    encoded._cache = DiskCache(tmp_path)
    plan = plan_aicl(video_model(model_of()), TrainConfig(batch_size=2), AiclRequest(group_by="sub-folder"), encoded)
    with torch.inference_mode():
        whole = make_objective(plan, encoded)
        before = {step: whole.batch([0, 2], StepGenerators.at(0, step)) for step in range(4)}
        monkeypatch.setattr(lazy, "ROOM", 0)
        reads, read = [], DiskCache.read
        monkeypatch.setattr(DiskCache, "read", lambda cache, key: (reads.append(key), read(cache, key))[1])
        later = make_objective(plan, encoded)
    # The empty caption, the first reference for the adapter's sizes with its caption, and what sums up the set.
    assert len(reads) <= 4
    assert all(map(torch.equal, later.data.statistics(), whole.data.statistics()))
    for step, wanted in before.items():
        found = later.batch([0, 2], StepGenerators.at(0, step))
        assert torch.equal(found.x0, wanted.x0)
        for one, other in zip(found.conditioning, wanted.conditioning, strict=True):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], other[name]) for name in one)
