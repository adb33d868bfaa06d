"""What other nodes have put on a MODEL, by name, and what of it training leaves off."""

from __future__ import annotations

import enum
import functools
import hashlib
import logging
import threading
import types
import weakref
from collections.abc import Callable, Iterator, Mapping, Set
from pathlib import PurePath
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..services.devices import on_one_device
from ..services.keys import FORWARDS_KEY
from .fingerprint import add_tensor, weights_digest
from .forwards import Replaced
from .noise import own_repairs
from .position_table import FORWARD

log = logging.getLogger(__name__)

DEPTH = 40  # of nested values; deeper ones are no settings
COMPILE_KEY, COMPILE_OPTION = "torch.compile", "torch_compile_kwargs"  # the host's names, of its compile node
# Without a state that could change what a network computes.
_STATELESS = (
    types.ModuleType, logging.Logger, type(threading.Lock()), type(threading.RLock()), threading.local,
    weakref.ref, weakref.WeakKeyDictionary, weakref.WeakValueDictionary, torch.device,
)  # fmt: skip
# Where the host's own objects keep at which step of a sampling they are; it starts anew with each.
_STEP_OF_THE_HOST = {
    "HookKeyframeGroup": {
        "_current_keyframe", "_current_used_steps", "_current_index", "_current_strength", "_curr_t", "curr_t",
    },
    "HookKeyframe": {"start_t"},
    "TransformerOptionsHook": {"_skip_adding"},
}  # fmt: skip
_NAMED = (str, int, float, bool, complex, bytes, type(None), range, slice, torch.dtype, torch.Size, type(Ellipsis))


class UnnamedError(ValueError):
    """A value holds what has no name by which another session could find it again; the message is its kind."""


def digest_of(value: Any, own_modules: Mapping[int, str] | None = None) -> str:
    """Digest of a value, however nested, the same in another session and before, while and after a model samples.

    Functions count by their names and by what they hold, modules by their weights. What an object of ours keeps
    besides, it names in ``uncounted``.

    Args:
        value: anything.
        own_modules: names by id of modules that count by their names alone.

    Raises:
        UnnamedError: it holds what cannot be told apart, such as an open file.
    """
    return _Digest(own_modules or {}).of(value)


def changes_on(model: Any, node: str = "the Train node") -> dict[str, str]:
    """Every patch, wrapper and option on a MODEL but its weight patches, each with its ``digest_of``; none: empty.

    Args:
        model: host MODEL.
        node: whose sentence an error is.

    Raises:
        ValueError: something on it holds what cannot be told apart, such as an open file.
    """
    names = {id(module): name for name, module in model.model.named_modules()}
    parts = ((name, value) for name, value in sorted(_parts(model)) if not _is_empty(value))
    return {name: _named(name, value, names, node)[:8] for name, value in parts}


def refuse_hooks(model: Any) -> None:
    """Refuse a MODEL with LoRAs that hooks switch on and off while it samples; training has no schedule.

    Raises:
        ValueError: it has.
    """
    if model.hook_patches or getattr(model, "forced_hooks", None):
        raise ValueError(
            "the model has a LoRA that hooks switch on in a part of the sampling (Motion Apply, or the host's hook "
            "nodes), which training cannot follow; connect the model from before it, or put the LoRA on with Load LoRA"
        )


def uncompiled(model: Any) -> Any:
    """The MODEL without what torch.compile made of its parts: the same function, and layers that can be trained."""
    plain = {key: _original(patch) for key, patch in model.object_patches.items()}
    compiled = {key: plain[key] for key, patch in model.object_patches.items() if plain[key] is not patch}
    if not compiled and COMPILE_OPTION not in model.model_options:
        return model
    from comfy.patcher_extension import WrappersMP

    clone = model.clone()
    for key, original in compiled.items():
        if isinstance(original, nn.Module):
            del clone.object_patches[key]
        else:
            clone.object_patches[key] = original
    clone.remove_wrappers_with_key(WrappersMP.APPLY_MODEL, COMPILE_KEY)
    clone.model_options.pop(COMPILE_OPTION, None)
    return clone


