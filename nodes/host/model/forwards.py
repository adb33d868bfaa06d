"""The ``.forward`` of a network's modules, replaced by patches of a MODEL.

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
    """A ``.forward`` in place of another, which it gets first; known again when it is replaced in turn."""

    def __init__(self, original: Forward, forward: Forward, own: bool) -> None:
        """``own`` says that the original is the module's own one, and not that of another node pack."""
        self.original, self.forward, self.own = original, forward, own

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.forward(self.original, *args, **options)


def replace_forward(clone: Any, name: str, forward: Forward) -> None:
    """Patch the ``.forward`` of a module of the network around what is there: its own, or that of another node pack."""
    from comfy.patcher_extension import CallbacksMP

    key = f"{NETWORK}{name}.forward"
    there = clone.object_patches.get(key)
    own = there.own if isinstance(there, Replaced) else there is None
    original = there.original if isinstance(there, Replaced) else there or _own_forward(clone, key)
    clone.add_object_patch(key, Replaced(original, forward, own))
    clone.remove_callbacks_with_key(CallbacksMP.ON_CLONE, FORWARDS_KEY)
    clone.add_callback_with_key(CallbacksMP.ON_CLONE, FORWARDS_KEY, _follow)


def _follow(model: Any, clone: Any) -> None:
    """Let the patches of a clone over another copy of the network call that copy.

    The host makes one where it cannot change the weights it pages, for LoRA hooks and for training.
    """
    if clone.model is model.model:
        return
    for key, patch in clone.object_patches.items():
        if isinstance(patch, Replaced) and patch.own:
            clone.object_patches[key] = Replaced(_own_forward(clone, key), patch.forward, own=True)


def _own_forward(model: Any, key: str) -> Forward:
    """The forward of a module's class, so that it is the module's own one while the module is patched, too."""
    from comfy.utils import get_attr

    module = get_attr(model.model, key.removesuffix(".forward"))
    return partial(type(module).forward, module)
