"""The template clips of ComfyUI as a data set: real footage, read where it lies and never copied here."""

from __future__ import annotations

import importlib.util
import sys

import pytest
import torch
from PIL import Image

from pack.nodes.dataset import FewShotEncodeDataset
from pack.nodes.dataset_folder import FewShotTemplateClips
from pack.nodes.host.services import templates
from pack.nodes.host.services.templates import template_pairs
from pack.nodes.tic_ft_train import TICFTTrain
from pack.nodes.toy import FewShotToyVideoModel
from pack.training.core.config import TrainConfig
from pack.training.data.media.decode import probe, read_frames

PICTURES = "comfyui_workflow_templates_media_video"
INSTALLED = pytest.mark.skipif(
    importlib.util.find_spec(PICTURES) is None, reason="this ComfyUI comes without the clips of its templates"
)
SIZE, FRAMES, FPS = 64, 24, 12.0


@pytest.fixture(scope="module")
def pairs():
    return template_pairs()


@pytest.fixture(scope="module")
def dataset(pairs):
    """The pairs of the templates whose names begin with ``video``: local models, and footage of many kinds."""
    few = type(pairs)({name: entry for name, entry in pairs.entries.items() if name.startswith("video")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templates, "template_pairs", lambda _count: few)
        found, report = FewShotTemplateClips.execute(SIZE, SIZE, FRAMES, FPS).result
    assert report == found.report
    return found


@INSTALLED
def test_the_pairs_are_the_two_clips_of_a_template(pairs):
    assert len(pairs.entries) >= 30
    assert list(template_pairs(3).entries) == list(pairs.entries)[:3]
    for name, entry in pairs.entries.items():
        assert entry.clip("target").name == f"{name}-1.webp"
        assert entry.clip("condition").name == f"{name}-2.webp"
        assert entry.text.strip()


@INSTALLED
def test_prompts_of_the_templates_are_the_captions(pairs):
    assert pairs.entries["video_wan_vace_14B_v2v"].text.startswith("The girl is dancing in a sea of flowers")
    assert pairs.entries["video_ltx2_canny_to_video"].text.startswith("A wide shot reveals")


@INSTALLED
def test_every_frame_of_some_is_that_of_pillow_at_its_time(pairs):
    for name in ("video_wan_vace_14B_v2v", "wan2.1_fun_control", "utility_sdpose_ood_video_to_pose_map"):
        path = pairs.entries[name].clip("target")
        with Image.open(path) as picture:
            wanted = []
            for number in range(picture.n_frames):
                picture.seek(number)
                wanted.append(picture.convert("RGB").resize((8, 8)).tobytes())
        info = probe(path)
        assert info.frames == len(wanted)
        assert info.fps == pytest.approx(len(wanted) / info.duration)
        shown = [Image.fromarray(frame).resize((8, 8)) for frame in read_frames(path, info, info.fps, info.frames)]
        found = [picture.tobytes() for picture in shown]
        assert found == wanted


@INSTALLED
def test_they_are_reported(dataset):
    assert len(dataset) >= 8
    assert f"{len(dataset)} clips, {SIZE}x{SIZE}, {FRAMES} frames at 12 fps" in dataset.report
    assert f"{len(dataset)} with condition" in dataset.report
    assert "video_wan_vace_14B_v2v-1.webp: 30 → 12 fps, 90 → 36 frames, first 24 of 36 frames kept" in dataset.report


@INSTALLED
@pytest.mark.usefixtures("own_output")
def test_they_are_encoded_and_trained_on(dataset):
    model, clip, vae = FewShotToyVideoModel.execute().result
    few = type(dataset)(dataset.samples[:4], SIZE, SIZE, FPS, "")
    with torch.inference_mode():
        encoded, _ = FewShotEncodeDataset.execute(few, vae, clip, True).result
        lora, losses, steps, _, _ = TICFTTrain.execute(
            model, encoded, "video to video", rank=4, learning_rate=1e-3, steps=3, batch_size=2, seed=0,
            settings=TrainConfig(shift=5.0),
        ).result  # fmt: skip
    assert steps == 3
    assert len(losses["loss"]) == 3
    assert all(0 < loss < 10 for loss in losses["loss"])
    assert any(tensor.abs().max() > 0 for name, tensor in lora.items() if "up" in name)


def test_without_the_packages_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(templates.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(ValueError, match="are not installed; install its package comfyui_workflow_templates"):
        FewShotTemplateClips.execute(SIZE, SIZE, FRAMES, FPS)


def test_without_the_pictures_there_is_no_pair(monkeypatch):
    class Template:
        template_id = "a"
        assets = (type("Asset", (), {"filename": "a-1.webp"}), type("Asset", (), {"filename": "a-2.webp"}))

    def no_pictures(*_names):
        raise FileNotFoundError

    package = type("Package", (), {"iter_templates": staticmethod(lambda: [Template()]), "get_asset_path": no_pictures})
    monkeypatch.setattr(templates.importlib.util, "find_spec", lambda _name: True)
    monkeypatch.setitem(sys.modules, "comfyui_workflow_templates", package)
    with pytest.raises(ValueError, match="are not installed; install its package"):
        template_pairs()
