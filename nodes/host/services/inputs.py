"""What arrives at a node, held against its schema: links and API calls pass the limits that widgets keep."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, NoReturn

from torch import Tensor

from ....training.data.clips import check_frames
from ....training.storage.numbers import require_finite

FILES = ("lora_name", "folder", "name")  # combos of files: their readers refuse what is not there
LONGEST = 1_000_000  # characters of a text
REMAKE = "find the node that made them; it often is a model or a VAE in fp16, load it in bf16 or fp32"

Check = Callable[[str, Any], None]


def checked(execute: Callable[..., Any], inputs_of: Callable[[Any], list[Any]]) -> Callable[..., Any]:
    """``execute`` of a node, preceded by a check of all that it is given.

    Args:
        execute: As the node has it, with the class in front.
        inputs_of: Gives the inputs of a class's schema.
    """
    signature = inspect.signature(execute)

    @functools.wraps(execute)
    def run(cls: Any, *args: Any, **options: Any) -> Any:
        bound = signature.bind(cls, *args, **options).arguments
        given = {name: value for name, value in bound.items() if name != "cls" and not isinstance(value, dict)}
        check_inputs(inputs_of(cls), {**given, **options})
        return execute(cls, *args, **options)

    return run


def check_inputs(inputs: list[Any], values: Mapping[str, Any]) -> None:
    """Refuse values that the schema does not allow; None stands for what is not connected.

    Raises:
        ValueError: the first of them, by name.
    """
    for entry in inputs:
        value = values.get(entry.id)
        if value is not None:
            _check(entry, value)


def _check(entry: Any, value: Any) -> None:
    kinds = [getattr(kind, "io_type", kind) for kind in getattr(entry, "io_types", None) or [entry.io_type]]
    if "COMBO" in kinds:
        return _check_choice(entry, value)
    if kinds[0] in ("INT", "FLOAT"):
        return _check_number(entry, value, whole=kinds[0] == "INT")
    if "VIDEO" in kinds and not isinstance(value, Tensor):
        return None if hasattr(value, "get_components") else _refuse(entry.id, value, "an IMAGE or a VIDEO")
    check = next((check for kind, check in CHECKS.items() if kind in kinds), None)
    return None if check is None else check(entry.id, value)


def _check_choice(entry: Any, value: Any) -> None:
    options = list(entry.options or ())
    if entry.id in FILES:
        _check_text(entry.id, value)
    elif not isinstance(value, str) or value not in options:
        raise ValueError(f"{entry.id} is {_shown(value)}; choose one of {', '.join(map(str, options))}")


def _check_number(entry: Any, value: Any, whole: bool) -> None:
    kind, what = (Integral, "a whole number") if whole else (Real, "a number")
    if isinstance(value, bool) or not isinstance(value, kind):
        _refuse(entry.id, value, what)
    value = int(value) if isinstance(value, Integral) else float(value)
    least, most = (-math.inf if entry.min is None else entry.min), (math.inf if entry.max is None else entry.max)
    if not least <= value <= most:  # also where it is NaN
        raise ValueError(f"{entry.id} is {_shown(value)}; it must be {what} from {least:g} to {most:g}")


def _check_flag(name: str, value: Any) -> None:
    if not isinstance(value, bool):
        _refuse(name, value, "true or false")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str):
        _refuse(name, value, "a text")
    if len(value) > LONGEST:
        raise ValueError(f"{name} has {len(value)} characters; shorten it to {LONGEST} at most")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{name} holds half a character at place {error.start + 1}; type the text again") from error
    if "\0" in value:
        raise ValueError(f"{name} holds a null character at place {value.index(chr(0)) + 1}; type the text again")


def _check_image(name: str, value: Any) -> None:
    if not isinstance(value, Tensor):
        _refuse(name, value, "an IMAGE")
    if name in PASSED_ON:
        return require_finite({"its colours": value}, name, REMAKE)
    try:
        check_frames(value)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error


def _check_latent(name: str, value: Any) -> None:
    samples = value.get("samples") if isinstance(value, Mapping) else None
    if samples is None:
        _refuse(name, value, "a LATENT")
    if isinstance(samples, Tensor) and not getattr(samples, "is_nested", False):
        require_finite({"its samples": samples}, name, REMAKE)


def _check_conditioning(name: str, value: Any) -> None:
    parts = isinstance(value, (list, tuple)) and all(
        isinstance(part, (list, tuple)) and len(part) == 2 for part in value
    )
    if not parts:
        _refuse(name, value, "a CONDITIONING")
    if not value:
        raise ValueError(f"{name} is empty; connect CLIP Text Encode")
    for part, (tokens, extras) in enumerate(value, 1):
        found = {"its tokens": tokens, **{key: entry for key, entry in extras.items() if "mask" not in key}}
        require_finite(found, name if len(value) == 1 else f"part {part} of {name}", REMAKE)


def _check_lora(name: str, value: Any) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(tensor, Tensor) for tensor in value.values()):
        _refuse(name, value, "a LORA_MODEL")
    require_finite(value, name, "train it again with a lower learning rate, or load another file")


def _check_sigmas(name: str, value: Any) -> None:
    if not isinstance(value, Tensor) or value.ndim != 1:
        _refuse(name, value, "a SIGMAS")
    require_finite({"its levels": value}, name, "take those of Basic Scheduler")


def _own_types() -> dict[str, type]:
    from ....methods.tune_a_video import Tuned
    from ....training.core.config import TrainConfig
    from ....training.data.dataset import Dataset
    from ....training.data.encoding import EncodedDataset

    return {
        "FEWSHOT_DATASET": Dataset,
        "FEWSHOT_ENCODED": EncodedDataset,
        "FEWSHOT_TRAIN_SETTINGS": TrainConfig,
        "TUNE_A_VIDEO": Tuned,
    }


def _check_kind(kind: str) -> Check:
    def check(name: str, value: Any) -> None:
        wanted = _own_types()[kind]
        if not isinstance(value, wanted):
            _refuse(name, value, f"a {kind}")

    return check


def _check_settings(name: str, value: Any) -> None:
    from ....training.tic_ft.layout import check_settings

    if not isinstance(value, Mapping):
        _refuse(name, value, "a TICFT_SETTINGS")
    check_settings(value)


def _check_parts(kind: str, *parts: str) -> Check:
    """An object of the host's, or of ours on the host, told by what it has."""

    def check(name: str, value: Any) -> None:
        if not all(hasattr(value, part) for part in parts):
            _refuse(name, value, f"a {kind}")

    return check


