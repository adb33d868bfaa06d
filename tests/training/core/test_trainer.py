"""A run that is cut in two gives the same bytes as one that is not, whatever it carries along."""

from __future__ import annotations

import gc
import weakref

import pytest
import torch
from regression import Regression, new_trainer

from pack.training.core.config import TrainConfig
from pack.training.core.loop import run_steps
from pack.training.core.state import TrainState
from pack.training.core.trainer import Trainer
from pack.training.storage.state_file import read_state, write_state

SETTINGS = [
    {},
    {"ema_decay": 0.9},
    {"accumulation": 3},
    {"lr_schedule": "cosine", "warmup_steps": 2},
    {"optimizer": "adamw_8bit"},
    {"optimizer": "adafactor"},
    {"optimizer": "adafactor", "ema_decay": 0.5, "accumulation": 2, "lr_schedule": "linear"},
]


def finish(trainer, state: TrainState) -> torch.Tensor:
    run_steps(trainer, state)
    with trainer.result_in_place():
        return trainer.parameters[0].detach().clone()


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("cut", [1, 4, 8])
def test_a_run_cut_in_two_gives_the_same_bytes(settings, cut, tmp_path):
    config = TrainConfig(steps=9, batch_size=2, learning_rate=0.05, **settings)
    objective = Regression(width=80)  # 6400 weights: the 8-bit state is used
    whole_state = TrainState()
    whole = finish(new_trainer(config, objective), whole_state)
    trainer, state = new_trainer(config, objective), TrainState()
    for _ in range(cut):
        trainer.step(state)
    path = write_state(tmp_path / "state.safetensors", {"train": state.to_dict(), "trainer": trainer.values()})
    saved = read_state(path)
    other, resumed = new_trainer(config, objective, torch.randn(80, 80)), TrainState.from_dict(saved["train"])
    other.load(saved["trainer"])
    assert torch.equal(finish(other, resumed), whole)
    assert resumed == whole_state


def test_weights_of_other_shapes_are_refused():
    values = new_trainer(TrainConfig()).values()
    with pytest.raises(ValueError, match="set rank and target_modules as they were"):
        new_trainer(TrainConfig(), Regression(width=5)).load(values)


def test_another_optimiser_begins_afresh_with_the_saved_weights():
    first, state = new_trainer(TrainConfig(learning_rate=0.05)), TrainState()
    for _ in range(3):
        first.step(state)
    other = new_trainer(TrainConfig(learning_rate=0.05, optimizer="adafactor"))
    other.load(first.values())
    assert torch.equal(other.parameters[0], first.parameters[0])
    assert not other.optimizer.state


def test_an_average_that_is_switched_on_later_starts_at_the_saved_weights():
    first, state = new_trainer(TrainConfig(learning_rate=0.05)), TrainState()
    first.step(state)
    other = new_trainer(TrainConfig(ema_decay=0.9))
    other.load(first.values())
    with other.result_in_place():
        assert torch.equal(other.parameters[0], first.parameters[0])


def test_the_average_differs_from_the_last_weights_and_goes_away_again():
    trainer, state = new_trainer(TrainConfig(ema_decay=0.9, learning_rate=0.05, steps=20)), TrainState()
    run_steps(trainer, state)
    last = trainer.parameters[0].detach().clone()
    with trainer.result_in_place(), trainer.result_in_place():  # a second time within changes nothing
        average = trainer.parameters[0].detach().clone()
    assert torch.equal(trainer.parameters[0], last)
    assert 0 < (average - last).abs().max() < 1


def test_the_average_is_its_formula():
    trainer, state = new_trainer(TrainConfig(ema_decay=0.5, learning_rate=0.05)), TrainState()
    average = torch.zeros(4, 4)
    for n in range(6):
        trainer.step(state)
        decay = min(0.5, (1 + n) / (10 + n)) if n else 0.0
        average = decay * average + (1 - decay) * trainer.parameters[0].detach()
    with trainer.result_in_place():
        torch.testing.assert_close(trainer.parameters[0].detach(), average)


def test_accumulated_batches_are_one_large_batch():
    """The mean gradient over three batches of two is that of the six clips."""
    trainer, state = new_trainer(TrainConfig(accumulation=3, batch_size=2, max_grad_norm=1e6)), TrainState(step=2)
    record = trainer.step(state)
    assert len(record.clips) == len(record.per_sample) == len(record.sigma) == 6
    assert record.loss == pytest.approx(sum(record.per_sample) / 6)
    gradient = torch.zeros(4, 4)
    for batch in (6, 7, 8):  # no batch is used twice in a run
        single, own = new_trainer(TrainConfig(batch_size=2, max_grad_norm=1e6)), TrainState(step=batch)
        single.step(own)
        gradient += single.parameters[0].grad / 3
    torch.testing.assert_close(trainer.parameters[0].grad, gradient)


def test_a_lower_rate_scale_lowers_the_rate():
    trainer = new_trainer(TrainConfig(learning_rate=0.4))
    assert trainer.step(TrainState(rate_scale=0.25)).learning_rate == pytest.approx(0.1)


def test_a_step_leaves_the_global_random_stream_as_it_was():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    run_steps(new_trainer(TrainConfig(steps=2)), TrainState())
    assert torch.equal(torch.rand(2), expected)


def test_an_update_that_is_broken_off_is_known():
    trainer, state = new_trainer(TrainConfig()), TrainState()
    trainer.step(state)
    assert not trainer.torn

    def broken(*_):
        raise KeyboardInterrupt

    trainer.optimizer.register_step_post_hook(broken)
    with pytest.raises(KeyboardInterrupt):
        trainer.step(state)
    assert trainer.torn


def test_a_state_of_other_layers_is_refused_though_the_shapes_fit():
    def trainer_of(*names: str) -> Trainer:
        weights = [torch.zeros(2, requires_grad=True)]
        return Trainer(Regression(), lambda *_: torch.zeros(1), weights, TrainConfig(steps=2), names=names)

    trainer_of("q").load(trainer_of("q").values())
    with pytest.raises(ValueError, match="set rank and target_modules as they were"):
        trainer_of("k").load(trainer_of("q").values())


def test_nothing_keeps_a_trainer_alive_that_is_no_longer_used():
    trainer = Trainer(
        Regression(), lambda *_: torch.zeros(1), [torch.zeros(2, requires_grad=True)], TrainConfig(steps=2)
    )
    gone = weakref.ref(trainer.optimizer)
    gc.disable()
    try:
        del trainer
        assert gone() is None
    finally:
        gc.enable()
