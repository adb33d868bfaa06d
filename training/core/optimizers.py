"""Optimisers by name: three that always work, and others where their package is installed."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from .config import TrainConfig

EPS = 1e-8  # of AdamW, as in its paper
PLAIN_RATE = 1e-4  # for a plain optimiser that stands in for one which finds its rate by itself


@dataclass(frozen=True)
class OptimizerKind:
    """One optimiser of the table."""

    make: Callable[[list[Tensor], TrainConfig], torch.optim.Optimizer]
    package: str = ""  # module it needs; empty: always there
    fallback: str = ""  # name of the plain one that takes its place where the package is missing
    finds_rate: bool = False  # its learning rate is a factor near 1


def _adamw(parameters: list[Tensor], config: TrainConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, config.learning_rate, config.betas, EPS, config.weight_decay)


def _adamw_8bit(parameters: list[Tensor], config: TrainConfig) -> torch.optim.Optimizer:
    from .adamw_8bit import AdamW8bit

    return AdamW8bit(parameters, config.learning_rate, config.betas, EPS, config.weight_decay)


def _adafactor(parameters: list[Tensor], config: TrainConfig) -> torch.optim.Optimizer:
    """With steps that do not follow the size of the weights: a LoRA starts at zero and would never leave it."""
    return torch.optim.Adafactor(parameters, config.learning_rate, eps=(None, 1.0), weight_decay=config.weight_decay)


def _foreign(package: str, name: str, **fixed: Any) -> Callable[[list[Tensor], TrainConfig], torch.optim.Optimizer]:
    def make(parameters: list[Tensor], config: TrainConfig) -> torch.optim.Optimizer:
        found: Any = importlib.import_module(package)  # only names of the table below
        betas = fixed.get("betas", config.betas)
        return getattr(found, name)(
            parameters, lr=config.learning_rate, weight_decay=config.weight_decay, **{**fixed, "betas": betas}
        )

    return make


OPTIMIZERS = {
    "adamw": OptimizerKind(_adamw),
    "adamw_8bit": OptimizerKind(_adamw_8bit),
    "adafactor": OptimizerKind(_adafactor),
    "adamw_8bit (bitsandbytes)": OptimizerKind(
        _foreign("bitsandbytes.optim", "AdamW8bit"), "bitsandbytes", "adamw_8bit"
    ),
    "lion (lion_pytorch)": OptimizerKind(_foreign("lion_pytorch", "Lion"), "lion_pytorch", "adamw"),
    "prodigy (prodigyopt)": OptimizerKind(_foreign("prodigyopt", "Prodigy"), "prodigyopt", "adamw", finds_rate=True),
}


def is_installed(name: str) -> bool:
    """Whether an optimiser of the table can be used here; its package is looked for, not imported."""
    package = OPTIMIZERS[name].package
    return not package or importlib.util.find_spec(package) is not None


def optimizer_names() -> list[str]:
    """The optimisers that can be used here."""
    return [name for name in OPTIMIZERS if is_installed(name)]


def with_installed_optimizer(config: TrainConfig) -> tuple[TrainConfig, str]:
    """The settings with an optimiser that is installed, and a sentence if that is another one; else "".

    Raises:
        ValueError: the name is not in the table.
    """
    name = _known(config.optimizer)
    if is_installed(name):
        return config, ""
    kind = OPTIMIZERS[name]
    changed = replace(config, optimizer=kind.fallback)
    text = f"{kind.package} is not installed, so {kind.fallback} takes the place of {name}"
    if kind.finds_rate and config.learning_rate > PLAIN_RATE:
        changed = replace(changed, learning_rate=PLAIN_RATE)
        text += f" with a learning rate of {PLAIN_RATE:g} instead of {config.learning_rate:g}, which was meant for it"
    return changed, f"{text}; install {kind.package} to have it was set"


def check_warmup(config: TrainConfig) -> None:
    """Refuse a warm-up that is longer than the run.

    Raises:
        ValueError: it has no fewer steps.
    """
    if config.warmup_steps >= config.steps and config.warmup_steps:
        raise ValueError(
            f"a warm-up of {config.warmup_steps} steps does not end within the run's {config.steps} steps; "
            "lower warmup_steps or raise steps"
        )


def make_optimizer(parameters: list[Tensor], config: TrainConfig) -> tuple[torch.optim.Optimizer, Any]:
    """The optimiser and its learning-rate schedule; ``constant`` with a warm-up rises first, then stays.

    Raises:
        ValueError: nothing to train, a warm-up longer than the run, or an optimiser that is not there.
    """
    from diffusers.optimization import get_scheduler

    if not parameters:
        raise ValueError("there is nothing to train; choose target_modules that match the model")
    check_warmup(config)
    if not is_installed(_known(config.optimizer)):
        raise ValueError(
            f"the optimiser {config.optimizer} is not installed; choose one of {', '.join(optimizer_names())}"
        )
    optimizer = OPTIMIZERS[config.optimizer].make(parameters, config)
    name = config.lr_schedule
    if name == "constant" and config.warmup_steps:
        name = "constant_with_warmup"
    schedule = get_scheduler(
        name, optimizer, num_warmup_steps=config.warmup_steps, num_training_steps=config.steps,
        num_cycles=config.lr_cycles, power=config.lr_power,
    )  # fmt: skip
    return optimizer, schedule


def _known(name: str) -> str:
    if name not in OPTIMIZERS:
        raise ValueError(f"the optimiser {name!r} is unknown; choose one of {', '.join(optimizer_names())}")
    return name
