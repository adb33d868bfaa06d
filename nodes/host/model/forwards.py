"""The ``.forward`` of a network's modules, and other methods of it, replaced by patches of a MODEL.

Never the module itself: its weights keep their names, so that LoRAs still find them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from ..services.keys import FORWARDS_KEY

NETWORK = "diffusion_model."  # the host's name of the bare network inside a model

Forward = Callable[..., Any]


class Replaced:
    """A method in place of another, which it gets first; known again when it is replaced in turn."""

    def __init__(self, original: Forward, forward: Forward, own: bool) -> None:
        """``own`` says that the original is the module's own one, and not that of another node pack."""
        self.original, self.forward, self.own = original, forward, own

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.forward(self.original, *args, **options)


def replace_forward(clone: Any, name: str, forward: Forward) -> None:
    """Patch the ``.forward`` of a module of the network around what is there: its own, or that of another node pack."""
    key = f"{NETWORK}{name}.forward"
    there = clone.object_patches.get(key)
    if isinstance(there, Replaced):  # by this pack, earlier
        _put(clone, key, Replaced(there.original, forward, there.own))
    else:
        wrap_method(clone, f"{name}.forward", forward)


def wrap_method(clone: Any, name: str, method: Forward) -> None:
    """Patch a method of the network, or of a part of it (``part.method``), around whatever is there."""
    key = f"{NETWORK}{name}"
    there = clone.object_patches.get(key)
    _put(clone, key, Replaced(there or _own_method(clone, key), method, there is None))


def _put(clone: Any, key: str, patch: Replaced) -> None:
    from comfy.patcher_extension import CallbacksMP

    clone.add_object_patch(key, patch)
    clone.remove_callbacks_with_key(CallbacksMP.ON_CLONE, FORWARDS_KEY)
    clone.add_callback_with_key(CallbacksMP.ON_CLONE, FORWARDS_KEY, _follow)


def _follow(model: Any, clone: Any) -> None:
    """Let the patches of a clone over another copy of the network call that copy.

    The host makes one where it cannot change the weights it pages, for LoRA hooks and for training.
    """
    if clone.model is model.model:
        return
    for key, patch in clone.object_patches.items():
        clone.object_patches[key] = _following(clone, key, patch)


def _following(clone: Any, key: str, patch: Any) -> Any:
    if not isinstance(patch, Replaced):
        return patch
    original = _own_method(clone, key) if patch.own else _following(clone, key, patch.original)
    return Replaced(original, patch.forward, patch.own)


def _own_method(model: Any, key: str) -> Forward:
    """The method of a part's class, so that it is the part's own one while it is patched, too."""
    from comfy.utils import get_attr

    part, _, name = key.rpartition(".")
    owner = get_attr(model.model, part)
    return partial(getattr(type(owner), name), owner)
