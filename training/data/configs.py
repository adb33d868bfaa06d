"""Settings files of other trainers that say which clips they train on: Tune-A-Video's YAML, musubi-tuner's TOML."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from .listings import Listing, Row, inside, listed_rows, read_text
from .media.kinds import not_a_clip
from .media.span import Span

Allowed = Callable[[Path], bool]

TOML = "dataset.toml"
YAML_FOLDERS = (".", "configs")  # where Tune-A-Video's authors keep theirs, beside data/
LARGEST = 1 << 20  # bytes of a YAML
MOST_FRAMES = 10**6  # that a YAML counts up to
DEEPEST = 20  # levels of lists and mappings in one
FRAMES = 8  # of a clip whose YAML names no number, as in Tune-A-Video's code
NOT_TAKEN = (
    *("resolution", "target_frames", "max_frames", "source_fps", "num_repeats", "batch_size"),
    *("enable_bucket", "bucket_no_upscale"),
)
PLACES = ("video_directory", "video_jsonl_file", "control_directory")
HEAD = ("head", "full")  # ways of musubi-tuner to take frames that begin with the first


def read_config(folder: Path, allowed: Allowed) -> Listing | None:
    """The clips that a trainer's settings in the folder name; None where it holds none. Paths begin at the folder.

    Args:
        folder: Of the settings, or above ``configs/``.
        allowed: Which files and folders may be opened: a link may lead anywhere.

    Raises:
        ValueError: The settings cannot be read.
    """
    if (folder / TOML).is_file() and allowed(folder / TOML):
        return _musubi(folder, folder / TOML, allowed)
    if any(path.with_suffix(".txt").is_file() for path in folder.iterdir() if not not_a_clip(path)):
        return None  # clips with captions of their own; settings beside them are of another training
    files = [path for name in YAML_FOLDERS for path in sorted((folder / name).glob("*.y*ml"))]
    tuned = [(path, data) for path in files if allowed(path) and (data := _tune_a_video(path))]
    if not tuned:
        return None
    found = Listing(tuned[0][0].name)
    for path, data in tuned:
        _add_tuned(found, folder, path, data)
    return found


def _tune_a_video(path: Path) -> dict[str, Any] | None:
    """The settings, where they are those of Tune-A-Video: other YAML may lie beside clips.

    Raises:
        ValueError: They are and cannot be read.
    """
    import yaml

    if path.stat().st_size > LARGEST or b"video_path" not in path.read_bytes():
        return None
    text = read_text(path)
    try:
        _check_events(yaml.parse(text, yaml.SafeLoader), path.name)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        reason = "it cannot be read" if place is None else f"line {place.line + 1}"
        raise ValueError(f"{path.name} is no YAML ({reason}); correct it") from error
    train = data.get("train_data") if isinstance(data, dict) else None
    return data if isinstance(train, dict) and isinstance(train.get("video_path"), str) else None


def _check_events(events: Iterable[Any], name: str) -> None:
    """Refuse what fills memory or time: a few lines of aliases of aliases, thousands of brackets in each other."""
    import yaml

    depth = 0
    for event in events:
        if isinstance(event, yaml.AliasEvent):
            raise ValueError(f"{name} repeats values by aliases (*name); write them out")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError(f"{name} is nested {depth} deep, settings are at most {DEEPEST}; correct it")


def _add_tuned(found: Listing, folder: Path, path: Path, data: Mapping[str, Any]) -> None:
    """The clip of one YAML, with every ``sample_frame_rate``-th frame from ``sample_start_idx`` on."""
    train = data["train_data"]
    try:
        frames, start = _whole(train, "n_sample_frames", FRAMES, 1), _whole(train, "sample_start_idx", 0, 0)
        span = Span(start, None, _whole(train, "sample_frame_rate", 1, 1))
        caption = str(train.get("prompt") or "").strip()
        if not caption:
            raise ValueError("no prompt in its train_data; say there what the clip shows")
        clip = found.inside(folder, train["video_path"])
        found.rows.append(Row(clip, caption, name=path.stem, span=span, frames=frames))
    except ValueError as error:
        found.refused[path.name] = str(error)
        return
    shown = data.get("validation_data")
    prompts = shown.get("prompts") if isinstance(shown, dict) else None
    if isinstance(prompts, list) and prompts:
        found.notes.append(f"{path.name} has prompts to sample with: {'; '.join(map(str, prompts))}")


def _whole(train: Mapping[str, Any], name: str, default: int, least: int) -> int:
    value = train.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST_FRAMES:
        raise ValueError(f"{name} is {str(value)[:80]!r}; it must be a whole number from {least} to {MOST_FRAMES}")
    return value


def _musubi(folder: Path, path: Path, allowed: Allowed) -> Listing:
    """Clips and controls of a ``dataset.toml``; the node's inputs decide sizes, lengths and rates."""
    data = _parsed_toml(path)
    general, sets = data.get("general", {}), data.get("datasets", [])
    if not isinstance(general, dict) or not isinstance(sets, list) or not all(isinstance(one, dict) for one in sets):
        raise ValueError(f"{path.name} holds no [[datasets]]; write it as musubi-tuner reads it")
    found = Listing(path.name)
    for number, one in enumerate(sets, 1):
        try:
            _add_musubi(found, folder, {**general, **one}, allowed)
        except ValueError as error:
            found.refused[f"{path.name} dataset {number}"] = str(error)
    unused = [key for key in NOT_TAKEN if any(key in each for each in (general, *sets))]
    if unused:
        found.notes.append(f"{', '.join(unused)} of {path.name} are not taken over: the node's inputs decide")
    return found


