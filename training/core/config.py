"""What a training run is asked to do: one frozen dataclass, validated when it is made."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from ..storage.patterns import SafePattern

LR_SCHEDULES = ("constant", "linear", "cosine", "cosine_with_restarts", "polynomial")
SCHEDULE_SHAPES = {"lr_cycles": 1, "lr_power": 1.0}  # with what older versions used in their place
DENSITIES = ("uniform", "logit_normal", "mode", "high_noise")  # their formulas are in densities.py
LORA_DTYPES = ("fp32", "bf16")
CHECKPOINTING = ("off", "keep attention", "blocks", "blocks, offloaded")  # from fast to lean
BOTH_EXPERTS, HIGH_NOISE, LOW_NOISE = "both", "high noise", "low noise"
EXPERTS = (BOTH_EXPERTS, HIGH_NOISE, LOW_NOISE)
LEAST_RANGE = 0.01  # between sigma_low and sigma_high
MODEL_SHIFT = 0.0  # shift: the one the model samples with
# How a run is kept and shown, and what it needs of the machine; none of these changes the LoRA.
BOOKKEEPING = ("checkpointing", "kept_blocks", "save_every", "keep", "validate_every", "sample_every")
# What has been added since runs have keys: left as it was before, it is no part of them, so that old runs keep theirs.
LATER = {"compile_blocks": False}
ATTENTION_PRESET = "attention"  # q, k, v, o of self- and cross-attention, the modules of the paper
# Further presets, by the layers' names in the host's Wan and CogVideoX; CogVideoX has but one attention a block.
MODULE_PRESETS = {
    "self-attention": r"blocks\.\d+\.(self_attn\.[qkvo]|[qkv]|attn_out)$",
    "cross-attention": r"blocks\.\d+\.cross_attn\.[qkvo]$",
    "feed-forward": r"blocks\.\d+\.(ffn\.[02]|ff_proj|ff_out)$",
    "all blocks": r"blocks\.\d+\.",
}


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run; steps and batch size count clips, not frames.

    Raises:
        ValueError: a value is outside its range; the sentence names it.
    """

    rank: int = 16
    alpha: float | None = None  # None: equal to the rank, so that the scale alpha / rank is 1
    learning_rate: float = 1e-4
    steps: int = 200
    batch_size: int = 1
    seed: int = 0
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.99)
    max_grad_norm: float = 1.0
    lr_schedule: str = "constant"
    lr_cycles: int = 3  # of cosine_with_restarts
    lr_power: float = 2.0  # of polynomial; 1 is linear
    warmup_steps: int = 0
    density: str = "uniform"  # of sigma in (0, 1)
    shift: float = 1.0  # sigma' = shift sigma / (1 + (shift - 1) sigma); 0: the model's own
    caption_dropout: float = 0.0  # chance in [0, 1] that a clip is trained with the empty caption
    target_modules: str = ATTENTION_PRESET  # preset, comma-separated name endings, or "regex:..."
    per_frame_timesteps: bool = False  # False: one scalar timestep for the sequence, as in the paper
    optimizer: str = "adamw"  # a name of optimizers.py
    accumulation: int = 1  # batches whose gradients are averaged for one step
    ema_decay: float = 0.0  # of the running average that is saved in place of the weights; 0: none
    sigma_low: float = 0.0  # global levels are drawn between these two, with the density kept
    sigma_high: float = 1.0
    lora_dtype: str = "fp32"  # of the saved file; training is always in fp32
    checkpointing: str = "off"  # gradient checkpointing: time for memory
    save_every: int = 0  # steps between two checkpoints of the run; 0: by the clock
    keep: int = 2  # checkpoints that are kept
    validate_every: int = 0  # steps between two validations; 0: before and after only
    sample_every: int = 0  # steps between two previews; 0: none
    expert: str = BOTH_EXPERTS  # of Wan 2.2 14B: whose noise levels are trained
    compile_blocks: bool = False  # by torch.compile: another rounding
    kept_blocks: int = 0  # the last so many keep everything, whatever checkpointing says: as a plan finds room for

    def __post_init__(self) -> None:
        object.__setattr__(self, "betas", tuple(self.betas))
        self._check_counts()
        self._check_ranges()
        _check_choice("lr_schedule", self.lr_schedule, LR_SCHEDULES)
        _check_choice("density", self.density, DENSITIES)
        _check_choice("lora_dtype", self.lora_dtype, LORA_DTYPES)
        _check_choice("checkpointing", self.checkpointing, CHECKPOINTING)
        _check_choice("expert", self.expert, EXPERTS)
        if not self.optimizer.strip():
            raise ValueError("optimizer is empty; name one, for example adamw")
        module_pattern(self.target_modules)

    @property
    def lora_alpha(self) -> float:
        """The alpha that is used and saved: the one given, else the rank."""
        return float(self.rank if self.alpha is None else self.alpha)

    @property
    def unused(self) -> tuple[str, ...]:
        """Settings that mean nothing with the others as they are."""
        used = {"cosine_with_restarts": "lr_cycles", "polynomial": "lr_power"}.get(self.lr_schedule)
        return tuple(name for name in SCHEDULE_SHAPES if name != used)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {**asdict(self), "betas": list(self.betas)}

    def with_inputs(self, **given: Any) -> TrainConfig:
        """These settings with a node's inputs; a None is an input that was left out, and changes nothing."""
        return replace(self, **{name: value for name, value in given.items() if value is not None})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TrainConfig:
        """Inverse of ``to_dict``.

        Raises:
            ValueError: a key is unknown.
        """
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise ValueError(
                f"unknown training settings {', '.join(unknown)}; known are "
                f"{', '.join(field.name for field in fields(cls))}; remove or rename them"
            )
        return cls(**values)

    def _check_counts(self) -> None:
        minima = {
            "rank": 1,
            "steps": 1,
            "batch_size": 1,
            "seed": 0,
            "warmup_steps": 0,
            "accumulation": 1,
            "lr_cycles": 1,
        }
        minima |= {"save_every": 0, "keep": 1, "validate_every": 0, "sample_every": 0, "kept_blocks": 0}
        for name, least in minima.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; it must be a whole number of at least {least}")

    def _check_ranges(self) -> None:
        for name in ("learning_rate", "max_grad_norm", "lr_power"):
            _check_number(name, getattr(self, name), above=0.0)
        for name in ("shift", "weight_decay"):
            _check_number(name, getattr(self, name), least=0.0)
        if self.alpha is not None:
            _check_number("alpha", self.alpha, above=0.0)
        _check_number("ema_decay", self.ema_decay, least=0.0, most=0.999999)
        for name in ("caption_dropout", "sigma_low", "sigma_high"):
            _check_number(name, getattr(self, name), least=0.0, most=1.0)
        if self.sigma_high - self.sigma_low < LEAST_RANGE:
            raise ValueError(
                f"sigma_low is {self.sigma_low:g} and sigma_high {self.sigma_high:g}; "
                f"they must lie at least {LEAST_RANGE:g} apart, the higher one last"
            )
        if len(self.betas) != 2:
            raise ValueError(f"betas has {len(self.betas)} values; AdamW needs 2, for example 0.9 and 0.99")
        for beta in self.betas:
            _check_number("betas", beta, least=0.0, most=0.999999)


