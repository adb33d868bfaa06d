"""What a run trains with: parameters, optimiser, schedule and average, and their state as plain values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..distributed.exchange import agreed
from ..distributed.processes import processes
from .config import TrainConfig
from .ema import Ema
from .objective import Objective, Predict
from .optimizers import make_optimizer
from .state import StepRecord, TrainState
from .step import train_step


class Trainer:
    """Does the steps of one run. Everything that a step changes is here and in a ``TrainState``."""

    def __init__(
        self,
        objective: Objective,
        predict: Predict,
        parameters: Iterable[Tensor],
        config: TrainConfig,
        loss_scale: float = 1.0,
        names: Sequence[str] = (),
    ) -> None:
        """Make the optimiser; ``names`` of what is trained keep a state from being put into other layers.

        Raises:
            ValueError: warm-up longer than the run, or nothing to train.
        """
        self.objective, self.predict, self.config, self.loss_scale = objective, predict, config, loss_scale
        self.parameters, self.names = list(parameters), list(names)
        self.optimizer, schedule = make_optimizer(self.parameters, config)
        self._factor: Callable[[int], float] = schedule.lr_lambdas[0]
        # The schedule's wrapper would keep the optimiser, and with it the weights, in a cycle of references.
        self.optimizer.__dict__.pop("step", None)
        self.average = Ema(self.parameters, config.ema_decay) if config.ema_decay else None
        self._update = _Update()
        self.optimizer.register_step_pre_hook(self._update.begin)

    @property
    def torn(self) -> bool:
        """Whether an update has begun and not ended: the weights fit no step then."""
        return self._update.begun

    def step(self, state: TrainState, note: Callable[[int, StepRecord], None] | None = None) -> StepRecord:
        """Do the next step, write it into ``state`` and have it noted; all processes of a run have done it then.

        Raises:
            MemoryError, PeerFailedError: another process could not do it; where the state has it, it is whole here.
        """
        with agreed(processes()):
            record = self._step(state)
            if note is not None:
                note(state.step, record)
        return record

    def _step(self, state: TrainState) -> StepRecord:
        rate = self.config.learning_rate * state.rate_scale * self._factor(state.step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        record = train_step(
            self.objective, self.predict, self.parameters, self.optimizer, self.config, state.step, self.loss_scale
        )
        if self.average is not None and not record.skipped:
            self.average.step()
        state.step += 1
        if record.skipped:
            state.skipped.append(state.step)
            state.suspects.append(record.clips)
            state.in_a_row += 1
        else:
            state.losses.append(record.loss)
            state.sigmas.append(record.sigma)
            state.in_a_row = 0
        self._update.begun = False
        return record

    @contextmanager
    def result_in_place(self) -> Iterator[None]:
        """Have the weights that are to be saved, shown and judged in the model: the average, if there is one."""
        if self.average is None:
            yield
        else:
            with self.average.in_place():
                yield

    def values(self) -> dict[str, Any]:
        """The state of weights, optimiser and average: tensors and plain values, not copied."""
        return {
            "optimizer": self.config.optimizer,
            "names": self.names,
            "weights": [parameter.detach() for parameter in self.parameters],
            "groups": [{k: v for k, v in group.items() if k != "params"} for group in self.optimizer.param_groups],
            "moments": [dict(self.optimizer.state.get(parameter, {})) for parameter in self.parameters],
            "average": None if self.average is None else self.average.values(),
        }

    def check(self, values: dict[str, Any]) -> None:
        """Refuse a state that does not fit.

        Raises:
            ValueError: the weights have other names or shapes.
        """
        ours, saved = ([list(weight.shape) for weight in some] for some in (self.parameters, values["weights"]))
        if ours != saved or values.get("names", self.names) != self.names:
            raise ValueError(
                f"the saved run has {len(saved)} trained tensors and this one {len(ours)}, or they are others; "
                "set rank and target_modules as they were, an AICL adapter's size and form too, or on_change to "
                '"start over"'
            )

    def load(self, values: dict[str, Any]) -> None:
        """Go on from a state. Another optimiser than its own begins afresh, as does an average it does not have.

        Raises:
            ValueError: as ``check``.
        """
        self.check(values)
        with torch.no_grad():
            for parameter, weight in zip(self.parameters, values["weights"], strict=True):
                parameter.copy_(weight)
        if values["optimizer"] == self.config.optimizer:
            self._load_optimizer(values)
        if self.average is not None:
            self.average = Ema(self.parameters, self.config.ema_decay)
            if values["average"] is not None:
                self.average.load(values["average"])
        self._update.begun = False

    def _load_optimizer(self, values: dict[str, Any]) -> None:
        own = ("lr", "betas", "weight_decay")  # come from the settings, which may have been changed on purpose
        for group, saved in zip(self.optimizer.param_groups, values["groups"], strict=True):
            group.update({key: value for key, value in saved.items() if key not in own})
        self.optimizer.state.clear()
        for parameter, moments in zip(self.parameters, values["moments"], strict=True):
            if moments:
                self.optimizer.state[parameter] = {k: _placed(k, v, parameter.device) for k, v in moments.items()}


class _Update:
    """Whether an update is going on; an object of its own, so that the optimiser does not keep the model alive."""

    begun = False

    def begin(self, *_: Any) -> None:
        self.begun = True


def _placed(name: str, value: Any, device: torch.device) -> Any:
    """A copy of a tensor beside its weight; torch's optimisers count their steps on the CPU."""
    if not isinstance(value, Tensor):
        return value
    return value.clone() if name == "step" and value.ndim == 0 else value.to(device, copy=True)
