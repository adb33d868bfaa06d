"""Which run the command means: by its name, its folder, or its record."""

from __future__ import annotations

from pathlib import Path

from ....training.core.methods import APPEARANCE, MOTION
from ....training.runs.portable import FILE, PortableRun
from ..runs.opening import runs_folder


def output_of(text: str) -> Path | None:
    """The output folder that a run's folder or record lies in, as ``OUTPUT/fewshot_video/runs/NAME``; None: no such."""
    folder = _folder_of(Path(text))
    if folder is None or folder.parent.name != "runs" or folder.parent.parent.name != "fewshot_video":
        return None
    return folder.parents[2]


def find_run(text: str) -> tuple[PortableRun, Path]:
    """A run and its folder, by its name, its folder or a JSON of that folder.

    Raises:
        ValueError: there is no such run, or it does not say how it is trained.
    """
    folder = _folder_of(Path(text)) or _named(text)
    if folder is None:
        raise ValueError(f"there is no run {text!r}; {_known()}")
    run, own = PortableRun.read(folder / FILE), runs_folder() / folder.name
    if folder.resolve() != own.resolve():
        raise ValueError(
            f"the run {folder.name} lies in {folder.parent}, and this ComfyUI keeps its runs in {own.parent}; move the "
            "folder there, or give --output-directory"
        )
    return (run if run.name == folder.name else renamed(run, folder.name)), folder


def renamed(run: PortableRun, name: str) -> PortableRun:
    """The run under the name that its folder has now."""
    node = run.graph[run.node]
    graph = {**run.graph, run.node: {**node, "inputs": {**node["inputs"], "run_name": name}}}
    return PortableRun(name, run.node, graph, run.sets)


def _named(name: str) -> Path | None:
    """The folder of a run of a name, or of one of the two that Motion Train makes of it."""
    if len(Path(name).parts) != 1:
        return None
    found = (runs_folder() / each for each in (name, f"{name}_{MOTION}", f"{name}_{APPEARANCE}"))
    return next((folder for folder in found if (folder / FILE).is_file()), None)


def _folder_of(path: Path) -> Path | None:
    """The folder of a run that a path names; None where it is a name."""
    if path.suffix == ".json" and path.is_file():
        return path.resolve().parent
    return path.resolve() if len(path.parts) > 1 and path.is_dir() else None


def _known() -> str:
    names = sorted(path.parent.name for path in runs_folder().glob(f"*/{FILE}"))
    return f"those that can be trained here are {', '.join(names)}" if names else f"{runs_folder()} holds none"