PASSED_ON = {"images"}  # of TIC-FT Crop: what a VAE has decoded is cut and handed on, with colours out of range
CHECKS: dict[str, Check] = {
    "MODEL": _check_parts("MODEL", "model", "clone"),
    "VAE": _check_parts("VAE", "encode", "decode", "latent_channels"),
    "CLIP": _check_parts("CLIP", "tokenize", "patcher"),
    "CLIP_VISION": _check_parts("CLIP_VISION", "encode_image", "patcher"),
    "SAMPLER": _check_parts("SAMPLER", "sample"),
    "SIGMAS": _check_sigmas,
    "AICL_ADAPTER": _check_parts("AICL_ADAPTER", "sizes", "prism", "integrations"),
    "AICL_ACTION": _check_parts("AICL_ACTION", "adapter", "tokens"),
    "BOOLEAN": _check_flag,
    "STRING": _check_text,
    "IMAGE": _check_image,
    "LATENT": _check_latent,
    "CONDITIONING": _check_conditioning,
    "LORA_MODEL": _check_lora,
    "TICFT_SETTINGS": _check_settings,
    **{
        kind: _check_kind(kind)
        for kind in ("FEWSHOT_DATASET", "FEWSHOT_ENCODED", "FEWSHOT_TRAIN_SETTINGS", "TUNE_A_VIDEO")
    },
}


def _refuse(name: str, value: Any, wanted: str) -> NoReturn:
    raise ValueError(f"{name} is {_shown(value)}, {wanted} is needed; connect that, or type it in")


def _shown(value: Any) -> str:
    """A value as a sentence names it."""
    if isinstance(value, (str, bool, Real)):
        text = repr(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return f"a {type(value).__name__}"
