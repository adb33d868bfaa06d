"""Previews while training: what the host would sample, and nothing of the run is touched."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sample
import pytest
import tiny_vae
import tiny_wan
import torch
from tic_ft_runs import probe
from tiny_sampling import fresh_model

from pack.methods.flow import FLOW
from pack.methods.tic_ft import Layout
from pack.nodes.host.model.loras import apply_lora
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.runs import previews
from pack.nodes.host.runs.previews import FOLDER, Preview, colours, decode, fits_beside, make_sample, still, video_ui
from pack.nodes.host.sampling.wrappers import Context
from pack.nodes.host.session.session import HostPredictor, training_session
from pack.training.core.batches import seeded_generator
from pack.training.core.config import TrainConfig
from pack.training.core.loop import train
from pack.training.core.preview import PreviewSettings
from pack.training.lora.file import LoraModel
from pack.training.tic_ft.objective import TicftObjective
from pack.training.tic_ft.recipe import TicftRecipe

av = pytest.importorskip("av")

LAYOUT = Layout.linear(1, 3, 2)
CONFIG = TrainConfig(rank=4, learning_rate=0.02, steps=4, batch_size=2, seed=1)


@pytest.fixture
def model() -> Any:
    return fresh_model()


def objective(clips: int = 2) -> TicftObjective:
    """Random clips in the model's space."""
    generator = torch.Generator().manual_seed(3)
    return TicftObjective(
        x0=[torch.randn(16, LAYOUT.frames, 4, 4, generator=generator) for _ in range(clips)],
        conditioning=[{"cross_attn": torch.randn(4, 32, generator=generator)} for _ in range(clips)],
        unconditional={"cross_attn": torch.zeros(4, 32)},
        recipe=TicftRecipe("image to video", LAYOUT),
        config=CONFIG,
    )


class Notes(list):
    """What was said."""

    def __call__(self, kind: str, text: str) -> None:
        self.append((kind, text))


@contextmanager
def trained(model: Any):
    """A session whose adapters have learned something."""
    with torch.inference_mode(), training_session(video_model(model), CONFIG) as session:
        train(objective(), session.predict, session.trained.parameters(), CONFIG)
        yield session


def preview(folder: Path, **values: Any) -> Preview:
    folder.mkdir(parents=True, exist_ok=True)
    return Preview(
        **{"objective": objective(), "folder": folder, "fps": 8.0, "settings": PreviewSettings(steps=5), **values}
    )


def frames_of(path: Path) -> list[Any]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_a_preview_is_what_the_host_samples_with_the_saved_lora(model, tmp_path, guidance):
    ordered = preview(tmp_path, settings=PreviewSettings(steps=5, seed=2, clip=1, guidance=guidance))
    with trained(model) as session:
        made = previews.sampled_latents(session, ordered)
        lora = LoraModel(session.trained.tensors(), {})
    clip = objective()
    clean = clip.x0[1][None]
    noise = torch.randn(clean.shape, generator=seeded_generator(2, 1, "preview"))
    vae_space = model.model.process_latent_out(clean.clone())
    context = Context(LAYOUT, vae_space[:, :, : LAYOUT.prefix])
    latent = model.model.process_latent_out(torch.zeros_like(clean))
    latent[:, :, : LAYOUT.prefix] = vae_space[:, :, : LAYOUT.prefix]
    prompts = [
        [[conditioning["cross_attn"][None], {"pooled_output": None}]]
        for conditioning in (clip.conditioning[1], clip.unconditional)
    ]
    with torch.inference_mode():
        host = comfy.sample.sample(
            context.put_on(apply_lora(model, lora, 1.0, "live")), noise, 5, guidance, "euler", "simple", *prompts,
            latent, disable_pbar=True, seed=0,
        )  # fmt: skip
    torch.testing.assert_close(made[None], model.model.process_latent_in(host), atol=2e-4, rtol=2e-4)


def test_a_run_with_previews_learns_the_same_as_one_without(model, tmp_path):
    before = tiny_wan.weights_of(model)
    learned = []
    for showing in (False, True):
        with torch.inference_mode(), training_session(video_model(model), CONFIG) as session:
            sample = make_sample(session, preview(tmp_path, vae=tiny_vae.tiny_vae()), Notes())
            hooks = [len(module._forward_hooks) for module in model.model.modules()]

            def on_step(step, _record, sample=sample, showing=showing):
                assert not showing or sample(step) is not None

            train(objective(), session.predict, session.trained.parameters(), CONFIG, on_step=on_step)
            assert [len(module._forward_hooks) for module in model.model.modules()] == hooks
            assert comfy.model_management.in_training is True
            learned.append(session.trained.tensors())
    assert all(torch.equal(learned[0][key], learned[1][key]) for key in learned[0])
    assert all(torch.equal(value, before[name]) for name, value in tiny_wan.weights_of(model).items())
    xt, sigma, context = probe()
    assert tiny_wan.velocity_of(model, xt, sigma, context).isfinite().all()
    assert [path.name for path in sorted((tmp_path / FOLDER).iterdir())] == [f"00000{i}.mp4" for i in range(1, 5)]


def test_with_a_vae_the_target_frames_are_decoded_and_the_vae_leaves(model, tmp_path):
    vae, notes = tiny_vae.tiny_vae(), Notes()
    with trained(model) as session:
        path = make_sample(session, preview(tmp_path, vae=vae), notes)(7)
        loaded = [entry.model for entry in comfy.model_management.current_loaded_models]
        assert any(patcher is session.predict.model for patcher in loaded)
        assert not any(patcher is not None and patcher.is_clone(vae.patcher) for patcher in loaded)
    assert notes == []
    assert path == tmp_path / FOLDER / "000007.mp4"
    assert len(frames_of(path)) == 4 * LAYOUT.target
    assert frames_of(path)[0].shape == (32, 32, 3)


