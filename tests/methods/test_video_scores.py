"""All scores of a clip at once, on clips with known answers."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import pytest
import torch

from pack.methods import video_scores
from pack.methods.metrics import METRICS
from pack.methods.video_scores import flicker, frame_consistency, jerk, score
from pack.toy.world import Scene, render

DISC = Scene("disc", "red", "grey", "circles clockwise")
OTHER = replace(DISC, shape="square", colour="blue", background="white")
OWN = {name for name, metric in METRICS.items() if not metric.needs}
OF_CONDITION = {name for name, metric in METRICS.items() if metric.needs == "condition"}
OF_REFERENCE = {name for name, metric in METRICS.items() if metric.needs == "reference"} | {"compared_frames"}


def clip(scene: Scene = DISC, frames: int = 12, size: int = 64) -> torch.Tensor:
    return torch.from_numpy(render(scene, frames, size))


def noise(frames: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.rand(frames, 32, 40, 3, generator=torch.Generator().manual_seed(seed))


def test_a_metric_without_its_input_is_absent():
    video = clip()
    assert set(score(video)) == OWN
    assert set(score(video, condition=video[:1])) == OWN | OF_CONDITION
    assert set(score(video, video)) == OWN | OF_REFERENCE
    assert list(score(video, video, video[:1])) == [*METRICS, "compared_frames"]


def test_a_metric_the_clip_is_too_short_for_is_absent():
    video = clip()
    assert set(score(video[:1], video, video)) == {
        "condition_fidelity", "condition_colour", "ssim", "psnr", "colour_agreement", "edge_agreement",
        "appearance_leak", "compared_frames",
    }  # fmt: skip
    assert set(METRICS) - set(score(video[:2], video, video)) == {"jerk", "self_similarity"}


def test_a_clip_compared_with_itself_has_the_best_of_everything():
    video = clip()
    found = score(video, video, video[:1])
    for name in OF_REFERENCE - {"compared_frames", "flow_error", "psnr", "appearance_leak"}:
        assert found[name] == pytest.approx(1, abs=1e-4), name
    assert (found["psnr"], found["flow_error"], found["compared_frames"]) == (100, 0, 12)
    assert found["condition_fidelity"] > 0.95
    assert found["appearance_leak"] > 0.8


def test_a_frozen_clip_is_perfectly_steady_and_not_dynamic():
    found = score(clip()[:1].expand(8, -1, -1, -1), clip())
    assert found["frame_consistency"] == pytest.approx(1, abs=1e-5)
    assert found["frame_consistency_all_pairs"] == pytest.approx(1, abs=1e-5)
    assert [found[name] for name in ("dynamic_degree", "flicker", "jerk", "warping_error")] == [0, 0, 0, 0]
    assert (found["flow_agreement"], found["trajectory_agreement"], found["flow_error"]) == (0, 0, 1)


def test_a_plain_frozen_clip_is_steady_too():
    found = score(torch.full((4, 32, 32, 3), 0.3))
    assert found["frame_consistency"] == 1
    assert found["dynamic_degree"] == 0


def test_disorder_lowers_consistency_and_raises_the_errors():
    video = clip(frames=24)
    mixed = video[torch.randperm(24, generator=torch.Generator().manual_seed(0))]
    ordered, disordered = score(video), score(mixed)
    assert disordered["frame_consistency"] < ordered["frame_consistency"] - 0.3
    for name in ("flicker", "jerk", "warping_error"):
        assert disordered[name] > 3 * ordered[name]
    # Which pairs there are does not depend on the order.
    key = "frame_consistency_all_pairs"
    assert disordered[key] == pytest.approx(ordered[key], abs=1e-5)


def test_the_same_motion_by_another_object_looks_different_and_moves_alike():
    same, opposite = score(clip(), clip(OTHER)), score(clip(), clip(replace(OTHER, motion="circles anticlockwise")))
    assert same["trajectory_agreement"] > 0.9 > 0.5 > opposite["trajectory_agreement"]
    assert same["flow_agreement"] > 0.8 > 0 > opposite["flow_agreement"]
    assert same["self_similarity"] > 0.9
    assert same["ssim"] < 0.8
    assert same["colour_agreement"] < 0.1


@pytest.mark.parametrize("change", [{"colour": "blue"}, {"background": "black"}, {"look": "blueprint"}])
def test_a_wrong_appearance_loses_the_condition(change):
    condition = clip(frames=1)
    kept, lost = score(clip(), condition=condition), score(clip(replace(DISC, **change)), condition=condition)
    assert kept["condition_fidelity"] > 0.95
    assert lost["condition_fidelity"] < 0.3
    assert lost["condition_colour"] < kept["condition_colour"] - 0.05


def test_of_several_conditions_each_frame_takes_its_best():
    video = clip()
    both = torch.cat([clip(OTHER, 1), clip(frames=1)])
    assert score(video, condition=both)["condition_fidelity"] == pytest.approx(
        score(video, condition=both[1:])["condition_fidelity"]
    )
    many = clip(OTHER, 1).expand(40, -1, -1, -1).clone()
    many[13] = video[0]  # of 40 the pictures 0, 13, 26 and 39 are looked at
    assert score(video, condition=many)["condition_fidelity"] > 0.95
    many[13], many[14] = many[0], video[0]
    assert score(video, condition=many)["condition_fidelity"] < 0.5


def test_more_noise_means_worse_pictures():
    video = clip(frames=4)
    grain = torch.randn(video.shape, generator=torch.Generator().manual_seed(0))
    found = [score((video + amount * grain).clamp(0, 1), video, video[:1]) for amount in (0.0, 0.03, 0.1, 0.3)]
    for name in ("ssim", "psnr", "edge_agreement", "colour_agreement", "condition_fidelity", "frame_consistency"):
        values = [one[name] for one in found]
        assert values == sorted(values, reverse=True), name
        assert len(set(values)) == 4, name
    for name in ("flicker", "jerk", "warping_error"):
        values = [one[name] for one in found]
        assert values == sorted(values), name


@pytest.mark.parametrize(
    "inputs",
    [
        (noise(), noise(seed=1), noise(1, seed=2)),
        (torch.zeros(4, 32, 32, 3), torch.ones(4, 32, 32, 3), torch.ones(1, 32, 32, 3)),
        (noise(), torch.zeros(4, 32, 40, 3), torch.zeros(1, 32, 40, 3)),
        (torch.zeros(4, 16, 16, 3), torch.zeros(4, 16, 16, 3), torch.zeros(1, 16, 16, 3)),
        (noise() * 9 - 4, noise(seed=1) * 9 - 4, noise(1) * 9 - 4),
    ],
)
def test_every_number_is_finite_and_in_its_range(inputs):
    found = score(*inputs)
    json.dumps(found, allow_nan=False)
    for name, metric in METRICS.items():
        assert metric.low <= found[name] <= metric.high, name
        assert math.isfinite(found[name]), name


def test_a_reference_of_another_size_is_cropped_and_resized():
    wide = torch.zeros(12, 128, 256, 3)
    wide[:, :, 64:192] = clip(size=128)  # the middle square, twice as large
    found = score(clip(), wide, wide[:1])
    assert found["ssim"] > 0.98
    assert found["trajectory_agreement"] > 0.98
    assert found["condition_fidelity"] > 0.9


def test_of_unequal_lengths_the_first_frames_are_compared_and_counted():
    video = clip(frames=16)
    short, long = score(video, video[:10]), score(video[:10], video)
    assert short["compared_frames"] == long["compared_frames"] == 10
    for found in (short, long):
        assert found["ssim"] == pytest.approx(1)
        assert found["flow_agreement"] == pytest.approx(1, abs=1e-5)
    assert short["flicker"] == score(video)["flicker"]  # the video's own numbers are of all its frames


def test_alpha_is_dropped_and_any_float_is_taken():
    video = clip(frames=4)
    with_alpha = torch.cat([video, torch.rand(4, 64, 64, 1)], -1)
    assert score(with_alpha, video) == score(video, video)
    assert score(video.half(), video)["ssim"] > 0.999


def test_flicker_and_jerk_are_mean_differences():
    ramp = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 3, 4, 4) / 10
    assert flicker(ramp) == pytest.approx(0.1)
    assert jerk(ramp) == pytest.approx(0, abs=1e-7)
    blink = torch.tensor([0.0, 1.0, 0.0, 1.0]).view(4, 1, 1, 1).expand(4, 3, 4, 4)
    assert (flicker(blink), jerk(blink)) == (1, 2)


def test_consistency_is_the_cosine_without_the_mean_colour():
    generator = torch.Generator().manual_seed(0)
    planes = torch.rand(3, 3, 8, 8, generator=generator)
    centred = (planes - planes.mean((0, 2, 3), keepdim=True)).flatten(1)
    cosine = torch.nn.functional.cosine_similarity
    first, second, far = (float(cosine(centred[i], centred[j], dim=0)) for i, j in ((0, 1), (1, 2), (0, 2)))
    neighbours, pairs = frame_consistency(planes)
    assert neighbours == pytest.approx((first + second) / 2, abs=1e-5)
    assert pairs == pytest.approx((first + second + far) / 3, abs=1e-5)


def test_a_large_clip_is_measured_at_a_smaller_size_and_moves_as_much():
    small, large = score(clip(frames=3), clip(OTHER, 3)), score(clip(frames=3, size=320), clip(OTHER, 3, 320))
    assert large["dynamic_degree"] == pytest.approx(small["dynamic_degree"], rel=0.25)
    assert large["trajectory_agreement"] > 0.9
    planes = video_scores.planes(clip(frames=2, size=320), "video", 320, 320)
    assert planes.shape == (2, 3, 256, 256)


REFUSED = [
    (torch.zeros(4, 32, 32), "the video has shape [4, 32, 32]; connect an IMAGE batch [frames, height, width, 3]"),
    (torch.zeros(4, 12, 32, 3), "the video has shape [4, 12, 32, 3]; connect an IMAGE batch [frames, height, width, 3]"
     " of at least 16 x 16 pixels"),
    (torch.zeros(0, 32, 32, 3), "the video has shape [0, 32, 32, 3]; connect an IMAGE batch"),
    (torch.full((2, 32, 32, 3), torch.nan), "the video holds NaN or infinity instead of colours; look at the step "
     "that made it"),
]  # fmt: skip


@pytest.mark.parametrize(("video", "sentence"), REFUSED)
def test_what_is_no_clip_is_refused_in_one_sentence(video, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        score(video)


@pytest.mark.parametrize("role", ["reference", "condition"])
def test_a_bad_second_input_is_named(role):
    with pytest.raises(ValueError, match=f"^the {role} has shape "):
        score(clip(frames=2), **{role: torch.zeros(64, 64, 3)})
    with pytest.raises(ValueError, match=f"^the {role} holds NaN"):
        score(clip(frames=2), **{role: torch.full((2, 64, 64, 3), torch.inf)})
