"""How to cite what was trained: the papers of its method, and the file itself where it says how it was made."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

from ....training.core.methods import TITLES
from ....training.lora.file import read_metadata
from ....training.lora.metadata import from_metadata, plain_value
from ....training.lora.papers import BIBTEX, file_entry
from ....training.runs.folder import RECORD
from ....training.runs.record import citation
from ....training.storage.json_text import read_json
from ..aicl.adapter import adapter_names
from ..model.loras import lora_names
from ..runs.live_runs import run_folder
from ..tune_a_video.files import tuned_names

# Folders of the host's models, and what they offer.
OFFERED: dict[str, Callable[[], list[str]]] = {
    "loras": lora_names,
    "aicl": adapter_names,
    "tune_a_video": tuned_names,
}


def cite(method: str = "", folder: str = "", name: str = "", run: str = "") -> dict[str, str]:
    """``title``, ``bibtex`` and ``line`` of a file, or of a method where no file is known.

    Args:
        method: What is taken where no file says otherwise.
        folder: Of the host's models, in which ``name`` is looked up; it never becomes a path.
        name: A file of that folder; empty for none.
        run: Id of a run whose file is meant where no name is given; one that is not known, or has no file yet, counts
            for nothing.

    Raises:
        ValueError: there is no such file, or it does not say how it was made, or nothing is known of the method.
    """
    folder, name = (folder, name) if name or not run else _file_of(run)
    record, entry, line = _file(folder, name) if name else ({}, "", "")
    method = plain_value(record, "method") or method
    if not isinstance(method, str) or method not in BIBTEX:
        what = f"{name} does not say how it was trained" if name else f"nothing is known of the method {method!r}"
        raise ValueError(f"{what}; choose a file that a Train node of FewShot Video has saved")
    return {"title": TITLES[method], "bibtex": "\n\n".join([*BIBTEX[method], *filter(None, [entry])]), "line": line}


def _file(folder: str, name: str) -> tuple[dict[str, str], str, str]:
    """Record, BibTeX entry and line of a file; the last two are empty where it does not say how it was made."""
    import folder_paths

    if folder not in OFFERED or name not in OFFERED[folder]():
        raise ValueError(f"there is no file {name[:100]!r} in the folder; refresh the node and choose another")
    path = folder_paths.get_full_path(folder, name)
    metadata = {} if path is None else read_metadata(Path(path))
    record = from_metadata(metadata)
    line = ""
    with contextlib.suppress(KeyError, TypeError, AttributeError, ValueError):  # of another method, or damaged
        line = citation(record, name)
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return record, file_entry(record, stem, line, metadata.get("modelspec.date", "")) if record else "", line


def _file_of(run: str) -> tuple[str, str]:
    """Folder and name of the file that a run has ended with; empty where there is none."""
    found = run_folder(run)
    with contextlib.suppress(OSError, ValueError, AttributeError, TypeError):
        saved = read_json(found / RECORD).get("lora") if found else None
        for folder, names in OFFERED.items():
            offered: dict[Any, str] = {name.replace("\\", "/"): name for name in names()}
            if saved in offered:
                return folder, offered[saved]
    return "", ""
