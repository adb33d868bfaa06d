"""TIC-FT Long Video behind the LATENT of an earlier one: of any length, linked, or saved and loaded."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_long import make
from tiny_vae import clip, tiny_vae

from pack.nodes.host.sampling.long_output import LongOutput, long_videos_folder

pytestmark = pytest.mark.usefixtures("output")


@pytest.fixture
def written(monkeypatch) -> list[torch.Tensor]:
    """The frames that are written, as they were before they were compressed."""
    found: list[torch.Tensor] = []
    add = LongOutput.add

    def note(self: LongOutput, frames: torch.Tensor, reached: Any) -> None:
        found.append(frames.clone())
        add(self, frames, reached)

    monkeypatch.setattr(LongOutput, "add", note)
    return found


def taken(written: list[torch.Tensor]) -> torch.Tensor:
    """All since the last call, in one."""
    frames = torch.cat(written)
    written.clear()
    return frames


@pytest.mark.parametrize("task", ["video to video", "image to video"])
@pytest.mark.parametrize("overlap", [0, 1])
def test_parts_of_any_length_are_the_video_that_one_run_makes(task, overlap, written):
    source = clip(20) if task == "video to video" else clip(1)
    same = {"source": source, "task": task, "overlap_latents": overlap}
    whole, frames = make(**same, frames=20, filename="whole"), taken(written)
    latent = None
    for end in (3, 8, 9, 11, 14, 16, 20):  # within windows and at the ends of some
        _, latent, count, _ = make(**same, frames=end, goes_on_from=latent, filename=f"to {end}")
        assert count == end
    parts = taken(written)
    assert torch.equal(latent["samples"], whole[1]["samples"])
    assert len(parts) == 20
    assert torch.allclose(parts, frames, atol=1e-6)


def test_a_saved_latent_is_gone_on_from_with_its_frame_count(written):
    source = clip(20)
    whole, frames = make(source, filename="whole"), taken(written)
    _, latent, count, _ = make(source, frames=14, filename="part")
    assert count == 14
    goes_on = {"samples": latent["samples"].clone()}  # as Save Latent and Load Latent leave it
    taken(written)
    rest, latent, end, _ = make(source, goes_on_from=goes_on, start_frame=14, filename="rest")
    assert end == 20
    assert len(rest.get_components().images) == 6
    assert torch.equal(latent["samples"], whole[1]["samples"])
    saved = taken(written)
    with torch.inference_mode():
        alone = tiny_vae().decode(goes_on["samples"])[0]
    assert torch.allclose(saved[:2], alone[-2:], atol=1e-6)  # those that were cut off, without what came before them
    assert torch.allclose(saved[2:], frames[16:], atol=1e-6)


def test_a_latent_that_does_not_say_where_it_ends_or_is_contradicted_is_refused():
    source = clip(20)
    _, latent, _, _ = make(source, frames=14, filename="part")
    saved = {"samples": latent["samples"]}
    with pytest.raises(ValueError, match="does not say how many frames the video has up to its end"):
        make(source, goes_on_from=saved)
    for start in (8, 12, 16):
        with pytest.raises(ValueError, match=rf"start_frame is {start} .* video of 14 frames; set start_frame to -1"):
            make(source, goes_on_from=latent, start_frame=start)
    assert make(source, goes_on_from=latent, start_frame=14)[2] == 20
    with pytest.raises(ValueError, match="ends at frame 16, those of this layout end at 12 and 20; set"):
        make(source, goes_on_from=latent, window_frames=12)
    with pytest.raises(ValueError, match="has 14 frames and 14 of them are there"):
        make(source, frames=14, goes_on_from=latent)
    with pytest.raises(ValueError, match="has 1 latents, a window of this layout has 2"):
        make(source, goes_on_from={"samples": latent["samples"][:, :, -1:]}, start_frame=14)


@pytest.mark.parametrize(("shape", "found"), [
    ((1, 16, 2, 4, 8), "1 x 16 x 2 x 4 x 8"), ((1, 4, 2, 4, 4), "1 x 4 x 2 x 4 x 4"), ((1, 4, 4, 4), "1 x 4 x 4 x 4"),
])  # fmt: skip
def test_a_latent_of_another_size_or_kind_is_refused_before_anything_is_written(shape, found):
    with pytest.raises(ValueError, match=rf"go on from is {found}, and one of this video is 1 x 16 x frames x 4 x 4; "):
        make(clip(20), goes_on_from={"samples": torch.zeros(shape)}, start_frame=8)
    assert not long_videos_folder().exists()
