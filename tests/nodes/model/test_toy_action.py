"""The toy adapter's training: its world, its one step, and that the host's nodes do the same with its file."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import comfy.ldm.wan.model as wan
import comfy.model_management
import numpy as np
import pytest
import torch
from comfy.patcher_extension import copy_nested_dicts
from safetensors.torch import load_file

from pack.methods.action_tokens import ActionTokens
from pack.nodes.host.aicl.adapter import HostAdapter
from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.aicl.encode import Action
from pack.nodes.host.model import toy
from pack.nodes.host.model.noise import loaded_model
from pack.toy import weights, world
from pack.toy.pretrain import action, action_training
from pack.toy.pretrain.action_world import (
    CLIPS_A_PATH,
    KINDS,
    caption_of,
    draw_path,
    judge_scene_of,
    objects,
    scene_of,
    sized,
)
from pack.toy.pretrain.loop import Plan, Stage
from pack.training.aicl.file import load_adapter
from pack.training.aicl.reading import Reading, read_actions
from pack.training.lora.file import read_metadata

LIMIT = 2.5e6  # bytes
COARSE = action.RECIPES["coarse"]


def adapter(seed: int = 0) -> action.ToyAdapter:
    """One with something to add."""
    torch.manual_seed(seed)
    made = action.ToyAdapter(seed, torch.linspace(-1, 1, 16), torch.linspace(0.5, 2, 16))
    with torch.no_grad():
        for parameter in made.integrations.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return made


def readings(count: int, references: int = 2) -> list[Reading]:
    generator = torch.Generator().manual_seed(3)

    def pair() -> tuple[torch.Tensor, torch.Tensor]:
        return torch.randn(16, 3, 8, 8, generator=generator), torch.randn(77, 64, generator=generator)

    return [Reading(tuple(pair() for _ in range(references)), True) for _ in range(count)]


@pytest.fixture
def kernels(monkeypatch):
    """The training swaps the host's kernels; they come back."""
    monkeypatch.setattr("comfy.model_management.in_training", True)
    monkeypatch.setattr(wan, "optimized_attention", wan.optimized_attention)
    monkeypatch.setattr(wan, "apply_rope1", wan.apply_rope1)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "named"])
def test_paths_stay_in_the_picture_and_move(kind):
    for seed in range(40):
        path = np.array(draw_path(kind, np.random.default_rng(seed)))
        assert path.shape == (49, 2)
        assert np.abs(path - 32).max() <= 20
        if kind != "wavy":
            assert np.linalg.norm(path[-1] - path[0]) + np.linalg.norm(path[24] - path[0]) > 3


def test_clips_of_a_path_share_it_and_show_other_objects():
    for number in range(30):
        scenes = [scene_of(CLIPS_A_PATH * number + i, 0) for i in range(CLIPS_A_PATH)]
        centres = [scene.pose(49)[0] - np.array(scene.offset) for scene in scenes]
        assert all(np.allclose(one, other) for one, other in pairwise(centres))
        assert len({(scene.shape, scene.colour) for scene in scenes}) == CLIPS_A_PATH
        assert world.render(scenes[0], 2).shape == (2, 64, 64, 3)


def test_held_out_motions_and_objects_are_only_judged():
    shown, judged = [scene_of(i, 0) for i in range(800)], [judge_scene_of(i, 0) for i in range(112)]
    assert not {scene.motion for scene in shown} & {*world.HELD_OUT_MOTIONS}
    assert {scene.motion for scene in shown} == {*world.MOTIONS, ""}
    held = {judged[CLIPS_A_PATH * number].motion for number in action_training.HELD_OUT}
    assert held == {*world.HELD_OUT_MOTIONS}
    assert not {judged[CLIPS_A_PATH * number].motion for number in action_training.SHOWN} & held
    pairs = {(scene.shape, scene.colour) for scene in shown}
    assert pairs == {*objects(False)}
    assert not pairs & {(scene.shape, scene.colour) for scene in judged}


