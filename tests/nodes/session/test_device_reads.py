"""Values read from the device in a training step: what it measured, at once and before the update."""

from __future__ import annotations

from collections import Counter

import pytest
import tiny_families as families
import torch
from device_reads import count_reads
from tiny_families import COG_5B, WAN
from training_steps import objective_of

from pack.nodes.host.model.noise import repaired
from pack.nodes.host.model.video_model import video_model
from pack.nodes.host.session.session import training_session
from pack.training.core.config import TrainConfig
from pack.training.core.state import TrainState
from pack.training.core.trainer import Trainer

ON_CPU = ("dropped", "epoch_order", "_rows")  # their tensors are on the CPU
STEPS = 4


@pytest.mark.parametrize("family", [WAN, COG_5B], ids=lambda family: family.name)
@pytest.mark.parametrize("accumulation", [1, 3])
def test_a_step_reads_once(monkeypatch, accumulation, family):
    config = TrainConfig(rank=4, batch_size=2, steps=STEPS, accumulation=accumulation, caption_dropout=0.5)
    model = repaired(families.model_of(family.name))
    with torch.inference_mode(), training_session(video_model(model), config) as session:
        trainer = Trainer(objective_of(family, config), session.predict, session.trained.parameters(), config)
        state, reads = TrainState(), Counter[str]()
        trainer.step(state)  # what is found out but once
        with monkeypatch.context() as patch:
            reads = count_reads(patch, ON_CPU)
            for _ in range(STEPS - 1):
                record = trainer.step(state)
    assert list(reads.values()) == [STEPS - 1], reads
    assert len(record.per_sample) == len(record.sigma) == 2 * accumulation
    assert record.loss == pytest.approx(sum(record.per_sample) / len(record.per_sample))
