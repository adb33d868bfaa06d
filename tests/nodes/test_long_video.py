"""TIC-FT Long Video in the host, on the tiny network and the tiny VAE: windows, files, cancel and going on."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import comfy.model_management
import comfy.sample
import pytest
import tiny_families
import tiny_sampling as tiny
import torch
from comfy_api.latest import InputImpl
from comfy_extras.nodes_custom_sampler import BasicScheduler, SplitSigmas
from tiny_long import make
from tiny_vae import PIXELS, clip, tiny_vae

from pack.nodes.host.sampling import long_video
from pack.nodes.host.sampling.long_output import LongOutput, long_videos_folder
from pack.nodes.host.sampling.long_source import ClipSource
from pack.nodes.host.services.images import connected_frames
from pack.training.storage.video_file import write_video

pytestmark = pytest.mark.usefixtures("output")


def frames_of(video: Any) -> torch.Tensor:
    return video.get_components().images


def files() -> list[str]:
    return sorted(path.relative_to(long_videos_folder()).as_posix() for path in long_videos_folder().rglob("*.*"))


@pytest.mark.parametrize(("task", "source", "frames", "ends"), [
    ("video to video", (14, 0), 0, 14), ("video to video", (14, 0), 11, 11), ("image to video", (1, 0), 12, 12),
    ("keyframes", (5, 0), 0, 10), ("video to video", (3, 0), 0, 3),
])  # fmt: skip
def test_every_task_gives_a_file_of_as_many_frames_as_were_asked_for(task, source, frames, ends):
    video, latent, count, report = make(clip(*source), task=task, frames=frames)
    assert len(frames_of(video)) == count == ends
    assert latent["samples"].shape == (1, 16, 2, 4, 4)
    assert f"{ends} frames" in report
    assert files() == ["long_00001.mp4", "long_00001/state.safetensors"]


def test_each_window_is_shown_the_key_frames_that_lie_in_it(monkeypatch):
    seen: list[tuple[int, list[float]]] = []
    sampled = long_video.Windows._sampled

    def listen(self: Any, context: Any, latent: torch.Tensor, window: Any, on_step: Any) -> torch.Tensor:
        (keys,) = self.planned.conditions.at(window)
        seen.append((window.start, keys.mean((1, 2, 3)).mul(10).round().tolist()))
        return sampled(self, context, latent, window, on_step)

    monkeypatch.setattr(long_video.Windows, "_sampled", listen)
    keys = torch.arange(7.0).div(10)[:, None, None, None].expand(-1, PIXELS, PIXELS, 3)
    _, _, count, _ = make(keys, task="keyframes", window_frames=24, overlap_latents=2)
    assert count == 48
    assert seen == [(0, [0, 1, 2, 3]), (16, [2, 3, 4, 5]), (24, [3, 4, 5, 6])]


def test_between_key_frames_as_many_latents_are_asked_for_as_the_next_window_holds():
    keys = torch.arange(7.0).div(10)[:, None, None, None].expand(-1, PIXELS, PIXELS, 3)
    asked = {"task": "keyframes", "window_frames": 24, "overlap_latents": 2, "start_frame": 40}
    with pytest.raises(ValueError, match="has 3 latents, 4 are held; take that of a long video"):
        make(keys, **asked, goes_on_from={"samples": torch.zeros(1, 16, 3, 4, 4)})
    _, _, count, report = make(keys, **asked, goes_on_from={"samples": torch.zeros(1, 16, 4, 4, 4)})
    assert count == 48
    assert "8 frames, up to" in report
    assert report.endswith("in windows of 24 frames, 3 in all")


def test_each_window_is_shown_the_source_from_where_it_begins_and_the_end_of_the_one_before(monkeypatch):
    seen: list[tuple[Any, torch.Tensor]] = []
    sampled = long_video.Windows._sampled

    def listen(self: Any, context: Any, latent: torch.Tensor, window: Any, on_step: Any) -> torch.Tensor:
        out = sampled(self, context, latent, window, on_step)
        seen.append((window, context.x0.clone(), out.clone()))
        return out

    monkeypatch.setattr(long_video.Windows, "_sampled", listen)
    source = clip(29)
    make(source)
    assert [window.start for window, *_ in seen] == [0, 4, 8, 12, 16, 20, 24]
    for window, x0, _ in seen:
        part = source[window.start : window.start + 25]
        part = torch.cat([part, part[-1:].expand(25 - len(part), -1, -1, -1)])
        with torch.inference_mode():  # in which other tests may have loaded it
            encoded = tiny_vae().encode(part)
        assert torch.allclose(x0[:, :, :7], encoded, atol=1e-4)
    for (_, _, before), (_, x0, out) in pairwise(seen):
        assert torch.equal(x0[:, :, 7:], before[:, :, -1:])
        assert torch.equal(out[:, :, 7:8], before[:, :, -1:])


def test_new_latents_are_decoded_as_what_follows_on_the_window_before(monkeypatch):
    sequences: list[torch.Tensor] = []
    decoded: list[torch.Tensor] = []
    sampled, vae = long_video.Windows._sampled, tiny_vae()
    decode = vae.decode

    def listen(self: Any, *given: Any) -> torch.Tensor:
        sequences.append(sampled(self, *given).clone())
        return sequences[-1]

    def note(latents: torch.Tensor) -> torch.Tensor:
        decoded.append(latents.clone())
        return decode(latents)

    monkeypatch.setattr(long_video.Windows, "_sampled", listen)
    monkeypatch.setattr(vae, "decode", note)
    make(clip(14), vae=vae)
    assert torch.equal(decoded[0], sequences[0])
    for (before, own), given in zip(pairwise(sequences), decoded[1:], strict=True):
        assert torch.equal(given, torch.cat([before[:, :, 7:], own[:, :, 8:]], dim=2))


def test_an_image_to_video_network_is_given_the_overlap_as_it_is_given_the_condition():
    family, seen = tiny_families.WAN_22_I2V, []
    model = tiny_families.model_of(family.name)
    network = model.model.diffusion_model
    handle = network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    positive, negative = family.conditioning(1), family.conditioning(2)
    try:
        make(model=model, positive=positive, negative=negative)
    finally:
        handle.remove()
    first, second = (
        seen[0],
        seen[len(seen) // 3],
    )  # of three windows of 7 + 2 latents
    mask, image = slice(16, 20), slice(20, 36)
    assert first[:, mask, 0].unique().tolist() == [1.0]
    assert first[:, mask, 7:].unique().tolist() == [0.0]
    assert second[:, mask, 7].unique().tolist() == [1.0]
    assert second[:, mask, 8].unique().tolist() == [0.0]
    assert torch.allclose(second[:, image, 7], second[:, :16, 7], atol=1e-5)  # as it is in the sequence
    assert not torch.allclose(second[:, image, 8], second[:, :16, 8], atol=1e-2)


def test_a_video_file_is_read_as_its_frames_are(tmp_path):
    path = write_video(clip(30).clamp(0, 1), tmp_path / "source.mp4", 12.0)
    read, size = InputImpl.VideoFromFile(str(path)), (PIXELS, PIXELS)
    expected, source = connected_frames(read), ClipSource(read, None, size, "crop")
    assert (source.count, source.fps) == (30, 12.0)
    for start, count in ((0, 25), (4, 25), (12, 9), (28, 5)):
        part = expected[start : start + count]
        part = torch.cat([part, part[-1:].expand(count - len(part), -1, -1, -1)])
        assert torch.equal(source.frames(start, count), part)
        assert len(source._kept) <= 25
    assert ClipSource(read, 6.0, size, "crop").count == 15
    assert make(read, frames=8)[0].get_frame_rate() == Fraction(12)


def test_every_window_has_noise_of_its_own_and_the_same_seed_gives_the_same_video(monkeypatch):
    drawn: list[tuple[int, torch.Tensor]] = []
    sample = comfy.sample.sample_custom

    def listen(model: Any, noise: torch.Tensor, *given: Any, **named: Any) -> torch.Tensor:
        drawn.append((named["seed"], noise.clone()))
        return sample(model, noise, *given, **named)

    monkeypatch.setattr(comfy.sample, "sample_custom", listen)
    last = 2**64 - 1  # of the seeds there are
    first, _, again = make(), make(seed=last, filename="other"), make(filename="again")
    assert [seed for seed, _ in drawn] == [3, 4, 5, last, 0, 1, 3, 4, 5]
    noises = [noise for _, noise in drawn]
    assert all(not torch.equal(one, other) for one, other in combinations(noises[:6], 2))
    assert all(torch.equal(one, other) for one, other in zip(noises[:3], noises[6:], strict=True))
    assert torch.equal(first[1]["samples"], again[1]["samples"])


@pytest.mark.parametrize("task", ["video to video", "image to video"])
def test_cancel_keeps_the_windows_done_and_the_next_run_goes_on_there(task, monkeypatch):
    source = clip(16) if task == "video to video" else clip(1)
    whole = make(source, task=task, frames=16, filename="whole")
    made = []

    def cancel_at_third(add: Any) -> Any:
        def add_two(self: Any, *args: Any) -> None:
            add(self, *args)
            made.append(self.reached.done)
            if len(made) == 2:
                comfy.model_management.interrupt_current_processing()

        return add_two

    with monkeypatch.context() as patch:
        patch.setattr(LongOutput, "add", cancel_at_third(LongOutput.add))
        with pytest.raises(comfy.model_management.InterruptProcessingException):
            make(source, task=task, frames=16)
    assert made == [8, 12]
    kept = InputImpl.VideoFromFile(str(long_videos_folder() / "long_00001.mp4"))
    assert len(frames_of(kept)) == 12
    video, latent, count, report = make(source, task=task, frames=16)
    assert count == len(frames_of(video)) == 16
    assert "of which 12 were there" in report
    assert torch.equal(latent["samples"], whole[1]["samples"])
    assert (frames_of(video) - frames_of(whole[0])).abs().mean() < 1e-2  # the latents are the same to the bit
    assert "long_00002.mp4" not in files()


def test_a_video_whose_parts_could_not_be_joined_is_joined_by_the_next_run(monkeypatch):
    whole, calls = make(filename="whole"), []

    def full_disk(self: LongOutput, finished: bool = False) -> None:
        calls.append((self.reached.done, finished))
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(LongOutput, "join", full_disk)
        with pytest.raises(OSError, match="No space left"):
            make()
    assert calls == [(14, True)]
    assert "long_00001.mp4" not in files()
    monkeypatch.setattr(long_video.Windows, "_make_one", lambda *_: pytest.fail("a window was made again"))
    video, latent, count, report = make()
    assert count == len(frames_of(video)) == 14
    assert "of which 14 were there" in report
    assert torch.equal(latent["samples"], whole[1]["samples"])
    assert [name for name in files() if name.startswith("long")] == ["long_00001.mp4", "long_00001/state.safetensors"]


def test_a_finished_video_is_given_again_and_another_request_gets_a_number_of_its_own(monkeypatch):
    first = make()
    monkeypatch.setattr(long_video.Windows, "make", lambda _: pytest.fail("it was made again"))
    assert make()[3].startswith("long_00001.mp4")
    monkeypatch.undo()
    assert make(seed=9)[3].startswith("long_00002.mp4")
    Path(first[0].get_stream_source()).unlink()
    assert make()[3].startswith("long_00003.mp4")


def test_a_second_expert_goes_on_with_its_own_sigmas():
    sigmas = BasicScheduler.execute(tiny.tiny_model(), "simple", 4, 1.0).args[0]
    high, low = SplitSigmas.execute(sigmas, 2).args
    whole = make(sigmas=sigmas)
    split = make(sigmas=high, sigmas_2=low, model_2=tiny.tiny_model(), filename="split")
    assert (split[1]["samples"] - whole[1]["samples"]).abs().max() < 1e-3


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"source": clip(3), "task": "image to video"}, "got 3 frames as its source; connect one image"),
    ({"source": clip(1)}, "the source has 1 frame; connect a clip of at least 2"),
    ({"overlap_latents": 2}, "set overlap_latents from 0 to 1"),
    ({"task": "keyframes", "source": clip(5), "frames": 100}, "do not lie where windows of 8 frames show theirs"),
    ({"window_frames": 7}, "target_frames 7 must be a multiple of 4; use 4 or 8"),
    ({"filename": "../out"}, "cannot name a folder"),
    ({"start_frame": 8}, "there is no LATENT to go on from"),
])  # fmt: skip
def test_what_cannot_be_made_is_refused_before_anything_is_written(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(**changed)
    assert not long_videos_folder().exists() or files() == []
