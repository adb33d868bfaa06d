"""TIC-FT sampling nodes: lay out a sequence, crop what comes out, and write the caption."""

from __future__ import annotations

from comfy_api.latest import io

from ..methods import tic_ft_tasks
from .host.model.video_model import video_model
from .host.page.timeline import timeline_of_context
from .host.sampling import context as host_context
from .host.sampling.conditions import read_conditions
from .host.sampling.crop import check_origin, crop
from .sockets import Node, TicftSettings, layout_inputs

TASK_NAMES = list(tic_ft_tasks.TASKS)
CATEGORY = "FewShot Video/TIC-FT"


class TICFTContext(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TICFTContext",
            display_name="TIC-FT Context",
            category=CATEGORY,
            description=(
                "Puts condition and buffer frames in front of the frames to generate, so that the video "
                "follows the condition. Sample with any sampler, decode, then crop with TIC-FT Crop."
            ),
            search_aliases=["temporal in-context", "image to video", "condition frames", "buffer frames"],
            inputs=[
                io.Model.Input(
                    "model",
                    tooltip="Video model, with or without a TIC-FT LoRA. It is not changed. Of LTX-2 the video stream "
                    "alone, without sound.",
                ),
                io.Vae.Input("vae", tooltip="The model's own video VAE; it encodes the conditions."),
                io.Combo.Input(
                    "task",
                    options=TASK_NAMES,
                    tooltip="What the condition is and how it fills the first latents.",
                ),
                io.Int.Input("width", default=832, min=16, max=8192, step=16, tooltip="Width of the video, pixels."),
                io.Int.Input("height", default=480, min=16, max=8192, step=16, tooltip="Height of the video, pixels."),
                io.Int.Input(
                    "target_frames",
                    default=36,
                    min=1,
                    max=1024,
                    tooltip="Frames of video to generate, a multiple of 4 (4n+1 without any condition); of 8 on LTX.",
                ),
                *_conditions("image or clip"),
                io.Int.Input(
                    "condition_latents",
                    default=-1,
                    min=-1,
                    max=64,
                    optional=True,
                    tooltip="Clean latent frames. -1: as trained, or the task's. 0: none.",
                ),
                io.Int.Input(
                    "buffer_latents",
                    default=-1,
                    min=-1,
                    max=64,
                    optional=True,
                    tooltip="Buffer latent frames, frozen at rising noise levels. "
                    "-1: as trained, or the task's. 0: none.",
                ),
                io.String.Input(
                    "buffer_levels",
                    default="",
                    optional=True,
                    tooltip="Noise level (sigma, 0 to 1) of each buffer, rising, like 0.25, 0.5, 0.75. "
                    "Empty: as trained, or evenly rising.",
                ),
                io.Int.Input(
                    "batch_size",
                    default=1,
                    min=1,
                    max=64,
                    optional=True,
                    tooltip="Videos to generate at once.",
                ),
                io.Model.Input(
                    "model_2",
                    optional=True,
                    tooltip="Second expert of a two-expert model; it gets the same context.",
                ),
                *layout_inputs("conditions of another size are"),
                io.Combo.Input(
                    "encoding",
                    options=[host_context.AS_TRAINED, *host_context.ENCODINGS],
                    default=host_context.AS_TRAINED,
                    optional=True,
                    tooltip="separate: each condition is encoded on its own. joint: as one clip, as the authors do; "
                    "sources bleed into each other. as trained: what the settings say, separate without any.",
                ),
                io.Combo.Input(
                    "timesteps",
                    options=[host_context.AS_TRAINED, *host_context.TIMESTEPS],
                    default=host_context.AS_TRAINED,
                    optional=True,
                    tooltip="The timestep that the model gets. One for all frames is the paper's way; one per frame "
                    "suits only a LoRA trained so. as trained: what the settings say, one for all without any.",
                ),
                io.ClipVision.Input(
                    "clip_vision",
                    optional=True,
                    tooltip="For Wan 2.1 image-to-video models alone: CLIP ViT-H, whose features of the first "
                    "condition frame they take.",
                ),
                io.Combo.Input(
                    "buffer_steps",
                    options=list(host_context.BUFFER_STEPS),
                    default="automatic",
                    optional=True,
                    tooltip="How buffers begin to move. exact: at a step of their own, up to one more a buffer. "
                    "no extra steps: within the sampler's steps. automatic: the latter where a step is large, as in "
                    "runs of 8.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="To the sampler."),
                io.Latent.Output(display_name="latent", tooltip="To the sampler and to TIC-FT Crop."),
                io.Model.Output(display_name="model_2", tooltip="model_2 with the same context, else the first model."),
            ],
        )

    @classmethod
    def execute(
        cls, model, vae, task, width, height, target_frames, condition=None, condition_2=None, condition_3=None,
        condition_4=None, condition_latents=-1, buffer_latents=-1, buffer_levels="", batch_size=1, model_2=None,
        settings=None, resize="crop", encoding=host_context.AS_TRAINED, timesteps=host_context.AS_TRAINED,
        clip_vision=None, buffer_steps="automatic",
    ) -> io.NodeOutput:  # fmt: skip
        settings, video = settings or {}, video_model(model)
        request = host_context.ContextRequest(
            task, width, height, target_frames, condition_latents, buffer_latents, buffer_levels, batch_size,
            resize, encoding, timesteps, settings, buffer_steps,
        )  # fmt: skip
        clips = (condition, condition_2, condition_3, condition_4)
        images, lengths = read_conditions(clips, request, video.family)
        context, latent = host_context.build_context(video, vae, images, lengths, request, clip_vision)
        first, second = host_context.put_on_experts(context, video, model_2)
        return io.NodeOutput(first, latent, second, ui=timeline_of_context(video, lengths, request, latent))


CONDITIONS = ("condition", "condition_2", "condition_3", "condition_4")


def _conditions(what: str) -> list[io.MultiType.Input]:
    return [
        io.MultiType.Input(
            name,
            types=[io.Image, io.Video],
            optional=True,
            tooltip=f"Condition {number}: {what}, any size. The task says which sockets it reads.",
        )
        for number, name in enumerate(CONDITIONS, 1)
    ]


class TICFTCrop(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TICFTCrop",
            display_name="TIC-FT Crop",
            category=CATEGORY,
            description="Keeps the generated frames of a decoded TIC-FT sequence and drops the condition.",
            inputs=[
                io.Image.Input("images", lazy=True, tooltip="All frames from VAE Decode."),
                io.Latent.Input(
                    "latent",
                    lazy=True,
                    tooltip="The sampler's LATENT (or that of TIC-FT Context); it carries the layout.",
                ),
                io.Combo.Input(
                    "keep",
                    options=["target", "condition and buffer", "everything"],
                    default="target",
                    tooltip="Which frames to keep.",
                ),
            ],
            outputs=[io.Image.Output(display_name="images", tooltip="The frames kept.")],
            hidden=[io.Hidden.dynprompt, io.Hidden.unique_id],
        )

    @classmethod
    def check_lazy_status(cls, images=None, latent=None, **_) -> list[str]:
        """Nothing is needed until the graph shows that the layout can arrive: sampling takes long."""
        if latent is None:
            check_origin(cls.hidden.dynprompt, cls.hidden.unique_id)
        return [name for name, value in (("images", images), ("latent", latent)) if value is None]

    @classmethod
    def execute(cls, images, latent, keep) -> io.NodeOutput:
        return io.NodeOutput(crop(images, latent, keep))


class TICFTPrompt(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TICFTPrompt",
            display_name="TIC-FT Prompt",
            category=CATEGORY,
            description=(
                "Writes a caption in the form TIC-FT LoRAs are trained with: what the condition shows, then "
                "what the video shows."
            ),
            inputs=[
                io.Combo.Input("task", options=TASK_NAMES, tooltip="The same task as in TIC-FT Context."),
                io.String.Input(
                    "condition_text",
                    multiline=True,
                    default="",
                    tooltip="What the condition shows. May stay empty.",
                ),
                io.String.Input("target_text", multiline=True, default="", tooltip="What the video is to show."),
                TicftSettings.Input(
                    "settings",
                    optional=True,
                    tooltip="From TIC-FT Load LoRA or TIC-FT Train: the caption form it was trained with.",
                ),
            ],
            outputs=[io.String.Output(display_name="caption", tooltip="To CLIP Text Encode.")],
        )

    @classmethod
    def execute(cls, task, condition_text, target_text, settings=None) -> io.NodeOutput:
        template = (settings or {}).get("caption_template")
        return io.NodeOutput(tic_ft_tasks.caption(task, condition_text, target_text, template))


NODES = [TICFTContext, TICFTCrop, TICFTPrompt]
