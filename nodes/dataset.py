"""Data: clips of the graph, a clip out of a dataset, and the handle that trainers encode by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from comfy_api.latest import io

from ..training.data.cut import make_cut
from ..training.data.media.options import DEFAULT
from .host.model import encoders
from .host.model.vision import vision_encoder
from .host.services.dataset_clip import add_clip
from .sockets import Dataset, Encoded, Node, background

if TYPE_CHECKING:
    from ..training.data import clips

CATEGORY = "FewShot Video/data"
CONDITIONS = ("condition", "condition_2", "condition_3", "condition_4")


class FewShotDatasetClip(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        def clip(name: str, tooltip: str, optional: bool = True) -> io.MultiType.Input:
            return io.MultiType.Input(name, [io.Image, io.Video], optional=optional, tooltip=tooltip)

        return io.Schema(
            node_id="FewShotDatasetClip",
            display_name="Dataset Clip",
            category=CATEGORY,
            description="Makes one captioned clip of the graph a dataset, or appends it to one.",
            search_aliases=["add clip", "training pair"],
            inputs=[
                clip(
                    "target",
                    "The video to learn, an IMAGE batch or a VIDEO. The first target decides the size "
                    "of the dataset in pixels and, as a VIDEO, its frames a second.",
                    optional=False,
                ),
                io.String.Input("caption", multiline=True, tooltip="What the target shows, in words."),
                *(
                    clip(
                        name,
                        f"Condition {i}: an image or a clip the target is made from; cropped to the "
                        "dataset's size in pixels.",
                    )
                    for i, name in enumerate(CONDITIONS, 1)
                ),
                clip(
                    "reference",
                    "Another clip of the same action, for AICL; cropped to the dataset's size in pixels.",
                ),
                io.String.Input(
                    "reference_caption",
                    default="",
                    multiline=True,
                    optional=True,
                    tooltip="What the reference shows, in words.",
                ),
                Dataset.Input(
                    "dataset",
                    optional=True,
                    tooltip=(
                        "Append to this dataset: its size in pixels and frames a second are kept, the new "
                        "clips are cropped and resampled to them."
                    ),
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=240.0,
                    step=0.01,
                    optional=True,
                    tooltip=(
                        "Frames a second that clips have that are IMAGE batches; they are resampled where the dataset "
                        "has another rate. 0: they have the dataset's rate, or 16. A VIDEO brings its own."
                    ),
                ),
                background(),
                *part_of_target(),
            ],
            outputs=[Dataset.Output(display_name="dataset", tooltip="The clip, after those of the connected dataset.")],
        )

    @classmethod
    def execute(
        cls,
        target,
        caption,
        reference=None,
        reference_caption="",
        dataset=None,
        fps=0.0,
        background=DEFAULT.background,
        resample_to=0.0,
        start=0.0,
        frames=0,
        width=0,
        height=0,
        **conditions,
    ) -> io.NodeOutput:
        given = [conditions[name] for name in CONDITIONS if conditions.get(name) is not None]
        return io.NodeOutput(
            add_clip(
                dataset,
                target,
                caption,
                conditions=given,
                reference=reference,
                reference_caption=reference_caption,
                fps=fps,
                background=background,
                resample_to=resample_to,
                cut=make_cut(start, frames, width, height),
            )
        )


def part_of_target() -> list[io.Input]:
    """Which part of the target is learned, at which rate and size; 0 everywhere leaves it as it is."""

    def number(name: str, most: int, tooltip: str) -> io.Input:
        return io.Int.Input(name, default=0, min=0, max=most, optional=True, tooltip=tooltip)

    def real(name: str, most: float, tooltip: str) -> io.Input:
        return io.Float.Input(name, default=0.0, min=0.0, max=most, step=0.01, optional=True, tooltip=tooltip)

    return [
        real(
            "resample_to",
            240.0,
            "Frames a second of a dataset that begins here: a VIDEO is brought to it by its own times, and so is "
            "an IMAGE batch whose rate fps tells. 0: the target's own.",
        ),
        real("start", 86400.0, "Seconds of the target that are left out at its beginning."),
        number("frames", 100_000, "Frames of the target that are taken, at the dataset's rate; 0: all to the end."),
        number("width", 16384, "Width of the dataset in pixels: the target is cropped to it. 0: the target's own."),
        number("height", 16384, "Height of the dataset in pixels: the target is cropped to it. 0: the target's own."),
    ]


class FewShotDatasetItem(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotDatasetItem",
            display_name="Dataset Item",
            category=CATEGORY,
            description="Takes one clip out of a dataset, to look at it or to use it as a condition.",
            search_aliases=["preview dataset", "get clip"],
            inputs=[
                Dataset.Input("dataset", tooltip="Dataset to take from."),
                io.Int.Input("index", default=0, min=0, max=1_000_000, tooltip="Number of the clip, counted from 0."),
            ],
            outputs=[
                io.Image.Output(display_name="target", tooltip="Frames of the target."),
                io.Image.Output(
                    display_name="condition",
                    tooltip="Frames of its first condition; one black frame where there is none.",
                ),
                io.Image.Output(
                    display_name="reference",
                    tooltip="Frames of its reference; one black frame where there is none.",
                ),
                io.String.Output(display_name="caption", tooltip="Caption of the target."),
                io.Int.Output(display_name="size", tooltip="Number of clips in the dataset."),
                *(
                    io.Image.Output(
                        display_name=name,
                        tooltip=f"Frames of its condition {i}; one black frame where there is none.",
                    )
                    for i, name in enumerate(CONDITIONS[1:], 2)
                ),
            ],
        )

    @classmethod
    def execute(cls, dataset, index) -> io.NodeOutput:
        sample = dataset[index]
        padded = (*sample.conditions, None, None, None, None)[: len(CONDITIONS)]
        size = sample.size or (dataset.width, dataset.height)
        first, *others = (frames_or_black(clip, *size) for clip in padded)
        reference = frames_or_black(sample.reference, *size)
        return io.NodeOutput(sample.target.frames(), first, reference, sample.caption, len(dataset), *others)


class FewShotEncodeDataset(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotEncodeDataset",
            display_name="Encode Dataset",
            category=CATEGORY,
            description=(
                "Hands a dataset, VAE and text encoder to a trainer. What must be encoded depends on the "
                "method, so the trainer encodes before its first step and frees the encoders; unchanged "
                "clips are never encoded twice."
            ),
            search_aliases=["latent cache", "cache latents"],
            inputs=[
                Dataset.Input("dataset", tooltip="Clips and captions."),
                io.Vae.Input("vae", tooltip="VAE of the model to train."),
                io.Clip.Input("clip", tooltip="Text encoder of the model to train."),
                io.Boolean.Input(
                    "cache",
                    default=True,
                    optional=True,
                    tooltip=(
                        "On: keep results in output/fewshot_video/cache between sessions. Off: keep them in memory."
                    ),
                ),
                io.Float.Input(
                    "cache_limit",
                    default=0.0,
                    min=0.0,
                    max=100000.0,
                    step=1.0,
                    optional=True,
                    tooltip="Most that the cache may hold (gigabytes): of more, what was used longest ago is removed. "
                    "0: no limit.",
                ),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="For Wan 2.1 image-to-video models alone: CLIP ViT-H, whose features of the first frame "
                    "they take.",
                ),
            ],
            outputs=[
                Encoded.Output(display_name="encoded", tooltip="To a Train node."),
                io.String.Output(display_name="report", tooltip="What will be encoded and where it is kept."),
            ],
        )

    @classmethod
    def execute(cls, dataset, vae, clip, cache=True, cache_limit=0.0, clip_vision=None) -> io.NodeOutput:
        vision = None if clip_vision is None else vision_encoder(clip_vision)
        return io.NodeOutput(*encoders.encode_dataset(dataset, vae, clip, cache, cache_limit, vision))


def frames_or_black(clip: clips.Clip | None, width: int, height: int) -> torch.Tensor:
    """Frames ``[T, H, W, 3]``; an IMAGE output cannot be empty, so nothing is one black frame."""
    return torch.zeros(1, height, width, 3) if clip is None else clip.frames()


NODES = [FewShotDatasetClip, FewShotDatasetItem, FewShotEncodeDataset]
