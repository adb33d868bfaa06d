"""Parts that several workflows share."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_files.graph import Canvas, Node, Wire

GREEN, RED = "#232", "#322"
WIDE = (340, None)


@dataclass(frozen=True)
class Base:
    """Outputs of whatever loads the base model."""

    model: Wire
    clip: Wire
    vae: Wire


@dataclass(frozen=True)
class Sampling:
    """Size of the video and settings of the sampler."""

    width: int  # pixels
    height: int  # pixels
    target_frames: int
    fps: float
    steps: int | Wire
    cfg: float
    seed: int | Wire = 0
    negative: str = ""
    sampler: str = "euler"


def own_clip(graph: Canvas, video: Wire, caption: str, frames: int, sampling: Sampling) -> Node:
    """The first frames of the user's VIDEO as a dataset, at the rate and size of the model."""
    part = {"resample_to": sampling.fps, "frames": frames, "width": sampling.width, "height": sampling.height}
    return graph.add("FewShotDatasetClip", target=video, caption=caption, size=WIDE, **part)


def add_prompt(graph: Canvas, base: Base, task: str, target: Wire | str, settings: Wire | None) -> Wire:
    """Caption in the form of the training, encoded; returns the conditioning."""
    known = {} if settings is None else {"settings": settings}
    prompt = graph.add("TICFTPrompt", task=task, condition_text="", target_text=target, size=WIDE, **known)
    return add_text(graph, base, prompt["caption"], "Caption")


def add_text(graph: Canvas, base: Base, text: Wire | str, title: str, color: str = GREEN) -> Wire:
    """An encoded text."""
    node = graph.add("CLIPTextEncode", clip=base.clip, text=text, title=title, size=WIDE, color=color)
    return node["CONDITIONING"]


def add_context(graph: Canvas, model: Wire, base: Base, task: str, sampling: Sampling, **inputs: Wire) -> Node:
    """The TIC-FT context of a task; ``inputs`` are its conditions and settings."""
    return graph.add(
        "TICFTContext",
        model=model,
        vae=base.vae,
        task=task,
        width=sampling.width,
        height=sampling.height,
        target_frames=sampling.target_frames,
        size=WIDE,
        **inputs,
    )


def add_sampler(graph: Canvas, context: Node, positive: Wire, negative: Wire, sampling: Sampling) -> Wire:
    """A stock KSampler on the context; returns its latent."""
    return _sample(graph, context["model"], positive, negative, context["latent"], sampling)


def add_text_to_video(
    graph: Canvas, base: Base, model: Wire, positive: Wire, negative: Wire, sampling: Sampling
) -> Wire:
    """Step Sample of a video from nothing but its caption; returns its frames, which are saved."""
    size = {"width": sampling.width, "height": sampling.height, "length": sampling.target_frames, "batch_size": 1}
    latent = graph.add("EmptyHunyuanLatentVideo", **size)["LATENT"]
    sampled = _sample(graph, model, positive, negative, latent, sampling)
    graph.column()
    made = graph.add("VAEDecode", samples=sampled, vae=base.vae)["IMAGE"]
    add_video(graph, made, sampling.fps, f"video/{graph.name}")
    return made


def _sample(graph: Canvas, model: Wire, positive: Wire, negative: Wire, latent: Wire, sampling: Sampling) -> Wire:
    """A stock KSampler; returns its latent."""
    node = graph.add(
        "KSampler",
        model=model,
        positive=positive,
        negative=negative,
        latent_image=latent,
        seed=sampling.seed,
        steps=sampling.steps,
        cfg=sampling.cfg,
        sampler_name=sampling.sampler,
        scheduler="simple",
        denoise=1.0,
    )
    return node["LATENT"]


def add_result(graph: Canvas, base: Base, latent: Wire, sampling: Sampling, prefix: str) -> Wire:
    """Decode, crop to the target frames, and save as a video; returns these frames."""
    decoded = graph.add("VAEDecode", samples=latent, vae=base.vae)
    cropped = graph.add("TICFTCrop", images=decoded["IMAGE"], latent=latent, keep="target")
    add_video(graph, cropped["images"], sampling.fps, prefix)
    return cropped["images"]


def add_video(graph: Canvas, images: Wire, fps: float, prefix: str, title: str | None = None) -> None:
    """Images as a saved video."""
    video = graph.add("CreateVideo", images=images, fps=fps)
    graph.add("SaveVideo", video=video["VIDEO"], filename_prefix=prefix, format="auto", codec="auto", title=title)
