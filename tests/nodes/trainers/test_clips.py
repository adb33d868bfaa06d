"""Encoded clips as trainers read them: each entry once a step."""

from __future__ import annotations

import pytest
import tiny_families
import torch
from clip_pairs import encoded_pairs

from pack.nodes.host.model.video_model import trainable_video_model
from pack.nodes.host.trainers.clips import WAITING, encoded_clips
from pack.training.data.encoded_set import EncodedSet
from pack.training.motion.recipe import MotionRecipe

GIVEN = "concat_latent_image"


@pytest.mark.parametrize("family", tiny_families.IMAGE_TO_VIDEO, ids=lambda family: family.name)
def test_a_step_reads_a_clips_entry_once_with_the_frames_that_are_given(family, monkeypatch):
    video = trainable_video_model(tiny_families.model_of(family.name))
    recipe = MotionRecipe(channels=16, known=video.family.known_frames)
    clips, reads = encoded_clips(video, encoded_pairs(clips=WAITING + 1, conditions=0), recipe), []
    read = EncodedSet.latents
    monkeypatch.setattr(EncodedSet, "latents", lambda found, i, *names: (reads.append(i), read(found, i, *names))[1])
    alone = [clips.captions[i] for i in range(3)]
    assert reads == [0, 1, 2]
    reads.clear()
    for step in ([0, 1], [1, 2]):
        x0, given = [clips.x0[i] for i in step], [clips.captions[i] for i in step]
        assert x0[0].shape == given[0][GIVEN].shape
        for i, one in zip(step, given, strict=True):
            assert one.keys() == alone[i].keys()
            assert all(torch.equal(value, alone[i][name]) for name, value in one.items())
    assert reads == [0, 1, 1, 2]
    for i in range(WAITING + 1):
        _ = clips.x0[i]
    reads.clear()
    _ = clips.captions[0], clips.captions[WAITING]
    assert reads == [0]  # the first of more than may wait