def as_trained(model: Any) -> Any:
    """A host MODEL as runs train it: its own layers in their places, not compiled, and on one device.

    Raises:
        ValueError: it has LoRAs that hooks switch on and off.
    """
    refuse_hooks(model)
    restore_modules(model)
    found = on_one_device(model)
    if (plain := uncompiled(found)) is not found:
        log.info("the model is compiled; it is trained uncompiled, which gives the same LoRA")
    return plain


def restore_modules(model: Any) -> None:
    """Give the network its own modules back where a clone that was loaded has left others in their places.

    The host leaves object patches on the shared network until another clone is loaded, and layers then have other
    names. A loaded clone gets its patches again when it samples.
    """
    if any(isinstance(module, nn.Module) for module in model.object_patches_backup.values()):
        model.unpatch_model(unpatch_weights=False)


def _parts(model: Any) -> Iterator[tuple[str, Any]]:
    """Names and values of everything on a MODEL.

    Our own repairs are the same for every run; where one has changed what is learned, it counts by its name.
    """
    repairs = own_repairs(model)
    yield from ((f"object patch {key}", patch) for key, patch in model.object_patches.items() if key not in repairs)
    if FORWARD in repairs:  # runs from before had the embeddings of 720 x 480
        yield "position embeddings", "of the size at hand"
    options = dict(model.model_options)
    for name, value in dict(options.pop("transformer_options", {})).items():
        nested = name in ("patches", "patches_replace", "wrappers", "callbacks")
        yield from ((f"{name} {key}", entry) for key, entry in value.items()) if nested else ((name, value),)
    yield from options.items()
    others = any(isinstance(patch, Replaced) for key, patch in model.object_patches.items() if key not in repairs)
    for kind, group in (("wrapper", model.wrappers), ("callback", model.callbacks)):
        for point, keys in group.items():
            counted = ((key, functions) for key, functions in keys.items() if others or key != FORWARDS_KEY)
            yield from ((f"{kind} {point} {key}", functions) for key, functions in counted)
    yield from ((f"injection {key}", value) for key, value in model.injections.items())
    yield from ((f"weight wrapper {key}", value) for key, value in model.weight_wrapper_patches.items())
    for key, models in model.additional_models.items():
        yield f"model {key}", [weights_digest(one) for one in models]


def _is_empty(value: Any) -> bool:
    return isinstance(value, (Mapping, list, tuple, Set)) and not value


def _named(name: str, value: Any, own_modules: Mapping[int, str], node: str) -> str:
    try:
        return digest_of(value, own_modules)
    except UnnamedError as unknown:
        raise ValueError(
            f"the model carries {name}, which holds a {unknown}: a run could not be told from one without it, so take "
            f"the node that put it there off in front of {node}"
        ) from unknown


