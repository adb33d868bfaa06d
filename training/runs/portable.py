"""What a run needs to be trained outside the graph: the nodes that lead to it, and its data sets by their keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..data.clips import Clip, clip_length, content_of
from ..data.dataset import Dataset, Sample
from ..data.encoding import EncodedDataset
from ..data.vision import VisionEncoder
from ..storage.json_text import read_json
from ..storage.state_file import write_json
from .graph import Graph, graph_of, upstream

FORMAT, FILE = "fewshot_video.portable 1", "portable.json"  # in the run's folder
ENCODE = "make it where the VAE and the text encoder are, with `train.py RUN --encode-only`, or copy the folder"
NOT_HERE = f"the cache of encoded clips does not hold {{}}; {ENCODE}"


class NotEncodedError(ValueError):
    """Something of a data set is not in the cache, and there is no encoder."""


@dataclass(frozen=True)
class KnownClip:
    """A clip of which only the keys are known; it cannot be decoded."""

    name: str
    keys: tuple[str, str, str]  # key, content, former key
    count: int

    def frames(self) -> Tensor:
        """There are none.

        Raises:
            NotEncodedError: always.
        """
        raise NotEncodedError(NOT_HERE.format(self.name or "a clip"))

    def key(self) -> str:
        """As the clip's own."""
        return self.keys[0]

    def content(self) -> str:
        """As the clip's own."""
        return self.keys[1]

    def former_key(self) -> str:
        """As the clip's own."""
        return self.keys[2]


@dataclass(frozen=True)
class PortableRun:
    """A run's name and what trains it: the node ``node`` of a graph in the form of the host's prompts."""

    name: str
    node: str
    graph: Graph
    sets: Mapping[str, Any]  # by the input of the node: what ``recorded_set`` gave

    def write(self, folder: Path) -> Path:
        """Write it into the run's folder.

        Raises:
            OSError: the file cannot be written.
        """
        values = {"name": self.name, "node": self.node, "graph": self.graph, "sets": dict(self.sets)}
        return write_json(folder / FILE, {"format": FORMAT, **values})

    @classmethod
    def read(cls, path: Path) -> PortableRun:
        """Read what was written.

        Raises:
            ValueError: the file is missing, damaged or of another kind.
        """
        try:
            return cls.of(read_json(path))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path.name} of the run does not say how it is trained ({error}); queue its Train node once more in "
                "ComfyUI, which writes it"
            ) from error

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> PortableRun:
        """The same from values.

        Raises:
            ValueError, KeyError, TypeError: they are of another kind.
        """
        if values["format"] != FORMAT:
            raise ValueError("it is of another kind")
        graph = graph_of(values["graph"])
        if values["node"] not in graph:
            raise ValueError("its graph lacks the Train node")
        return cls(str(values["name"]), values["node"], graph, dict(values["sets"]))

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as ``of`` takes them."""
        return {"format": FORMAT, **{name: getattr(self, name) for name in ("name", "node", "graph", "sets")}}


def portable_run(name: str, prompt: Mapping[str, Any], node: str, sets: Mapping[str, EncodedDataset]) -> PortableRun:
    """Take down a run.

    Args:
        name: The run's.
        prompt: The graph as the host executes it.
        node: Id of the node that trains.
        sets: Its data, by the names of its inputs.

    Raises:
        ValueError: the node is not in the graph, as one that another node has made is not.
    """
    graph = graph_of(prompt)
    if node not in graph:
        raise ValueError("another node has made the Train node")
    return PortableRun(name, node, upstream(graph, node), {key: recorded_set(encoded) for key, encoded in sets.items()})


def recorded_set(encoded: EncodedDataset) -> dict[str, Any]:
    """A data set and its encoders as plain values: all that the keys of its entries in the cache are made of."""
    data, vision = encoded.dataset, encoded.vision
    return {
        "width": data.width,
        "height": data.height,
        "fps": data.fps,
        "video": encoded.encoder_key,
        "text": encoded.text_key,
        "frame_by_frame": encoded.frame_by_frame,
        "vision": None if vision is None else {"key": vision.key, "channels": vision.channels},
        "samples": [_recorded(sample) for sample in data.samples],
    }


def recalled_set(values: Mapping[str, Any], cache: Path) -> EncodedDataset:
    """The data set again, without encoders: what the cache does not hold is missed with a sentence.

    Args:
        values: What ``recorded_set`` gave.
        cache: Folder of the entries.

    Raises:
        KeyError, TypeError, ValueError: the values are of another kind.
    """
    samples = tuple(_recalled(sample) for sample in values["samples"])
    data = Dataset(samples, int(values["width"]), int(values["height"]), float(values["fps"]), "")
    vision = values["vision"]
    return EncodedDataset(
        data,
        encode_video=_no_encoder,
        encode_text=_no_caption,
        encoder_key=str(values["video"]),
        cache_dir=cache,
        release=lambda: None,
        text_key=str(values["text"]),
        frame_by_frame=bool(values["frame_by_frame"]),
        vision=None if vision is None else VisionEncoder(_no_encoder, int(vision["channels"]), str(vision["key"])),
    )


def _no_encoder(_pixels: Tensor) -> Tensor:
    raise NotEncodedError(NOT_HERE.format("a clip"))


def _no_caption(text: str) -> dict[str, Tensor]:
    raise NotEncodedError(NOT_HERE.format(f"the caption {text[:60]!r}"))


def _recorded(sample: Sample) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: getattr(sample, name) for name in ("caption", "reference_caption", "name", "fps", "action")
    }
    found["size"] = None if sample.size is None else list(sample.size)
    found["target"] = _clip(sample.target)
    found["conditions"] = [_clip(clip) for clip in sample.conditions]
    found["reference"] = None if sample.reference is None else _clip(sample.reference)
    return found


def _clip(clip: Clip) -> dict[str, Any]:
    former = getattr(clip, "former_key", clip.key)()
    return {"keys": [clip.key(), content_of(clip), former], "count": clip_length(clip)}


def _recalled(values: Mapping[str, Any]) -> Sample:
    name = str(values["name"])

    def clip(found: Mapping[str, Any]) -> KnownClip:
        key, content, former = found["keys"]
        return KnownClip(name, (key, content, former), int(found["count"]))

    reference, size = values["reference"], values["size"]
    return Sample(
        clip(values["target"]),
        values["caption"],
        tuple(clip(condition) for condition in values["conditions"]),
        None if reference is None else clip(reference),
        values["reference_caption"],
        name,
        float(values["fps"]),
        None if size is None else (int(size[0]), int(size[1])),
        values["action"],
    )
