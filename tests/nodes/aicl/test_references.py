"""References: the frames that are taken of them, and those that no action can be read from."""

from __future__ import annotations

import hashlib
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tiny_aicl
import tiny_vae
import torch
from comfy_api.latest import InputImpl
from live_pictures import LivePictures
from odd_clips import write_clip

from pack.methods.action_prism import FLATTENED
from pack.nodes.aicl import AICLEncodeAction
from pack.nodes.host.aicl.adapter import HostAdapter
from pack.nodes.host.aicl.references import digest, read_reference
from pack.nodes.host.services.images import connected_frames

CAPTION = [[torch.zeros(1, 5, 32), {}]]


def encode(reference: torch.Tensor, **more: object) -> None:
    AICLEncodeAction.execute(tiny_aicl.host_adapter("Wan 2.1"), tiny_vae.tiny_vae(), reference, CAPTION, **more)


def test_a_reference_of_one_pixel_is_refused():
    with pytest.raises(ValueError, match="a reference is 1x1 pixels; give a clip of at least 16 each way"):
        encode(torch.zeros(9, 1, 1, 3))


def test_a_caption_without_its_reference_is_refused():
    with pytest.raises(ValueError, match="conditioning_2 has no reference_2; connect it too, or disconnect both"):
        encode(torch.zeros(9, 16, 16, 3), conditioning_2=CAPTION)


@pytest.fixture
def film(tmp_path: Path) -> InputImpl.VideoFromFile:
    """A moving clip of 30 frames of 0.1 s."""
    shades = np.random.default_rng(0).integers(0, 255, (30, 48, 64, 3), np.uint8)
    return InputImpl.VideoFromFile(str(write_clip(tmp_path / "a.mp4", frames=list(shades))))


def spread(frames: torch.Tensor, count: int) -> torch.Tensor:
    """Frames of a clip that is held whole, evenly from its first to its last."""
    return frames[torch.linspace(0, len(frames) - 1, count).round().long()]


@pytest.mark.parametrize(("limit", "taken"), [(0, 29), (9, 9), (12, 9), (81, 29)])
def test_a_file_gives_the_frames_that_the_whole_clip_would(film, limit, taken):
    wanted = spread(connected_frames(film), taken)
    assert torch.equal(read_reference(film, limit, 4), wanted)
    assert torch.equal(read_reference(connected_frames(film), limit, 4), wanted)


def test_a_trimmed_file_whose_length_only_reading_tells_gives_its_own_frames(film):
    trimmed = film.as_trimmed(0.0, 1.24, strict_duration=False)  # 13 frames begin in the time of 12
    whole = connected_frames(trimmed)
    assert len(whole) == 13
    assert torch.equal(read_reference(trimmed, 0, 4), whole)


def test_a_file_has_the_action_of_its_frames(film):
    frames = connected_frames(film)
    for form in ({}, {"head": FLATTENED, "size": (2, 4, 6), "patch": 2}):
        adapter = HostAdapter(tiny_aicl.random_adapter("Wan 2.1", **form))
        actions = [
            AICLEncodeAction.execute(adapter, tiny_vae.tiny_vae(), clip, CAPTION, max_frames=9).result[0]
            for clip in (film, frames)
        ]
        assert len(adapter.features) == 1  # they are the same reference
        alone = HostAdapter(tiny_aicl.random_adapter("Wan 2.1", **form))
        taken = spread(frames, 5 if form else 9)
        again = AICLEncodeAction.execute(alone, tiny_vae.tiny_vae(), taken, CAPTION).result[0]
        for action in actions:
            assert torch.equal(action.tokens.tokens, again.tokens.tokens)


def test_of_a_file_no_more_frames_are_held_than_are_taken(film, monkeypatch):
    pictures = LivePictures(monkeypatch)
    clip = read_reference(film, 9, 4)
    assert pictures.decoded == 30
    assert pictures.most <= 3
    assert clip.untyped_storage().nbytes() == 9 * 48 * 64 * 3 * 4


def test_the_pixels_are_digested_where_they_lie():
    clip, caption = torch.rand(20, 64, 64, 3), torch.rand(1, 5, 32)
    tracemalloc.start()
    try:
        found = digest(clip, caption, "a VAE")
        assert tracemalloc.get_traced_memory()[1] < clip[0].nbytes
    finally:
        tracemalloc.stop()
    whole = hashlib.sha256(b"a VAE [20, 64, 64, 3] [1, 5, 32]" + clip.numpy().tobytes() + caption.numpy().tobytes())
    assert found == whole.hexdigest()
    assert digest(clip.flip(2).flip(2), caption, "a VAE") == found
    assert digest(clip, caption, "another VAE") != found
    clip[7, 5, 5, 1] += 0.5
    assert digest(clip, caption, "a VAE") != found