class _Digest:
    """Digest of a value, however nested, by names and contents and never by its place in memory."""

    def __init__(self, own_modules: Mapping[int, str]) -> None:
        self.own_modules = own_modules  # of the network: their weights are counted elsewhere
        self.digest = hashlib.sha256()
        self.seen: dict[int, int] = {}
        self.kept: list[Any] = []  # so that no id is used twice

    def of(self, value: Any) -> str:
        """Hexadecimal digits."""
        self._add(value, 0)
        return self.digest.hexdigest()

    def _tell(self, *words: Any) -> None:
        self.digest.update(repr(words).encode("utf-8", "backslashreplace"))

    def _add(self, value: Any, depth: int) -> None:
        if isinstance(value, _NAMED):
            return self._tell(value)
        if isinstance(value, (enum.Enum, type, *_STATELESS)):
            return self._tell(type(value).__name__, getattr(value, "__qualname__", getattr(value, "name", "")))
        if id(value) in self.seen:
            return self._tell("again", self.seen[id(value)])
        self.seen[id(value)] = len(self.seen)
        self.kept.append(value)
        if depth > DEPTH:
            raise UnnamedError(f"{type(value).__name__} {DEPTH} levels down")
        return self._add_new(value, depth + 1)

    def _add_new(self, value: Any, depth: int) -> None:
        if isinstance(value, Tensor):
            return add_tensor(self.digest, value, samples=None)  # two masks may differ in a few pixels alone
        if isinstance(value, np.ndarray):
            return self._tell(value.shape, str(value.dtype), hashlib.sha256(value.tobytes()).hexdigest())
        if isinstance(value, PurePath):
            return self._tell(value.name)
        if isinstance(value, nn.Module):
            return self._add_module(value, depth)
        if hasattr(value, "model_state_dict") and hasattr(value, "backup"):  # another MODEL
            return self._tell(type(value.model).__name__, weights_digest(value))
        if isinstance(value, (Mapping, list, tuple, Set)):
            return self._add_container(value, depth)
        if callable(value) and not hasattr(value, "__dict__"):
            return self._tell(getattr(value, "__qualname__", type(value).__name__))
        if isinstance(value, (types.FunctionType, types.MethodType, functools.partial)):
            return self._add_function(value, depth)
        return self._add_object(value, depth)

    def _add_container(self, value: Any, depth: int) -> None:
        self._tell(type(value).__name__, len(value))
        if isinstance(value, Mapping):
            for key in sorted(value, key=_order):
                self._add(key, depth)
                self._add(value[key], depth)
            return
        for part in sorted(value, key=_order) if isinstance(value, Set) else value:
            self._add(part, depth)

    def _add_function(self, value: Any, depth: int) -> None:
        if isinstance(value, functools.partial):
            parts: tuple[Any, ...] = (value.func, value.args, value.keywords)
        elif isinstance(value, types.MethodType):
            parts = (value.__func__, value.__self__)
        else:
            cells = [_content(cell) for cell in value.__closure__ or ()]
            parts = (cells, value.__defaults__, value.__kwdefaults__)
            code = value.__code__.co_code.hex() if value.__name__ == "<lambda>" else ""
            self._tell(_last_name(value.__module__), value.__qualname__, code)
        for part in parts:
            self._add(part, depth)

    def _add_module(self, value: nn.Module, depth: int) -> None:
        if id(value) in self.own_modules:
            return self._tell("the network's", self.own_modules[id(value)])
        self._tell(type(value).__qualname__)
        for name, weight in value.state_dict().items():  # gigabytes, and learned ones differ everywhere
            self._tell(name)
            add_tensor(self.digest, weight) if isinstance(weight, Tensor) else self._add(weight, depth)
        return None

    def _add_object(self, value: Any, depth: int) -> None:
        slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
        if not hasattr(value, "__dict__") and not slots:
            raise UnnamedError(type(value).__name__)
        self._tell(_last_name(type(value).__module__), type(value).__qualname__)
        held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
        held |= getattr(value, "__dict__", {})
        left_out = _left_out(type(value))
        self._add({name: part for name, part in held.items() if name not in left_out}, depth)


def _left_out(kind: type) -> Set[str]:
    """Attributes of an object that do not count."""
    of_the_host = (one.__name__ for one in kind.__mro__ if one.__module__.startswith("comfy."))
    return {*getattr(kind, "uncounted", ())}.union(*(_STEP_OF_THE_HOST.get(name, ()) for name in of_the_host))


def _original(patch: Any) -> Any:
    """What torch.compile was given; anything else is returned as it is."""
    if isinstance(patch, nn.Module) and type(patch).__name__ == "OptimizedModule":
        return patch._orig_mod
    original: Callable[..., Any] = getattr(patch, "_torchdynamo_orig_callable", patch)
    return original


def _last_name(module: str | None) -> str:
    """A module's last name: what stands before it may be a path of somebody's machine."""
    return (module or "").replace("\\", "/").rsplit("/", 1)[-1].rsplit(".", 1)[-1]


def _content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # still empty
        return None


def _order(key: Any) -> str:
    return f"{type(key).__name__} {key!r}" if isinstance(key, (*_NAMED, tuple)) else type(key).__name__
