"""The embedded default: tiny models and endless clips of their world, nothing to download."""

from __future__ import annotations

from comfy_api.latest import io

from ..toy import clips
from .host.model import toy as host_toy
from .host.model import toy_image
from .sockets import Dataset, Node

CATEGORY = "FewShot Video/toy"


class FewShotToyVideoModel(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotToyVideoModel",
            display_name="Toy Video Model",
            category=CATEGORY,
            description=(
                "A tiny Wan 2.1 model that comes with the pack: coloured shapes moving on plain backgrounds, "
                "64 x 64 pixels, up to 49 frames. Use it to try every workflow with nothing to download."
            ),
            search_aliases=["demo model", "test model", "tiny wan"],
            inputs=[
                io.Combo.Input(
                    "detail",
                    options=list(host_toy.DETAILS),
                    default=host_toy.COARSE,
                    optional=True,
                    tooltip=(
                        "Size of a token. coarse: 16 x 16 pixels, fast, trained with one noise level for all frames. "
                        "fine: 8 x 8 pixels, four times as many, trained with a level per frame; it keeps the shape of "
                        "a condition."
                    ),
                ),
            ],
            outputs=[
                io.Model.Output(
                    display_name="model",
                    tooltip="Video model; prompt it like: a red disc slides left slowly on a grey background.",
                ),
                io.Clip.Output(display_name="clip", tooltip="Its text encoder."),
                io.Vae.Output(display_name="vae", tooltip="Its video VAE, 8 x smaller in space and 4 x in time."),
            ],
        )

    @classmethod
    def execute(cls, detail=host_toy.COARSE) -> io.NodeOutput:
        return io.NodeOutput(host_toy.load_model(detail), host_toy.load_clip(), host_toy.load_vae())


class FewShotToyImageModel(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotToyImageModel",
            display_name="Toy Image Model",
            category=CATEGORY,
            description=(
                "A tiny Stable Diffusion 1.x model that comes with the pack: a coloured shape on a plain background, "
                "64 x 64 pixels. Tune-A-Video makes it move."
            ),
            search_aliases=["demo model", "test model", "tiny stable diffusion"],
            inputs=[],
            outputs=[
                io.Model.Output(
                    display_name="model",
                    tooltip="Image model; prompt it like: a red disc on a grey background.",
                ),
                io.Clip.Output(display_name="clip", tooltip="Its text encoder."),
                io.Vae.Output(display_name="vae", tooltip="Its image VAE, 4 x smaller in width and height."),
            ],
        )

    @classmethod
    def execute(cls) -> io.NodeOutput:
        return io.NodeOutput(toy_image.load_image_model(), toy_image.load_image_clip(), toy_image.load_image_vae())


class FewShotToyClips(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotToyClips",
            display_name="Toy Clips",
            category=CATEGORY,
            description=(
                "A small data set of the toy world for one task, drawn from a seed: 64 x 64 pixels, 12 frames a second."
            ),
            search_aliases=["demo data", "synthetic clips"],
            inputs=[
                io.Combo.Input("kind", options=list(clips.KINDS), tooltip="What the pairs teach."),
                io.Int.Input("count", default=12, min=1, max=1000, tooltip="Number of clips (pairs)."),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFF,
                    control_after_generate=False,
                    tooltip="Decides which objects and motions; the same seed gives the same clips.",
                ),
                io.Combo.Input(
                    "split",
                    options=list(clips.SPLITS),
                    default="training",
                    optional=True,
                    tooltip="training: what the toy model has seen. held out: what it has not seen, for tests.",
                ),
                io.Combo.Input(
                    "objects",
                    options=list(clips.SIZES),
                    default="small",
                    optional=True,
                    tooltip="Their size. small: as the coarse toy model knows them. large: as the fine one does.",
                ),
            ],
            outputs=[Dataset.Output(display_name="dataset", tooltip="To Encode Dataset or Dataset Item.")],
        )

    @classmethod
    def execute(cls, kind, count, seed, split="training", objects="small") -> io.NodeOutput:
        samples = clips.make_samples(kind, count, seed, split, clips.SIZES[objects])
        return io.NodeOutput(host_toy.dataset_of(samples, kind))


NODES = [FewShotToyVideoModel, FewShotToyImageModel, FewShotToyClips]
