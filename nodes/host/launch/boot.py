"""The host's loaders and networks in a process of our own: nothing listens, other packs are loaded if needed."""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

EXTRA_PATHS = "extra_model_paths.yaml"


def start_host(path: Path, arguments: Sequence[str]) -> None:
    """Make the host importable, with the command line that its own ``main.py`` takes, and set its folders.

    Args:
        path: Folder of the host.
        arguments: Of the command line, such as ``--base-directory``.

    Raises:
        SystemExit: the host does not know an argument, which it says.
    """
    sys.path.insert(0, str(path))
    before, sys.argv = sys.argv, [sys.argv[0], *arguments]
    try:  # the host reads the command line while it is imported
        import comfy.options

        comfy.options.enable_args_parsing()
        import comfy.cli_args
    finally:
        sys.argv = before
    _set_folders(path, comfy.cli_args.args)


def _set_folders(path: Path, args: Any) -> None:
    """Where models, input and output lie, as the host's ``main.py`` decides it."""
    import folder_paths
    import utils.extra_config

    files = [str(path / EXTRA_PATHS)] if (path / EXTRA_PATHS).is_file() else []
    for file in (*files, *itertools.chain(*(args.extra_model_paths_config or ()))):
        utils.extra_config.load_extra_path_config(file)
    for name in ("output", "input", "user"):
        if folder := getattr(args, f"{name}_directory"):
            getattr(folder_paths, f"set_{name}_directory")(str(Path(folder).resolve()))
    output = Path(folder_paths.get_output_directory())
    for name in ("checkpoints", "clip", "vae", "diffusion_models", "loras"):
        folder_paths.add_model_folder_path(name, str(output / name))


def load_nodes(kinds: Iterable[str], own: Any) -> None:
    """Have the host know the nodes of a graph: its own and ours, and those of other packs where one is missing.

    Args:
        kinds: Classes of the graph's nodes.
        own: Our nodes.

    Raises:
        ValueError: a class is nowhere to be found.
    """
    import execution

    host: Any = execution.nodes  # pyright: ignore[reportAttributeAccessIssue] - the host's, which it imports
    known: dict[str, Any] = host.NODE_CLASS_MAPPINGS
    known.update({node.GET_SCHEMA().node_id: node for node in own})
    wanted = set(kinds)
    for load in (lambda: host.init_builtin_extra_nodes(), lambda: host.init_external_custom_nodes()):
        if wanted <= set(known):
            return
        asyncio.run(_loaded(load))
    if missing := sorted(wanted - set(known)):
        raise ValueError(
            f"the run's graph has nodes that this ComfyUI does not know: {', '.join(missing)}; install the packs they "
            "belong to, as in the ComfyUI that began the run"
        )


async def _loaded(load: Any) -> None:
    """Load nodes with a server that never listens: packs add their routes to it while they are imported."""
    import server

    if getattr(server.PromptServer, "instance", None) is None:
        server.PromptServer(asyncio.get_running_loop())
    await load()
