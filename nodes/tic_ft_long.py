"""TIC-FT on videos of any length: windows that go on from one another, written to a file as they are made."""

from __future__ import annotations

from comfy_api.latest import InputImpl, io

from .host.model.video_model import video_model
from .host.sampling.context import ContextRequest
from .host.sampling.long_plan import USUAL, LongRequest
from .host.sampling.long_video import Solver, make_long_video
from .sockets import Node, fixed_seed, layout_inputs


class TICFTLongVideo(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="TICFTLongVideo",
            display_name="TIC-FT Long Video",
            category="FewShot Video/TIC-FT",
            description=(
                "Makes a video of any length with a TIC-FT LoRA. Each window goes on from the end of the one before "
                "and is written to a file, so that memory hardly grows with the length. What is there when it is "
                "cancelled stays, and the next run goes on there."
            ),
            search_aliases=["long video", "any length", "sliding windows", "video extension", "restyle a whole clip"],
            is_output_node=True,
            inputs=[
                io.Model.Input("model", tooltip="Video model with a TIC-FT LoRA; it needs no TIC-FT Context."),
                io.Vae.Input("vae", tooltip="The model's own video VAE."),
                io.Conditioning.Input("positive", tooltip="The caption of all windows, from CLIP Text Encode."),
                io.Conditioning.Input("negative", tooltip="The negative caption."),
                io.Sampler.Input("sampler", tooltip="Any sampler, from KSamplerSelect."),
                io.Sigmas.Input("sigmas", tooltip="Noise levels of each window's sampling, from Basic Scheduler."),
                io.MultiType.Input(
                    "source",
                    types=[io.Image, io.Video],
                    tooltip="video to video: a clip of any length; a VIDEO from a file is read on the way. "
                    "image to video: one image. keyframes: images, spread evenly over the video.",
                ),
                io.Combo.Input("task", options=list(USUAL), tooltip="The task the LoRA was trained for."),
                io.Int.Input("width", default=832, min=16, max=8192, step=16, tooltip="Width of the video, pixels."),
                io.Int.Input("height", default=480, min=16, max=8192, step=16, tooltip="Height of the video, pixels."),
                io.Float.Input(
                    "cfg", default=5.0, min=0.0, max=100.0, step=0.1, tooltip="Guidance scale (no unit); 1 is none."
                ),
                fixed_seed("the noise of all windows"),
                io.String.Input(
                    "filename",
                    default="long_video",
                    tooltip="Name of the video below output/fewshot_video/long_videos; a number is put behind it.",
                ),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=10_000_000,
                    optional=True,
                    tooltip="Length of the whole video, frames. 0: as long as the source; one window for an image; for "
                    "key frames as close together as in training.",
                ),
                io.Int.Input(
                    "overlap_latents",
                    default=2,
                    min=0,
                    max=64,
                    optional=True,
                    tooltip="Latent frames that end a window and are held clean at the start of the next. More: calmer "
                    "seams and more windows. 0: windows that know nothing of each other.",
                ),
                io.Int.Input(
                    "window_frames",
                    default=0,
                    min=0,
                    max=1024,
                    optional=True,
                    tooltip="Frames that a window generates, its overlap included. 0: as trained, or the task's.",
                ),
                io.Float.Input(
                    "fps",
                    default=0.0,
                    min=0.0,
                    max=1000.0,
                    step=0.01,
                    optional=True,
                    tooltip="Frames a second, of the video and of a VIDEO's frames. 0: the LoRA's, else the source's.",
                ),
                *layout_inputs("a source of another size is"),
                io.Latent.Input(
                    "goes_on_from",
                    optional=True,
                    tooltip="LATENT of an earlier TIC-FT Long Video, also one that was saved and loaded: the video "
                    "goes on behind it. Only the new frames are in the file.",
                ),
                io.Int.Input(
                    "start_frame",
                    default=-1,
                    min=-1,
                    max=10_000_000,
                    optional=True,
                    tooltip="With goes_on_from: frames of the video up to its end. -1: it says so itself, and one that "
                    "was loaded does not.",
                ),
                io.Model.Input("model_2", optional=True, tooltip="Second expert of a two-expert model (Wan 2.2 14B)."),
                io.Sigmas.Input(
                    "sigmas_2",
                    optional=True,
                    tooltip="Noise levels that model_2 goes on with, the lower ones from Split Sigmas.",
                ),
                io.ClipVision.Input(
                    "clip_vision", optional=True, tooltip="For Wan 2.1 image-to-video models alone: CLIP ViT-H."
                ),
            ],
            outputs=[
                io.Video.Output(display_name="video", tooltip="The file that was written."),
                io.Latent.Output(display_name="latent", tooltip="Its last window, to go on from; not the whole video."),
                io.Int.Output(display_name="frames", tooltip="Frames of the video up to the end of that window."),
                io.String.Output(display_name="report", tooltip="What was made and where it is."),
            ],
        )

    @classmethod
    def execute(
        cls, model, vae, positive, negative, sampler, sigmas, source, task, width, height, cfg, seed, filename,
        frames=0, overlap_latents=2, window_frames=0, fps=0.0, settings=None, resize="crop", goes_on_from=None,
        start_frame=-1, model_2=None, sigmas_2=None, clip_vision=None,
    ) -> io.NodeOutput:  # fmt: skip
        solver = Solver(positive, negative, cfg, sampler, sigmas, seed, model_2, sigmas_2)
        context = ContextRequest(task, width, height, window_frames, resize=resize, settings=settings or {})
        request = LongRequest(context, frames, fps, overlap_latents, filename.strip(), start_frame)
        made = make_long_video(video_model(model), vae, solver, source, request, goes_on_from, clip_vision)
        return io.NodeOutput(InputImpl.VideoFromFile(made.path), made.latent, made.end, made.report)


NODES = [TICFTLongVideo]
