"""The loop, on a network of one matrix."""

from __future__ import annotations

import math

import pytest
import torch
from regression import Regression
from torch import Tensor, nn

from pack.training.core.config import TrainConfig
from pack.training.core.loop import Cancelled, NonFiniteError, train
from pack.training.core.optimizers import make_optimizer
from pack.training.core.state import TrainState
from pack.training.core.step import backward


def run(config: TrainConfig, objective: Regression | None = None, **kwargs) -> tuple[Tensor, list[float]]:
    weight = nn.Parameter(torch.zeros(4, 4))
    result = train(objective or Regression(), lambda x, *_: x @ weight, [weight], config, **kwargs)
    return weight.detach(), result.losses


def test_the_loss_falls():
    _, losses = run(TrainConfig(steps=200, batch_size=8, learning_rate=0.05, weight_decay=0.0))
    assert sum(losses[-10:]) < 0.02 * sum(losses[:10])


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    config = TrainConfig(steps=10, batch_size=2, seed=4)
    first, second, other = run(config)[0], run(config)[0], run(TrainConfig(steps=10, batch_size=2, seed=5))[0]
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_cancel_keeps_what_was_learned():
    state = TrainState()
    config = TrainConfig(steps=10, batch_size=2)
    weight = nn.Parameter(torch.zeros(4, 4))

    def stop(step: int, _record) -> None:
        if step == 3:
            raise Cancelled("stop")

    with pytest.raises(Cancelled):
        train(Regression(), lambda x, *_: x @ weight, [weight], config, state=state, on_step=stop)
    assert state.step == 3
    assert len(state.losses) == len(state.sigmas) == 3
    three = TrainConfig(steps=3, batch_size=2)
    assert torch.equal(weight.detach(), run(three)[0])


def test_a_loss_that_stays_no_number_stops_before_it_spoils_the_weights():
    state = TrainState()
    weight = nn.Parameter(torch.zeros(4, 4))
    objective = Regression(bad_calls=range(3, 99))
    with pytest.raises(NonFiniteError, match=r"loss of steps 3 to 7 .*learning rate.* the 2 steps before are kept"):
        train(objective, lambda x, *_: x @ weight, [weight], TrainConfig(steps=20), state=state)
    assert len(state.losses) == 2
    assert torch.equal(weight.detach(), run(TrainConfig(steps=2))[0])


def test_a_single_loss_that_is_no_number_is_skipped():
    _, losses = run(TrainConfig(steps=6), Regression(bad_calls=[3]))
    assert len(losses) == 5
    assert all(map(math.isfinite, losses))


def test_a_gradient_that_is_no_number_is_named():
    weight = nn.Parameter(torch.zeros(4, 4))
    weight.register_hook(lambda grad: grad * math.inf)
    with pytest.raises(NonFiniteError, match="gradient of steps 1 to 5"):
        train(Regression(), lambda x, *_: x @ weight, [weight], TrainConfig(steps=5))
    assert not weight.any()


def test_clipping_bounds_what_the_optimiser_sees():
    seen = []
    weight = nn.Parameter(torch.zeros(4, 4))

    def look(_step: int, record) -> None:
        seen.append((record.grad_norm, float(weight.grad.norm())))

    train(
        Regression(),
        lambda x, *_: x @ weight,
        [weight],
        TrainConfig(steps=3, max_grad_norm=0.1),
        on_step=look,
    )
    assert all(before > 0.1 and after <= 0.1001 for before, after in seen)


@pytest.mark.parametrize(
    ("settings", "factors"),
    [
        ({}, [1, 1, 1, 1]),
        ({"warmup_steps": 2}, [0, 0.5, 1, 1]),
        ({"lr_schedule": "linear"}, [1, 0.75, 0.5, 0.25]),
        ({"lr_schedule": "cosine"}, [1, 0.8536, 0.5, 0.1464]),
    ],
)
def test_the_schedule_sets_the_learning_rate(settings, factors):
    rates = []
    run(
        TrainConfig(steps=4, learning_rate=1.0, **settings),
        on_step=lambda _s, r: rates.append(r.learning_rate),
    )
    assert rates == pytest.approx(factors, abs=1e-3)


def test_a_warm_up_longer_than_the_run_is_refused():
    with pytest.raises(ValueError, match="warm-up of 10 steps"):
        run(TrainConfig(steps=4, warmup_steps=10))


def test_nothing_to_train_is_refused():
    with pytest.raises(ValueError, match="nothing to train"):
        make_optimizer([], TrainConfig())


def test_the_record_carries_loss_and_level_of_each_clip():
    records = []
    run(TrainConfig(steps=1, batch_size=3), on_step=lambda _s, r: records.append(r))
    assert len(records[0].per_sample) == len(records[0].sigma) == 3
    assert sum(records[0].per_sample) / 3 == pytest.approx(records[0].loss)


def test_a_scaled_loss_gives_the_same_update_and_the_same_record():
    config = TrainConfig(steps=5, batch_size=2, learning_rate=0.05, max_grad_norm=0.1)
    norms: dict[float, list[float]] = {1.0: [], 2.0**14: []}
    weights = [
        run(config, loss_scale=scale, on_step=lambda _s, r, to=to: to.append(r.grad_norm))[0]
        for scale, to in norms.items()
    ]
    torch.testing.assert_close(*weights, atol=1e-6, rtol=1e-6)
    assert weights[0].any()
    assert norms[1.0] == pytest.approx(norms[2.0**14], rel=1e-5)


def test_a_scaled_loss_keeps_gradients_that_fp16_would_lose():
    gradients = []
    for scale in (1.0, 2.0**14):
        weight = nn.Parameter(torch.ones(1))
        loss = weight.half().float() * 1e-8  # the smallest number of fp16 is 6e-8
        backward(loss.sum(), [weight], scale)
        assert weight.grad is not None
        gradients.append(float(weight.grad))
    assert gradients[0] == 0.0
    assert gradients[1] == pytest.approx(1e-8, rel=0.01)


@pytest.mark.parametrize(("cut", "said"), [(1, "1 of 2"), (2, "2 of 2")])
def test_a_parameter_the_loss_does_not_reach_is_refused(cut, said):
    first, second = nn.Parameter(torch.zeros(4, 4)), nn.Parameter(torch.zeros(4, 4))

    def predict(x: Tensor, *_) -> Tensor:
        reached = x @ second
        return (x @ first).detach() + (reached if cut == 1 else reached.detach())

    with pytest.raises(RuntimeError, match=f"does not reach {said} trained tensors"):
        train(Regression(), predict, [first, second], TrainConfig(steps=2))
    assert not second.any()