def test_captions_do_not_tell_the_motion():
    words = {word for motion in (*world.MOTIONS, *world.HELD_OUT_MOTIONS) for word in motion.split()}
    for i in range(200):
        assert not {*caption_of(scene_of(i, 0)).split()} & (words - {"a", "in"})


@pytest.mark.parametrize("detail", action.RECIPES)
def test_the_file_is_small_enough_and_loads_as_an_adapter_of_its_base_alone(tmp_path, detail):
    made = adapter()
    plan = Plan(1.0, 1e-3, 1e-3, 0.5, 0.9)
    stage = Stage(made, made.matrices(), plan, tmp_path / "state.safetensors")
    stage.spent = 2.0
    action_training.export(stage, made, tmp_path / "action.safetensors", 0, action.RECIPES[detail])
    assert (tmp_path / "action.safetensors").stat().st_size <= LIMIT
    loaded = load_adapter(tmp_path / "action.safetensors")
    assert loaded.base_family == "Wan 2.1"
    assert loaded.record["finished"] == "true"
    assert loaded.record["training_data"] == "2688 toy clips on 672 paths"
    HostAdapter(loaded).check_base(loaded_model(toy.load_model(detail)))
    other = {"coarse": "fine", "fine": "coarse"}[detail]
    with pytest.raises(ValueError, match=f"was trained on the {detail} toy video model"):
        HostAdapter(loaded).check_base(loaded_model(toy.load_model(other)))


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("detail", action.RECIPES)
def test_the_nodes_do_with_the_file_what_the_training_did(tmp_path, detail):
    made, network = adapter(), action_training.load_base(action.RECIPES[detail])
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 16, 4, 8, 8, generator=generator)
    sigma, context = torch.tensor([0.8]), torch.randn(1, 77, 64, generator=generator)
    read = readings(1)
    with torch.no_grad():
        trained = action.predict(network, made, x, sigma, context, read)
        base = network(x, sigma * 1000, context, transformer_options={})
    exported = tmp_path / "action.safetensors"
    plan = Plan(1.0, 1e-3, 1e-3, 0.5, 0.9)
    stage = Stage(made, made.matrices(), plan, tmp_path / "s.safetensors")
    action_training.export(stage, made, exported, 0, action.RECIPES[detail])
    shipped = HostAdapter(load_adapter(exported))
    with torch.no_grad():
        tokens = read_actions(shipped.prism.model, read, "cpu")
    model = apply_action(toy.load_model(detail), Action(shipped, ActionTokens(tokens.tokens, tokens.times)), 1.0)
    comfy.model_management.load_models_gpu([model, *model.get_additional_models()])
    options = {**model.model_options["transformer_options"], "wrappers": copy_nested_dicts(model.wrappers)}
    with torch.inference_mode():
        found = model.model.diffusion_model(x, sigma * 1000, context, transformer_options=options)
    assert (trained - base).abs().mean() > 0.05 * base.abs().mean()
    torch.testing.assert_close(found.clone(), trained, atol=2e-2, rtol=2e-2)  # the file is in half precision


def test_sized_scenes_differ_in_the_objects_size_alone():
    for index in (0, 5, 9):
        plain, large = scene_of(index, 0), sized(scene_of, 1.25)(index, 0)
        assert large == replace(plain, radius=1.25 * plain.radius)