def _add_musubi(found: Listing, folder: Path, one: Mapping[str, Any], allowed: Allowed) -> None:
    named = {key: inside(folder, str(one[key])) for key in PLACES if one.get(key)}
    if outside := [key for key, path in named.items() if not allowed(path)]:
        raise ValueError(f"{outside[0]} is a link that leads out of the input folder; copy the files here")
    for key, path in named.items():
        if path.is_dir() != key.endswith("directory"):
            raise ValueError(
                f"{key} is {one[key]}, which is {'a folder' if path.is_dir() else 'no folder'}; correct it"
            )
    if listed := named.get("video_jsonl_file"):
        rows = listed_rows(folder, listed)
        found.rows += rows.rows
        found.refused.update(rows.refused)
    elif videos := named.get("video_directory"):
        ending = str(one.get("caption_extension") or ".txt")
        _add_directory(found, folder, videos, named.get("control_directory"), ending, allowed)
    else:
        raise ValueError("no video_directory and no video_jsonl_file in it; only data sets of videos can be trained on")
    if (way := one.get("frame_extraction", HEAD[0])) not in HEAD:
        found.notes.append(f"frame_extraction {way!r} is not repeated: each clip is taken from its first frame on")


def _add_directory(
    found: Listing, folder: Path, videos: Path, controls: Path | None, ending: str, allowed: Allowed
) -> None:
    """Clips of a directory with their captions beside them and their controls, of the same name, in another."""
    for clip in sorted(videos.iterdir()):
        place = clip.relative_to(folder).as_posix()
        if clip.name.startswith((".", "_")) or clip.suffix == ending or (clip.is_file() and not_a_clip(clip)):
            continue
        caption, same = clip.with_suffix(ending), _of_name(controls, clip.stem)
        if not caption.is_file() or not allowed(caption):
            found.refused[place] = f"no caption; write one into {caption.name}"
        elif controls is not None and len(same) != 1:
            found.refused[place] = f"{len(same)} files called {clip.stem} in {controls.name}; one control is needed"
        elif not (text := read_text(caption).strip()):
            found.refused[place] = f"the caption {caption.name} is empty; say what the clip shows"
        else:
            found.rows.append(Row(clip, text, tuple(same)))


def _of_name(controls: Path | None, stem: str) -> list[Path]:
    files = [] if controls is None else sorted(controls.iterdir())
    return [path for path in files if (path.name if path.is_dir() else path.stem) == stem and path.suffix != ".txt"]


def _parsed_toml(path: Path) -> dict[str, Any]:
    try:
        import tomllib
    except ImportError as error:  # before Python 3.11
        raise ValueError(f"{path.name} needs Python 3.11 or newer; write its clips into metadata.jsonl") from error
    try:
        return tomllib.loads(read_text(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ValueError(f"{path.name} is no TOML ({error}); correct it") from error
