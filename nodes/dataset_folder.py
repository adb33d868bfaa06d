"""Data from a folder: clips with captions, conditions and references, and what became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from comfy_api.latest import io, ui

from ..training.data.buckets import BUCKETS, ONE_SIZE
from ..training.data.folder import read_folder
from ..training.data.leading import AUTOMATIC
from ..training.data.media.options import DEFAULT, HDR, ReadOptions
from ..training.storage.known_files import files_known
from .host.services import folders, templates
from .host.services.dataset_table import table_of
from .host.services.node_text import show_text
from .host.services.progress import encoding_progress
from .sockets import Dataset, Node, background

CATEGORY = "FewShot Video/data"


class FewShotDatasetFolder(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotDatasetFolder",
            display_name="Dataset from Folder",
            category=CATEGORY,
            description=(
                "Reads NAME.mp4 (or another video, an animated GIF, WebP, PNG or AVIF) or a folder NAME of pictures, "
                "with the caption in NAME.txt. "
                "Beside it: NAME.condition, NAME.condition_2 … and NAME.reference with NAME.reference.txt. "
                "Or the data set of another trainer: TIC-FT's and finetrainers' lists, metadata.jsonl or .csv, "
                "Tune-A-Video's YAML, musubi-tuner's dataset.toml. "
                "The table on the node says what was changed or left out; queue this node alone to read it before "
                "anything is encoded."
            ),
            search_aliases=["load clips", "load videos", "training data", "dataset check", "buckets", "import dataset"],
            is_output_node=True,
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=folders.input_folders(),
                    tooltip="Folder below ComfyUI's input folder. Its files are looked at again at every queue; "
                    "of a linked folder edits are not noticed.",
                ),
                io.Int.Input(
                    "width",
                    default=480,
                    min=16,
                    max=8192,
                    step=16,
                    tooltip="Width of the clips in pixels; cropped around the centre.",
                ),
                io.Int.Input(
                    "height",
                    default=480,
                    min=16,
                    max=8192,
                    step=16,
                    tooltip="Height of the clips in pixels; cropped around the centre.",
                ),
                io.Int.Input(
                    "frames",
                    default=36,
                    min=1,
                    max=4096,
                    tooltip=(
                        "Frames of each target, from its start. Shorter clips are left out. TIC-FT wants 4 "
                        "for each target latent: 36 for image to video, else 24."
                    ),
                ),
                io.Float.Input(
                    "fps",
                    default=16.0,
                    min=0.1,
                    max=240.0,
                    step=0.01,
                    tooltip=(
                        "Frames a second; clips of another rate are resampled by their timestamps. "
                        "Pictures are taken as they are."
                    ),
                ),
                io.Int.Input(
                    "condition_frames",
                    default=49,
                    min=1,
                    max=4096,
                    optional=True,
                    tooltip=(
                        "Longest condition or reference in frames; longer ones lose their end. The five "
                        "tasks read at most 25."
                    ),
                ),
                io.Combo.Input(
                    "buckets",
                    options=list(BUCKETS),
                    default=ONE_SIZE,
                    optional=True,
                    tooltip=(
                        "one size: width x height and so many frames for all. by aspect: clips of other shapes get "
                        "other sizes of no more pixels. and length: shorter clips, down to a third of the frames, "
                        "are used too, 4 frames apart."
                    ),
                ),
                io.Int.Input(
                    "multiple",
                    default=16,
                    min=16,
                    max=128,
                    step=16,
                    optional=True,
                    tooltip="Sides of the buckets' sizes are multiples of this, in pixels: 16, for Wan 2.2 5B 32.",
                ),
                background(),
                io.Combo.Input(
                    "hdr",
                    options=list(HDR),
                    default=DEFAULT.hdr,
                    optional=True,
                    tooltip="Clips in HDR (PQ or HLG, as phones record). tone-map: bring them to the colours of SDR, "
                    "BT.709, by FFmpeg's filter. refuse: leave them out with a sentence.",
                ),
                io.Int.Input(
                    "leading_condition",
                    default=AUTOMATIC,
                    min=AUTOMATIC,
                    max=4096,
                    optional=True,
                    tooltip="Frames at the start of each clip's file that are its condition and not its target, as in "
                    "TIC-FT's data. -1: 13 where a list (prompt.txt, videos.txt) names a clip that begins with them "
                    "held still, else none. 0: none. 25: for clips of video to video.",
                ),
            ],
            outputs=[
                Dataset.Output(display_name="dataset", tooltip="Holds paths; a clip is decoded when it is needed."),
                io.String.Output(display_name="report", tooltip="What was found, resampled, trimmed and left out."),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None = None) -> bool | str:
        if folder is None:  # linked: known only when it runs, and checked again then
            return True
        try:
            folders.input_folder(folder)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = None, **_settings: Any) -> str:
        if folder is None:  # linked: known only when it runs
            return ""
        return folders.folder_fingerprint(folders.input_folder(folder))

    @classmethod
    def execute(
        cls,
        folder,
        width,
        height,
        frames,
        fps,
        condition_frames=49,
        buckets=ONE_SIZE,
        multiple=16,
        background=DEFAULT.background,
        hdr=DEFAULT.hdr,
        leading_condition=AUTOMATIC,
    ) -> io.NodeOutput:
        asked = (width, height, frames, fps, condition_frames, buckets, multiple)
        options = ReadOptions(background, hdr)
        try:
            root = folders.input_root()
            place, bar = folders.input_folder(folder), encoding_progress()
            with files_known(folders.cache_folder()):
                found = read_folder(place, *asked, bar, root, options, leading_condition)
                table = table_of(found)
        except ValueError as error:
            show_text(str(error))  # in place of the last report
            raise
        show_text(found.report.partition("\n")[0])  # the table has the rest
        return io.NodeOutput(found, found.report, ui={**ui.PreviewText(found.report).as_dict(), **table})


class FewShotTemplateClips(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotTemplateClips",
            display_name="Template Clips",
            category=CATEGORY,
            description=(
                "Real footage that comes with ComfyUI: clips of its templates that edit a video, as pairs. The result "
                "is the target, what the template was given its condition, its prompt the caption."
            ),
            search_aliases=["sample clips", "real footage", "video pairs"],
            inputs=[
                io.Int.Input("width", default=336, min=16, max=8192, step=16, tooltip="Width of the clips (pixels)."),
                io.Int.Input(
                    "height", default=336, min=16, max=8192, step=16, tooltip="Height of the clips in pixels."
                ),
                io.Int.Input(
                    "frames",
                    default=24,
                    min=1,
                    max=4096,
                    tooltip="Frames of each target, from its start; shorter clips are left out. Most have 45.",
                ),
                io.Float.Input(
                    "fps",
                    default=15.0,
                    min=0.1,
                    max=240.0,
                    step=0.01,
                    tooltip="Frames a second; clips of another rate are resampled by their timestamps.",
                ),
                io.Int.Input(
                    "count",
                    default=12,
                    min=0,
                    max=1000,
                    optional=True,
                    tooltip="Pairs that are taken, in the order of the templates' names (a count); 0: all.",
                ),
                io.Int.Input(
                    "condition_frames",
                    default=25,
                    min=1,
                    max=4096,
                    optional=True,
                    tooltip="Longest condition in frames; longer ones lose their end.",
                ),
            ],
            outputs=[
                Dataset.Output(display_name="dataset", tooltip="Holds paths; a clip is decoded when it is needed."),
                io.String.Output(display_name="report", tooltip="What was found, resampled, trimmed and left out."),
            ],
        )

    @classmethod
    def execute(cls, width, height, frames, fps, count=12, condition_frames=25) -> io.NodeOutput:
        asked, pairs = (width, height, frames, fps, condition_frames), templates.template_pairs(count or None)
        found = read_folder(Path(templates.PACKAGE), *asked, progress=encoding_progress(), files=pairs)
        return io.NodeOutput(found, found.report)


NODES = [FewShotDatasetFolder, FewShotTemplateClips]