@pytest.mark.usefixtures("kernels")
def test_a_training_for_the_fine_base_can_start_from_the_shipped_adapter(tmp_path, monkeypatch):
    seen = {}

    def encode(_folder: Path, _clips: int, _seed: int, recipe: Any) -> tuple[torch.Tensor, torch.Tensor]:
        seen["size"] = recipe.size
        return (torch.zeros(112, 16, 13, 8, 8).half(),) * 2

    class StoppedError(Exception):
        pass

    def stage(adapter: Any, _matrices: Any, plan: Plan, path: Path) -> None:
        seen.update(weights=adapter.state_dict(), seconds=plan.seconds, name=path.name)
        raise StoppedError

    monkeypatch.setattr(action_training, "encode", encode)
    monkeypatch.setattr(action_training, "Stage", stage)
    with pytest.raises(StoppedError):
        action_training.train_action(tmp_path, 7.0, 0, 112, shipped=True, detail="fine")
    assert (seen["size"], seen["seconds"], seen["name"]) == (1.25, 7.0, "fine_action_state.safetensors")
    shipped = load_file(weights.ACTIONS)
    assert all(torch.equal(value, shipped[name].float()) for name, value in seen["weights"].items())


@pytest.mark.usefixtures("kernels")
def test_a_short_training_learns_from_latents_on_disk_and_goes_on(tmp_path, monkeypatch, capsys):
    """Random latents in place of the encoded clips."""
    generator = torch.Generator().manual_seed(0)

    def encode(_folder: Path, clips: int, _seed: int, _recipe: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return tuple(torch.randn(count, 16, 13, 8, 8, generator=generator).half() for count in (clips, 112))

    monkeypatch.setattr(action_training, "encode", encode)
    few = replace(COARSE, lengths={7: (0.4, 2), 13: (0.6, 2)})
    monkeypatch.setitem(action_training.RECIPES, "coarse", few)
    monkeypatch.setattr(action_training, "HELD_OUT", (0, 1))
    monkeypatch.setattr(action_training, "SHOWN", (3, 5))
    monkeypatch.setattr("pack.toy.pretrain.loop.SAVE_EVERY", 0.0)
    action_training.train_action(tmp_path, 0.5, 0, 8)
    told = capsys.readouterr().out
    assert "step 0  held-out motions: right" in told
    first = load_file(tmp_path / "action.safetensors")
    spent = float(read_metadata(tmp_path / "action_state.safetensors")["spent"])
    action_training.train_action(tmp_path, spent + 0.01, 0, 8)
    assert "step 0 " not in capsys.readouterr().out
    second = load_file(tmp_path / "action.safetensors")
    assert first.keys() == second.keys()
    assert not torch.equal(first["integrations.blocks.0.attention.to_out.weight"],
                           second["integrations.blocks.0.attention.to_out.weight"])  # fmt: skip


@pytest.mark.usefixtures("kernels")
def test_a_fresh_adapter_loses_the_same_with_any_reference():
    latents = torch.randn(112, 16, 13, 8, 8, generator=torch.Generator().manual_seed(0)).half()
    batches = action_training.Batches(latents, 0, COARSE, judge_scene_of)
    fresh = action.ToyAdapter(0, *batches.statistics())
    losses = batches.losses(action_training.load_base(COARSE), fresh, (0, 1))
    assert losses["right"] == losses["wrong"] == losses["none"]
    stirred = adapter()
    losses = batches.losses(action_training.load_base(COARSE), stirred, (0, 1))
    assert len(set(losses.values())) == 3


def test_batches_are_functions_of_the_step_and_never_read_their_target():
    latents = torch.arange(8.0).view(8, 1, 1, 1, 1).expand(8, 16, 13, 8, 8).half()
    batches = action_training.Batches(latents, 0, COARSE)
    for step in range(6):
        (x0, _, sigma, _), read = batches.draw(step)
        (again, _, same, _), _ = batches.draw(step)
        assert torch.equal(x0, again)
        assert torch.equal(sigma, same)
        for clip, reading in zip(x0, read, strict=True):
            number = int(clip[0, 0, 0, 0])
            shown = [round(float(batches.format.process_in(one[None])[0, 0, 0, 0, 0])) for one, _ in reading.references]
            assert number not in shown
            assert {other // CLIPS_A_PATH for other in shown} == {number // CLIPS_A_PATH}
