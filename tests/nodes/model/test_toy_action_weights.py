"""The AICL adapters that come with the pack: small, and they do what the method promises on a motion they never met."""

from __future__ import annotations

from dataclasses import replace

import comfy.sample
import numpy as np
import pytest
import torch

from pack.nodes.host.aicl.adapter import adapter_names, read_adapter
from pack.nodes.host.aicl.apply import apply_action
from pack.nodes.host.aicl.encode import encode_action
from pack.nodes.host.model import toy
from pack.toy import judge, weights, world
from pack.toy.clips import SIZES
from pack.toy.pretrain.action_world import caption_of

LIMIT = 2.5e6  # bytes
MOTION = "swings"
FRAMES, CFG = 49, 2.0
STEPS = {toy.COARSE: 12, toy.FINE: 8}
FILES = {toy.COARSE: weights.ACTIONS, toy.FINE: weights.FINE_ACTIONS}
REFERENCE = world.Scene("disc", "red", "black", MOTION)
SUBJECTS = [world.Scene("square", "blue", "grey", MOTION), world.Scene("triangle", "cyan", "white", MOTION)]


@pytest.mark.parametrize("detail", toy.DETAILS)
def test_the_host_lists_it_and_it_says_what_it_was_trained_on(detail):
    file = FILES[detail]
    assert file.stat().st_size <= LIMIT
    assert file.name in adapter_names()
    adapter = read_adapter(file.name, toy.load_model(detail))
    assert adapter.record["base_model"] == f"the {detail} toy video model"
    assert adapter.record["finished"] == "true"
    assert "toy clips" in adapter.record["training_data"]


def conditioning(clip, scenes) -> list:
    texts = ["" if scene is None else caption_of(scene) for scene in scenes]
    return [[torch.cat([clip.encode_from_tokens(clip.tokenize(text)) for text in texts]), {}]]


def correlation(video: np.ndarray, scene: world.Scene) -> float:
    """Of the object's path with a scene's, about their means."""
    distance = np.linalg.norm(video - judge.find_background(video), axis=-1)
    paths = [judge.find_track(distance > judge.OBJECT_DISTANCE)[0], scene.pose(len(video))[0]]
    found, told = (path - path.mean(0) for path in paths)
    return float((found * told).sum() / max(np.linalg.norm(found) * np.linalg.norm(told), 1e-6))


@pytest.fixture(scope="module", params=toy.DETAILS)
def videos(request):
    """Clips of the subjects without and with the reference; no caption tells the motion."""
    detail = request.param
    with torch.inference_mode():
        model, clip, vae = toy.load_model(detail), toy.load_clip(), toy.load_vae()
        adapter = read_adapter(FILES[detail].name)
        reference = replace(REFERENCE, radius=SIZES["large" if detail == toy.FINE else "small"] * REFERENCE.radius)
        frames = torch.from_numpy(world.render(reference, FRAMES))
        action = encode_action(adapter, vae, [(frames, conditioning(clip, [REFERENCE]))])
        latent = torch.zeros(len(SUBJECTS), 16, 13, 8, 8)

        def sample(patched) -> list[np.ndarray]:
            out = comfy.sample.sample(
                patched, comfy.sample.prepare_noise(latent, 0), STEPS[detail], CFG, "euler", "simple",
                conditioning(clip, SUBJECTS), conditioning(clip, [None] * len(SUBJECTS)), latent, disable_pbar=True,
                seed=0,
            )  # fmt: skip
            return [vae.decode(one[None])[0].float().cpu().numpy() for one in out]

        return sample(model), sample(apply_action(model, action, 1.0))


def test_other_objects_move_as_a_reference_of_a_motion_it_never_met(videos):
    without, given = ([correlation(video, REFERENCE) for video in clips] for clips in videos)
    assert min(given) > 0.7
    assert np.mean(given) > np.mean(without) + 0.4


def test_they_stay_the_objects_that_were_asked_for(videos):
    for video, scene in zip(videos[1], SUBJECTS, strict=True):
        verdict = judge.judge(video, scene)
        assert (verdict.colour, verdict.background) == (1, 1)
        assert verdict.found > 0.9
