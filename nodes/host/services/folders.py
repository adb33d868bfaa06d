"""The host's folders that the pack reads and writes."""

from __future__ import annotations

import hashlib
from pathlib import Path

PACK = "fewshot_video"  # our own folders are called so


def input_folders() -> list[str]:
    """Folders below the host's input folder, as core's own folder nodes list them."""
    import folder_paths

    return folder_paths.get_input_subfolders()


def input_root() -> Path:
    """The host's input folder."""
    import folder_paths

    return Path(folder_paths.get_input_directory()).resolve()


def input_folder(name: str) -> Path:
    """The folder ``name`` below the host's input folder.

    Raises:
        ValueError: There is no such folder, or the name (or a link) leads out of the input folder.
    """
    base = input_root()
    try:
        folder = (base / name).resolve()
    except (ValueError, OSError, RuntimeError):  # a null byte, or a loop of links
        folder = base
    if folder == base or not folder.is_relative_to(base) or not folder.is_dir():
        raise ValueError(f"there is no folder {name!r} below ComfyUI's input folder; refresh the list and choose one")
    return folder


def folder_fingerprint(folder: Path) -> str:
    """Digest of every file's path, size and time of change: edits are noticed without reading the files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():  # none where a link leads nowhere
            stat = path.stat()
            name = path.relative_to(folder).as_posix()
            digest.update(f"{name} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def output_folder() -> Path:
    """The pack's own folder below the host's output folder."""
    import folder_paths

    return Path(folder_paths.get_output_directory()) / PACK


def model_folders(category: str) -> list[Path]:
    """The host's folders of a category of models, ours among them."""
    import folder_paths

    REGISTER[category]()
    return [Path(folder) for folder in folder_paths.get_folder_paths(category)]


def model_names(category: str) -> list[str]:
    """Names of the safetensors files that the host offers in a category of models, ours included."""
    import folder_paths

    REGISTER[category]()
    try:
        names = folder_paths.get_filename_list(category)
    except FileNotFoundError:  # the host remembers a folder that somebody has removed, and asks it for its time
        folder_paths.filename_list_cache.pop(category, None)
        names = folder_paths.get_filename_list(category)
    return [name for name in names if name.lower().endswith(".safetensors")]


def model_files(category: str) -> list[Path]:
    """The safetensors files that the host offers in a category of models."""
    import folder_paths

    names = model_names(category)
    return [Path(path) for name in names if (path := folder_paths.get_full_path(category, name)) is not None]


def cache_folder() -> Path:
    """Where encoded clips are kept between sessions.

    Below the output folder because that one is the user's: temp is emptied at every start of the host, which
    would encode everything again, and the user folder is for settings. It can be deleted at any time.
    """
    return output_folder() / "cache"


def lora_output_folder() -> Path:
    """Where trained LoRAs are saved: ``loras`` below the host's output folder, as core's saver does."""
    import folder_paths

    return Path(folder_paths.get_output_directory()) / "loras"


def register_lora_output() -> None:
    """Offer that folder in the host's ``loras``, after its own; doing so again changes nothing."""
    import folder_paths

    folder_paths.add_model_folder_path("loras", str(lora_output_folder()))


def aicl_output_folder() -> Path:
    """Where trained AICL adapters are saved: ``aicl`` below the host's output folder."""
    import folder_paths

    return Path(folder_paths.get_output_directory()) / "aicl"


def register_aicl_folders() -> None:
    """Make ``aicl`` a folder of the host's models; again changes nothing.

    It offers what was trained, and the adapter of the toy model, too.
    """
    import folder_paths

    from ....toy.weights import ACTIONS

    folder_paths.add_model_folder_path("aicl", str(Path(folder_paths.models_dir) / "aicl"))
    folder_paths.add_model_folder_path("aicl", str(aicl_output_folder()))
    folder_paths.add_model_folder_path("aicl", str(ACTIONS.parent))


def tune_a_video_output_folder() -> Path:
    """Where what Tune-A-Video has tuned is saved: ``tune_a_video`` below the host's output folder."""
    import folder_paths

    return Path(folder_paths.get_output_directory()) / "tune_a_video"


def register_tune_a_video_folders() -> None:
    """Make ``tune_a_video`` a folder of the host's models, and offer what was tuned in it; again changes nothing."""
    import folder_paths

    folder_paths.add_model_folder_path("tune_a_video", str(Path(folder_paths.models_dir) / "tune_a_video"))
    folder_paths.add_model_folder_path("tune_a_video", str(tune_a_video_output_folder()))


# How our folders get into the host's categories of models.
REGISTER = {
    "loras": register_lora_output,
    "aicl": register_aicl_folders,
    "tune_a_video": register_tune_a_video_folders,
}
