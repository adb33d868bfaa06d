"""The node list, in menu order, and how ComfyUI gets it."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from typing import TYPE_CHECKING

from .host.services.version import OLDEST, host_version, is_supported

if TYPE_CHECKING:
    from comfy_api.latest import ComfyExtension, io

log = logging.getLogger(__name__)

REQUIREMENTS = ("torch", "diffusers", "safetensors", "einops", "numpy", "av")  # of requirements.txt
NODE_MODULES = (
    "toy",
    "tic_ft",
    "tic_ft_long",
    "tic_ft_train",
    "dataset_folder",
    "dataset",
    "training",
    "plan",
    "lora_files",
    "evaluation",
    "grid",
    "tune_a_video_train",
    "tune_a_video",
    "inversion",
    "motion",
    "aicl_train",
    "aicl",
)


def node_list() -> list[type[io.ComfyNode]]:
    """Import the node modules and return their nodes in menu order.

    Every schema is built once here, so that a mistake in one is met before ComfyUI has registered others.
    """
    modules = [importlib.import_module(f".{name}", __name__) for name in NODE_MODULES]
    nodes = [node for module in modules for node in module.NODES]
    for node in nodes:
        node.GET_SCHEMA()
    return nodes


def usable_nodes() -> list[type[io.ComfyNode]]:
    """The nodes, or none and one line in the log when this host or installation cannot run them."""
    version = host_version()
    if not is_supported(version):
        log.error(
            "FewShot Video needs ComfyUI %s or newer and this is %s: update ComfyUI and restart it. "
            "No FewShot Video node is registered.",
            ".".join(map(str, OLDEST)),
            version,
        )
        return []
    missing = missing_packages()
    if missing:
        log.error("%s No FewShot Video node is registered.", explain_missing(missing))
        return []
    try:
        from .host.page.routes import register_routes  # not earlier: packages may be missing

        nodes = node_list()
        register_routes()
        return nodes
    except Exception as error:  # whatever is wrong with us must not stop ComfyUI
        log.error("%s No FewShot Video node is registered.", explain(error, version))
        log.debug("FewShot Video could not load its nodes", exc_info=True)
        return []


def missing_packages() -> list[str]:
    """Names of required packages that are not installed; nothing is imported, some are met only in a run."""
    return [name for name in REQUIREMENTS if sys.modules.get(name) is None and importlib.util.find_spec(name) is None]


def explain_missing(names: list[str]) -> str:
    """Which packages to install and how, for people."""
    return (
        f"FewShot Video misses the Python package{'s' * (len(names) > 1)} {', '.join(map(repr, names))}: run "
        "`pip install -r requirements.txt` in its folder with the Python that runs ComfyUI, then restart ComfyUI."
    )


def explain(error: Exception, version: str) -> str:
    """What is wrong with the installation and what to do about it, for people."""
    if isinstance(error, ModuleNotFoundError) and error.name in REQUIREMENTS:
        return explain_missing([error.name])
    return (
        f"FewShot Video cannot load its nodes in ComfyUI {version} ({type(error).__name__}: {error}): update "
        "FewShot Video and ComfyUI, or report this line."
    )


def build_extension() -> ComfyExtension:
    """The extension object ComfyUI asks for; it holds no nodes where they cannot run."""
    from comfy_api.latest import ComfyExtension

    class FewShotVideo(ComfyExtension):
        async def get_node_list(self) -> list[type[io.ComfyNode]]:
            return usable_nodes()

    return FewShotVideo()
