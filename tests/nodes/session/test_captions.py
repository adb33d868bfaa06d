"""Captions of other lengths in one batch: each clip as if it were alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aicl_runs
import pytest
import tic_ft_runs
import tiny_families
import tiny_unet
import torch
from clip_pairs import TEXT_DIM, encoded_pairs
from tiny_wan import load_tiny_wan, save_tiny_wan

from pack.nodes.host.model.image_model import image_model
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session.aicl import aicl_session
from pack.nodes.host.session.clip import Form, clip_session
from pack.nodes.host.session.session import alike_indices, training_session
from pack.training.core.batches import StepGenerators
from pack.training.core.config import TrainConfig

LENGTHS = (5, 9, 5)


def captions(lengths: tuple[int, ...] = LENGTHS, width: int = TEXT_DIM) -> list[dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(3)
    return [{"cross_attn": torch.randn(length, width, generator=generator)} for length in lengths]


def test_clips_go_together_whose_captions_can_be_stacked():
    assert alike_indices(captions()) == [[0, 2], [1]]


@pytest.mark.parametrize("name", ["Wan 2.1", "CogVideoX 5B"])
def test_a_batch_of_unequal_captions_gives_what_each_clip_gives_alone(name):
    with (
        torch.inference_mode(),
        training_session(video_model(tiny_families.model_of(name)), TrainConfig(rank=2)) as session,
    ):
        generator = torch.Generator().manual_seed(0)
        xt, sigma = torch.randn(3, 16, 2, 4, 4, generator=generator), torch.tensor([0.3, 0.5, 0.7])
        together = session.predict(xt, sigma, captions())
        for i, caption in enumerate(captions()):
            alone = session.predict(xt[i : i + 1], sigma[i : i + 1], [caption])
            assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_an_image_model_that_sees_clips_does_so_too():
    with torch.inference_mode(), clip_session(image_model(tiny_unet.tiny_unet()), TrainConfig(), Form()) as session:
        generator = torch.Generator().manual_seed(0)
        size = (3, tiny_unet.CHANNELS, 3, tiny_unet.SIZE, tiny_unet.SIZE)
        xt, sigma = torch.randn(size, generator=generator), torch.tensor([0.3, 0.5, 0.7])
        texts = captions(width=tiny_unet.TEXT_DIM)
        together = session.predict(xt, sigma, texts)
        for i, caption in enumerate(texts):
            alone = session.predict(xt[i : i + 1], sigma[i : i + 1], [caption])
            assert torch.allclose(together[i], alone[0], atol=1e-5)


def test_an_adapter_s_blocks_are_computed_again_with_the_references_of_their_own_clips():
    config = TrainConfig(batch_size=2)
    objective = aicl_runs.objective_of("Wan 2.1", config)
    texts = captions((5, 9, 5, 9))
    objective = type(objective)(replace(objective.data, conditioning=texts), objective.aicl, config)
    found: list[list[Any]] = []
    for mode in ("off", "blocks"):
        with torch.inference_mode(), aicl_session(
            video_model(tiny_families.model_of("Wan 2.1")), replace(config, checkpointing=mode), objective
        ) as session:  # fmt: skip
            aicl_runs.stirred(session.trained)
            batch = objective.batch([0, 1], StepGenerators.at(0, 0))
            assert len(alike_indices(batch.conditioning)) == 2
            objective.loss(session.predict, batch).per_sample.mean().backward()
            found.append([parameter.grad for parameter in session.trained.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
    assert any(gradient.any() for gradient in found[0])


def test_a_run_trains_on_captions_longer_than_the_rest_and_goes_on(tmp_path):
    model = load_tiny_wan(save_tiny_wan(tmp_path / "wan.safetensors"))
    encoded = encoded_pairs()
    encode = encoded.encode_text
    encoded.encode_text = lambda text: {"cross_attn": encode(text)["cross_attn"].repeat(1 + len(text) % 2, 1)}
    lengths = {len(encoded.encode_text(sample.caption)["cross_attn"]) for sample in encoded.dataset.samples}
    assert lengths == {4, 8}
    trained = tic_ft_runs.train(model, "long captions", encoded=encoded)
    again = tic_ft_runs.train(model, "long captions", encoded=encoded)
    assert trained[2] == again[2] == tic_ft_runs.STEPS