def test_the_frames_are_those_the_vae_makes_of_the_latents(model, tmp_path):
    vae = tiny_vae.tiny_vae()
    latents = objective().x0[0]
    with trained(model) as session:
        frames = decode(session, preview(tmp_path, vae=vae), latents, Notes())
    with torch.inference_mode():
        whole = vae.decode(model.model.process_latent_out(latents[None].clone()))[0]
    assert len(whole) == 21
    torch.testing.assert_close(frames, whole[-8:].float(), atol=1e-5, rtol=1e-5)


def test_without_a_vae_the_latents_are_drawn_in_the_hosts_colours(model, tmp_path):
    notes = Notes()
    with trained(model) as session:
        path = make_sample(session, preview(tmp_path), notes)(1)
    assert notes == []
    assert len(frames_of(path)) == LAYOUT.target
    assert frames_of(path)[0].shape == (32, 32, 3)


def test_colours_follow_the_hosts_table(model):
    latent_format = model.model.latent_format
    latents = torch.zeros(16, 1, 2, 2)
    latents[3] = 0.25
    expected = torch.tensor(latent_format.latent_rgb_factors[3]) * 0.25
    expected = ((expected + torch.tensor(latent_format.latent_rgb_factors_bias) + 1) / 2).clamp(0, 1)
    torch.testing.assert_close(colours(latents, latent_format)[0, 5, 5], expected)


def test_latents_without_a_table_of_colours_ask_for_a_vae():
    class Unknown:
        latent_rgb_factors = None

    with pytest.raises(ValueError, match="no colours for Unknown latents; give the trainer a VAE"):
        colours(torch.zeros(16, 1, 2, 2), Unknown())


def test_a_vae_that_does_not_fit_beside_the_model_is_left_out_with_a_note(model, tmp_path, monkeypatch):
    vae, notes = tiny_vae.tiny_vae(), Notes()
    assert fits_beside(vae, objective().x0[0][None])
    monkeypatch.setattr(comfy.model_management, "get_free_memory", lambda *_args: vae.patcher.model_size())
    with trained(model) as session:
        path = make_sample(session, preview(tmp_path, vae=vae), notes)(1)
        assert any(entry.model is session.predict.model for entry in comfy.model_management.current_loaded_models)
    assert len(frames_of(path)) == LAYOUT.target
    assert notes == [("preview", "the VAE does not fit beside the model, so the preview shows colours of the latents")]


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (RuntimeError("broken"), "broken"),
        (MemoryError(), "there is not enough memory"),
        (torch.cuda.OutOfMemoryError("CUDA out of memory"), "there is not enough memory"),
    ],
)
def test_an_error_costs_the_preview_and_not_the_run(model, tmp_path, monkeypatch, error, why):
    def fail(*_args):
        raise error

    notes = Notes()
    with trained(model) as session:
        sample = make_sample(session, preview(tmp_path), notes)
        with monkeypatch.context() as patch:
            patch.setattr(previews, "decode", fail)
            assert sample(3) is None
        assert sample(4) is not None
    assert notes == [("preview", f"the preview after 3 steps was skipped: {why}")]
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == ["000004.mp4"]


def test_a_clip_that_is_not_there_is_said(model, tmp_path):
    notes = Notes()
    with trained(model) as session:
        assert make_sample(session, preview(tmp_path, settings=PreviewSettings(clip=9)), notes)(3) is None
    assert "use 0 to 1" in notes[0][1]


def test_cancel_is_heard_before_each_evaluation_of_a_preview(model, tmp_path, monkeypatch):
    with trained(model) as session:
        sample = make_sample(session, preview(tmp_path), Notes())
        # The host's own layers would hear it too; here it is too late for that.
        monkeypatch.setattr(HostPredictor, "__call__", lambda *_args: pytest.fail("the network was asked"))
        comfy.model_management.interrupt_current_processing()
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            sample(3)
    assert list(tmp_path.iterdir()) == []


def test_a_preview_goes_to_the_temp_folder_where_the_runs_folder_is_gone(model, tmp_path, host_base):
    ordered = preview(tmp_path / "gone")
    ordered.folder.rmdir()
    with trained(model) as session:
        path = make_sample(session, ordered, Notes())(3)
    assert path == host_base / "temp" / "gone_000003.mp4"
    assert len(frames_of(path)) == LAYOUT.target
    assert not ordered.folder.exists()
    assert video_ui(path)["images"] == [{"filename": "gone_000003.mp4", "subfolder": "", "type": "temp"}]


def test_a_video_that_the_host_cannot_show_gives_no_ui(tmp_path):
    (tmp_path / "a.mp4").touch()
    assert video_ui(tmp_path / "a.mp4") == {}
    assert video_ui(None) == {}


@pytest.mark.parametrize(("count", "width"), [(1, 20), (3, 60), (9, 80)])
def test_the_still_shows_up_to_four_frames_side_by_side(count, width):
    image = still(torch.linspace(0, 1, count)[:, None, None, None].expand(count, 10, 20, 3))
    assert image.size == (width, 10)
    assert image.getpixel((0, 0)) == (0, 0, 0)
    if count > 1:
        assert image.getpixel((width - 1, 0)) == (255, 255, 255)


def test_the_objective_of_tic_ft_is_one_that_can_be_previewed():
    assert objective().process is FLOW
    assert objective().layout == LAYOUT
