"""AICL adapters in the host: offered in a folder, loaded and unloaded by the host, refused where they do not fit."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

from torch import Tensor

from ....methods.aicl import build
from ....training.aicl.file import BASE_MODEL, INTEGRATIONS, PRISM, AiclAdapter, load_adapter
from ....training.lora.file import SUFFIX
from ..model.families import blocks_like
from ..model.fingerprint import check_patch
from ..model.loras import file_stamp
from ..model.noise import LoadedModel, loaded_model
from ..services.devices import managed
from ..services.folders import model_names, register_aicl_folders
from .sites import Base, base_of

KEPT = 32  # references whose tokens are kept, the latest; some hundred kilobytes each


class HostAdapter:
    """AICL_ADAPTER: an adapter's two modules, each in a patcher of its own that the host moves and casts.

    The prism is only needed while references are encoded, so sampling does not load it.
    """

    uncounted = ("features",)  # see ``digest_of``

    def __init__(self, adapter: AiclAdapter, name: str = "the AICL adapter") -> None:
        import comfy.ops

        self.name = name
        self.sizes, self.record = adapter.sizes, adapter.record
        self.base_family = blocks_like(adapter.base_family)
        prism, integrations = build(adapter.sizes, comfy.ops.manual_cast)
        self.prism = _managed(prism, adapter.part(PRISM))
        self.integrations = _managed(integrations, adapter.part(INTEGRATIONS))
        self.features: OrderedDict[str, Any] = OrderedDict()  # tokens of each reference by its digest

    def remember(self, key: str, tokens: Any) -> Any:
        """Keep the tokens of a reference, and forget the oldest of many."""
        self.features[key] = tokens
        while len(self.features) > KEPT:
            self.features.popitem(last=False)
        return tokens

    def check_base(self, loaded: LoadedModel) -> Base:
        """The base that a model is; another than the adapter was trained on is refused.

        Raises:
            ValueError: its family, its blocks or the size of its tokens are others; both are named.
        """
        base = base_of(loaded)
        wanted = self.sizes.blocks
        if base.family == self.base_family and all(base.blocks.get(name) == width for name, width in wanted.items()):
            check_patch(loaded.model, self.record, self.name)
            return base
        trained_on = self.record.get(BASE_MODEL) or f"{self.base_family} with blocks of {_widths(wanted)} channels"
        raise ValueError(
            f"{self.name} was trained on {trained_on}, the model is {base}; load the base it was trained on"
        )


def _managed(network: Any, tensors: dict[str, Tensor]) -> Any:
    """A patcher over a module with these weights."""
    patcher = managed(network)
    network.load_state_dict(tensors, assign=True)  # as the file has them, whatever their type
    network.eval().requires_grad_(False)
    return patcher


def adapter_names() -> list[str]:
    """The safetensors files the host offers in ``aicl``."""
    return model_names("aicl")


def read_adapter(name: str, model: Any = None) -> HostAdapter:
    """An adapter of the host's ``aicl`` folders.

    Raises:
        ValueError: there is no such file, it is no AICL adapter, or ``model`` is another base.
    """
    path = _path(name)
    if path is None or not name.lower().endswith(SUFFIX):
        raise ValueError(f"there is no AICL adapter {name!r}; put it into models/aicl, refresh the list and choose it")
    adapter = HostAdapter(load_adapter(path), name)
    if model is not None:
        adapter.check_base(loaded_model(model))
    return adapter


def adapter_stamp(name: str) -> str:
    """Text that changes when the file does, see ``file_stamp``."""
    path = _path(name)
    return "" if path is None else file_stamp(path)


def _path(name: str) -> Path | None:
    import folder_paths

    register_aicl_folders()
    found = folder_paths.get_full_path("aicl", name)
    return None if found is None else Path(found)


def _widths(blocks: Any) -> str:
    return ", ".join(map(str, sorted(set(blocks.values()))))
