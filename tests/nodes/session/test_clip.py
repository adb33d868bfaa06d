"""The image model while it is tuned: numbers in which gradients survive, previews, and what a loader gives back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import av
import comfy.model_management
import comfy.sample
import comfy.samplers
import folder_paths
import pytest
import tiny_svd
import tiny_unet
import torch
from method_files import save_tuned
from tiny_unet import answer
from torch import Tensor
from tuned_models import tuned_of
from tuning_clips import FRAMES, PIXELS, encoded_clips, tune

import nodes as host_nodes
from pack.methods.tune_a_video import POOLED, Tuned
from pack.nodes.dataset import FewShotDatasetClip, FewShotEncodeDataset
from pack.nodes.host.model.image_model import image_model
from pack.nodes.host.model.toy import load_clip
from pack.nodes.host.runs import previews
from pack.nodes.host.runs.previews import Preview
from pack.nodes.host.services.folders import tune_a_video_output_folder
from pack.nodes.host.session import clip as clip_session
from pack.nodes.host.session.clip import Form
from pack.nodes.host.trainers.tune_a_video import kind_of
from pack.nodes.host.trainers.tune_a_video_data import make_objective
from pack.nodes.host.tune_a_video.apply import apply_tuned
from pack.nodes.host.tune_a_video.files import tuned_names
from pack.nodes.inversion import FewShotInversion
from pack.nodes.tune_a_video import TuneAVideoApply, TuneAVideoLoad
from pack.toy.text import WIDTH as TEXT_WIDTH
from pack.training.core.batches import seeded_generator
from pack.training.core.config import TrainConfig
from pack.training.core.preview import PreviewSettings
from pack.training.tune_a_video.file import load_tuned
from pack.training.tune_a_video.recipe import ClipRecipe, FrameWindow

pytestmark = pytest.mark.usefixtures("own_output")

CONFIG = TrainConfig()


def fill(session: Any, tuned: Tuned) -> None:
    """Let a session's layers be what was tuned."""
    session.trained.temporal.load(tuned.temporal)
    for name, layer in session.trained.queries.by_name.items():
        layer.delta.data.copy_(tuned.queries[name])


@pytest.mark.parametrize("velocity", [False, True])
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_preview_is_what_the_host_samples_with_what_was_tuned(tmp_path, velocity, guidance):
    model = tiny_unet.fresh_unet(velocity=velocity)
    tuned = tuned_of(model, POOLED)
    with (
        torch.inference_mode(),
        clip_session.clip_session(image_model(model), CONFIG, Form(group_norms=POOLED)) as session,
    ):
        fill(session, tuned)
        objective = make_objective(image_model(model), encoded_clips(), ClipRecipe(FrameWindow(FRAMES)), CONFIG)
        order = PreviewSettings(steps=4, seed=2, guidance=guidance)
        made = previews.sampled_latents(session, Preview(objective, tmp_path, 8.0, compression=1, settings=order))
    noise = torch.randn(1, 4, FRAMES, 4, 4, generator=seeded_generator(2, 0, "preview"))[0].transpose(0, 1)
    sigma = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "simple", 4)[0]
    prompts = [
        [[conditioning["cross_attn"][None], {"pooled_output": None}]]
        for conditioning in (objective.conditioning[0], objective.unconditional)
    ]
    with torch.inference_mode():
        host = comfy.sample.sample(
            # The host starts from noise of variance 1 + sigma^2, as if there were a picture in it.
            apply_tuned(model, tuned, 1.0), noise * sigma / (1 + sigma**2).sqrt(), 4, guidance, "euler", "simple",
            *prompts, torch.zeros_like(noise), disable_pbar=True, seed=0,
        )  # fmt: skip
    expected = model.model.process_latent_in(host).transpose(0, 1)
    scale = float(expected.abs().max())
    torch.testing.assert_close(made, expected, rtol=1e-3, atol=1e-4 * scale)


def test_previews_are_decoded_frame_by_frame_and_change_nothing_of_the_run():
    model, vae = tiny_unet.fresh_unet(), tiny_svd.tiny_image_vae()
    plain = tune(model, "not shown", steps=2)
    shown = tune(
        model, "shown", steps=2, vae=vae, settings=TrainConfig(sample_every=1, weight_decay=1e-2, betas=(0.9, 0.999))
    )
    assert all(torch.equal(value, shown[0].queries[name]) for name, value in plain[0].queries.items())
    assert all(torch.equal(value, shown[0].temporal[name]) for name, value in plain[0].temporal.items())
    (folder,) = Path(folder_paths.get_output_directory()).glob("fewshot_video/runs/shown/samples")
    for path in sorted(folder.iterdir(), reverse=True):
        with av.open(str(path)) as container:
            frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
        assert len(frames) == FRAMES
        assert frames[0].shape == (PIXELS, PIXELS, 3)
    assert len(list(folder.iterdir())) == 2


def test_the_frames_of_a_preview_are_those_the_vae_makes_of_each_latent(tmp_path):
    model, vae = tiny_unet.fresh_unet(), tiny_svd.tiny_image_vae()
    objective = make_objective(image_model(model), encoded_clips(), ClipRecipe(FrameWindow(FRAMES)), CONFIG)
    latents = objective.x0[0]
    with torch.inference_mode(), clip_session.clip_session(image_model(model), CONFIG, Form()) as session:
        frames = previews.decode(session, Preview(objective, tmp_path, 8.0, 1, vae), latents, print)
    with torch.inference_mode():
        alone = [vae.decode(model.model.process_latent_out(latents[:, i][None].clone())) for i in range(FRAMES)]
    torch.testing.assert_close(frames, torch.cat(alone).float().cpu(), atol=1e-5, rtol=1e-5)