def module_pattern(target_modules: str) -> re.Pattern[str] | SafePattern | None:
    """The pattern that module names must match, or None for the family's attention preset.

    ``"q, k"`` matches names that end in ``.q`` or ``.k``, and the names of presets may stand among them;
    ``"regex:blocks\\.[0-3]\\."`` is searched as it is.

    Raises:
        ValueError: the text is empty or not a valid expression.
    """
    text = target_modules.strip()
    if text == ATTENTION_PRESET:
        return None
    if text.startswith("regex:"):
        try:
            return SafePattern(text.removeprefix("regex:"))
        except ValueError as error:
            raise ValueError(f"target_modules {text[:200]!r} cannot be used: {error}; correct it") from error
    names = [part.strip() for part in text.split(",") if part.strip()]
    if not names:
        raise ValueError(f'target_modules is empty; give "{ATTENTION_PRESET}", comma-separated names or "regex:..."')
    return re.compile("|".join(_part(name) for name in names))


def _part(name: str) -> str:
    if name == ATTENTION_PRESET:
        return "|".join(MODULE_PRESETS[preset] for preset in ("self-attention", "cross-attention"))
    return MODULE_PRESETS.get(name, rf"(^|\.){re.escape(name)}$")


def _check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is {value!r}; choose one of {', '.join(known)}")


def _check_number(
    name: str, value: float, *, least: float = -math.inf, most: float = math.inf, above: float = -math.inf
) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if number and least <= value <= most and value > above:
        return
    low = f"above {above:g}" if above > -math.inf else f"at least {least:g}"
    high = f" and at most {most:g}" if most < math.inf else ""
    raise ValueError(f"{name} is {value!r}; it must be a number {low}{high}")