def half_model(monkeypatch: Any) -> tuple[Any, list[torch.dtype], list[float]]:
    """A MODEL that computes in fp16, and notes of what it is trained in."""
    model = tiny_unet.fresh_unet()
    model.set_model_compute_dtype(torch.float16)
    comfy.model_management.load_models_gpu([model])
    types, scales, predict = [], [], clip_session.ClipPredictor.__call__

    def look(self: Any, *args: Any) -> Tensor:
        types.append(self.base.get_dtype_inference())
        return predict(self, *args)

    monkeypatch.setattr(clip_session.ClipPredictor, "__call__", look)
    made = clip_session.Session

    def session(*args: Any) -> Any:
        scales.append(args[3])
        return made(*args)

    monkeypatch.setattr(clip_session, "Session", session)
    return model, types, scales


@pytest.mark.parametrize("bf16", [False, True])
def test_a_half_precision_model_is_tuned_in_bf16_or_with_a_scaled_loss(monkeypatch, bf16):
    model, types, scales = half_model(monkeypatch)
    monkeypatch.setattr(comfy.model_management, "should_use_bf16", lambda *_args, **_kwargs: bf16)
    tuned = tune(model, f"half {bf16}", learning_rate=1e-3)[0]
    assert set(types) == {torch.bfloat16 if bf16 else torch.float16}
    assert scales == [1.0 if bf16 else 2.0**14]
    assert all(delta.any() for delta in tuned.queries.values())
    assert {delta.dtype for delta in tuned.queries.values()} == {torch.float32}


def test_the_folder_is_the_hosts_and_the_loader_reads_what_was_trained():
    model = tiny_unet.fresh_unet()
    tuned, _, _, path = tune(model, "loaded")
    name = f"loaded/{Path(path).name}"
    assert name in tuned_names()
    assert tuned_names().count(name) == 1
    assert str(tune_a_video_output_folder()) in folder_paths.get_folder_paths("tune_a_video")
    (found,) = TuneAVideoLoad.execute(name).result
    x = tiny_unet.clip(FRAMES, 1, 2)
    expected = answer(apply_tuned(model, tuned, 1.0), x, 500, [1, 0])
    assert torch.equal(answer(apply_tuned(model, found, 1.0), x, 500, [1, 0]), expected)
    before = TuneAVideoLoad.fingerprint_inputs(name)
    assert "loaded" not in before  # the host writes it into pictures, and a path is private
    shutil.copyfile(path, Path(path).with_name("copy.safetensors"))
    assert TuneAVideoLoad.fingerprint_inputs("loaded/copy.safetensors") != before
    assert TuneAVideoLoad.fingerprint_inputs("gone.safetensors") == ""


def test_what_is_not_there_and_what_is_something_else_is_refused():
    for name in ("gone.safetensors", "../x.safetensors", "notes.txt"):
        with pytest.raises(ValueError, match=r"no Tune-A-Video file .*; put it into models/tune_a_video, refresh"):
            TuneAVideoLoad.execute(name)
    folder = tune_a_video_output_folder()
    folder.mkdir(exist_ok=True, parents=True)
    (folder / "broken.safetensors").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"broken\.safetensors is not a readable safetensors file"):
        TuneAVideoLoad.execute("broken.safetensors")


def test_a_file_of_another_base_is_refused_and_both_are_named(tmp_path):
    model = tiny_unet.fresh_unet()
    loaded = load_tuned(save_tuned(tuned_of(model), tmp_path / "a.safetensors"))
    message = (
        r"tuned on Stable Diffusion 1\.x, noise prediction, the model is Stable Diffusion 2\.x, velocity prediction"
    )
    with pytest.raises(ValueError, match=message):
        apply_tuned(tiny_unet.tiny_unet(True, "SD20"), loaded, 1.0)


def test_a_clip_goes_through_all_nodes_from_pixels_to_an_edited_clip():
    model, vae, clip = tiny_unet.fresh_unet(context_dim=TEXT_WIDTH), tiny_svd.tiny_image_vae(), load_clip()
    pixels = torch.rand(4, PIXELS, PIXELS, 3, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        (dataset,) = FewShotDatasetClip.execute(pixels, "a red disc slides left").result
        encoded, _ = FewShotEncodeDataset.execute(dataset, vae, clip, False).result
        tuned = tune(model, "all nodes", encoded=encoded, frames=4)[0]
        (applied,) = TuneAVideoApply.execute(model, tuned, 1.0).result
        prompts = {text: clip.encode_from_tokens_scheduled(clip.tokenize(text)) for text in ("", "a blue disc")}
        source = {"samples": vae.encode(pixels)}
        latent, _ = FewShotInversion.execute(applied, prompts[""], source, 3).result
        (edited,) = host_nodes.KSamplerAdvanced().sample(
            applied, "disable", 0, 3, 5.0, "ddim", "ddim_uniform", prompts["a blue disc"], prompts[""], latent, 0,
            10000, "disable",
        )  # fmt: skip
        frames = vae.decode(edited["samples"])
    assert frames.shape == (4, PIXELS, PIXELS, 3)
    assert frames.isfinite().all()


def test_the_kind_names_the_file_and_its_folder():
    kind = kind_of(Form())
    assert kind.noun == "Tune-A-Video file"
    assert kind.files("a run") == tune_a_video_output_folder() / "a run"
    assert image_model(tiny_unet.tiny_unet()).base == "Stable Diffusion 1.x, noise prediction"
