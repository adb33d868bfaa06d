"""The workflows of Tune-A-Video: one clip is tuned on, inverted, and made again with three other captions."""

from __future__ import annotations

from dataclasses import dataclass

from workflow_files.graph import WIDTH, Graph, Node, Wire
from workflow_files.models import CLIP, OTHER_STEP
from workflow_files.steps import RED, WIDE, Base, Sampling, add_text, add_video, own_clip
from workflow_files.toy import LOAD_NOTE, add_clips

TOY, SD15 = "tune_a_video_toy", "tune_a_video_sd15"
TUNED = "my_clip_00001_.safetensors"
FRAMES = 24
STEPS = 50  # of the inversion and of the sampler, which must be as many
SAMPLER, SCHEDULER = "ddim", "normal"
CHECKPOINT = "v1-5-pruned-emaonly-fp16.safetensors"

TRAIN_NOTE = """
Only the queries and the new temporal attention are trained, and only they are saved, in `output/tune_a_video`.
A finished run is kept: it is not trained again until you change its seed, its settings or the clip. Another clip needs
another `run_name`, if you give one.
"""
INVERT_NOTE = """
The clip is walked back to the noise it comes from, with an empty caption and without guidance. The samplers
start from that noise with `add_noise` off, so they must have the same steps and scheduler.
"""
CLIP_NOTE = f"""
Of your clip {FRAMES} frames are taken, 12 a second, whatever rate it was shot at: the motion keeps its pace. `start`
leaves out seconds at the beginning.
"""
TUNED_NOTE = f"""
{TUNED} stands for the file of your own run. The clip must be the same as then.
"""
EDIT_NOTE = """
From left to right: the clip, another subject, another background, another style. Change the captions; the nearer
they are to the clip's own, the better its motion is kept.
"""
FILES_NOTE = f"""
File: `models/checkpoints/` {CHECKPOINT}, from huggingface.co/Comfy-Org/stable-diffusion-v1-5-archive

Every Stable Diffusion 1.x or 2.x checkpoint will do, 2.x with v-prediction too.

No file at hand? Open [{TOY}].
"""


@dataclass(frozen=True)
class Edits:
    """Captions: that of the clip, and those it is made again with."""

    clip: str
    subject: str
    background: str
    style: str


@dataclass(frozen=True)
class Form:
    """Numbers that differ between the models."""

    learning_rate: float
    steps: int  # of the tuning
    cfg: float
    fps: float


def _train(graph: Graph, base: Base, clip: Node, form: Form) -> Node:
    """Step Tune; the trainer has a column of its own, because it is high."""
    data = {"dataset": clip["dataset"], "vae": base.vae, "clip": base.clip}
    encoded = graph.add("FewShotEncodeDataset", size=WIDE, **data)["encoded"]
    graph.note(TRAIN_NOTE, width=340)
    graph.column()
    numbers = {"learning_rate": form.learning_rate, "steps": form.steps, "seed": 0, "frames": FRAMES}
    inputs = {"model": base.model, "encoded": encoded, "vae": base.vae}
    tuned = graph.add("TuneAVideoTrain", size=WIDE, **inputs, **numbers)
    graph.column()
    graph.add("LossGraphNode", loss=tuned["loss"], filename_prefix=f"loss/{graph.name}")
    graph.add("PreviewAny", source=tuned["path"], title="Where it was saved")
    return tuned


def _apply(graph: Graph, model: Wire, tuned: Wire) -> Wire:
    """A model with what was tuned."""
    return graph.add("TuneAVideoApply", model=model, tuned=tuned, strength=1.0)["model"]


def _invert(graph: Graph, base: Base, frames: Wire, model: Wire) -> tuple[Wire, Wire, Wire]:
    """Step Invert: the tuned model, the empty caption and the noise."""
    latent = graph.add("VAEEncode", pixels=frames, vae=base.vae)["LATENT"]
    empty = add_text(graph, base, "", "Empty caption", RED)
    graph.column()
    inputs = {"model": model, "conditioning": empty, "latent": latent}
    inverted = graph.add("FewShotInversion", steps=STEPS, scheduler=SCHEDULER, size=WIDE, **inputs)
    graph.note(INVERT_NOTE, width=340)
    return model, empty, inverted["latent"]


def _edit(graph: Graph, base: Base, prepared: tuple[Wire, Wire, Wire], caption: str, title: str, cfg: float) -> Wire:
    """A column of step Edit: the clip once more with a caption; its frames."""
    model, empty, noise = prepared
    positive = add_text(graph, base, caption, title)
    sampled = graph.add(
        "KSamplerAdvanced",
        model=model,
        add_noise="disable",
        noise_seed=0,
        steps=STEPS,
        cfg=cfg,
        sampler_name=SAMPLER,
        scheduler=SCHEDULER,
        positive=positive,
        negative=empty,
        latent_image=noise,
        start_at_step=0,
        end_at_step=10000,
        return_with_leftover_noise="disable",
    )["LATENT"]
    return graph.add("VAEDecode", samples=sampled, vae=base.vae)["IMAGE"]


def _edits(graph: Graph, base: Base, frames: Wire, prepared: tuple[Wire, Wire, Wire], edits: Edits, form: Form) -> None:
    """Step Edit: three edits, beside the clip in one video."""
    made = []
    for title, caption in (("Subject", edits.subject), ("Background", edits.background), ("Style", edits.style)):
        made.append(_edit(graph, base, prepared, caption, title, form.cfg))
        graph.column()
    row = frames
    for part in made:
        stitch = {"direction": "right", "match_image_size": True, "spacing_width": 4, "spacing_color": "white"}
        row = graph.add("ImageStitch", image1=row, image2=part, **stitch)["IMAGE"]
    graph.column()
    add_video(graph, row, form.fps, f"video/{graph.name}")
    graph.note(EDIT_NOTE)


def _first_frames(graph: Graph, images: Wire) -> Wire:
    return graph.add("ImageFromBatch", image=images, batch_index=0, length=FRAMES)["IMAGE"]


def toy() -> Graph:
    """On the toy image model."""
    graph = Graph(TOY, TOY_SUMMARY)
    edits = Edits(
        "a green disc on a black background",
        "a green square on a black background",
        "a green disc on a white background",
        "a blueprint of a disc",
    )
    form = Form(learning_rate=3e-4, steps=300, cfg=4.0, fps=12.0)
    with graph.group("Load"):
        node = graph.add("FewShotToyImageModel")
        base = Base(node["model"], node["clip"], node["vae"])
        graph.note(
            LOAD_NOTE.replace("**Load Diffusion Model**, **Load CLIP** and\n**Load VAE**", "**Load Checkpoint**")
        )
    with graph.group("Data"):
        drawn = add_clips(graph, "one clip", "training", 1)
        item = graph.add("FewShotDatasetItem", dataset=drawn, index=0, title="A toy clip")
        frames = _first_frames(graph, item["target"])
        graph.column()
        clip = graph.add("FewShotDatasetClip", target=frames, caption=edits.clip, size=WIDE)
        graph.note("The caption says what the clip shows and nothing of how it moves.", width=340)
    with graph.group("Tune"):
        tuned = _train(graph, base, clip, form)
        model = _apply(graph, base.model, tuned["tuned"])
    with graph.group("Invert"):
        prepared = _invert(graph, base, frames, model)
    with graph.group("Edit"):
        _edits(graph, base, frames, prepared, edits, form)
    return graph


def _own_clip(graph: Graph) -> tuple[Node, Wire]:
    """The user's clip at the model's size and rate: as a dataset, and its frames."""
    video = graph.add("LoadVideo", file=CLIP, size=(WIDTH, 360))["VIDEO"]
    graph.column()
    sampling = Sampling(512, 512, FRAMES, SD15_FORM.fps, STEPS, SD15_FORM.cfg)
    clip = own_clip(graph, video, SD15_EDITS.clip, FRAMES, sampling)
    graph.note(CLIP_NOTE)
    return clip, graph.add("FewShotDatasetItem", dataset=clip["dataset"], index=0, title="Its frames")["target"]


def sd15() -> Graph:
    """With the file names of Stable Diffusion 1.5."""
    graph = Graph(SD15, SD15_SUMMARY)
    with graph.group("Load"):
        node = graph.add("CheckpointLoaderSimple", ckpt_name=CHECKPOINT, size=WIDE)
        graph.note(FILES_NOTE, width=340)
        base = Base(node["MODEL"], node["CLIP"], node["VAE"])
    with graph.group("Data"):
        clip, frames = _own_clip(graph)
    with graph.group("Tune"):
        tuned = _train(graph, base, clip, SD15_FORM)
        graph.column()
        model = _apply(graph, base.model, tuned["tuned"])
    with graph.group("Or what was tuned before", bypassed=True):
        loaded = graph.add("TuneAVideoLoad", name=TUNED, size=WIDE)["tuned"]
        model = _apply(graph, model, loaded)
        graph.note(OTHER_STEP.format(step=3) + TUNED_NOTE, width=340)
    with graph.group("Invert"):
        prepared = _invert(graph, base, frames, model)
    with graph.group("Edit"):
        _edits(graph, base, frames, prepared, SD15_EDITS, SD15_FORM)
    return graph


SD15_EDITS = Edits(
    "a man is skiing",
    "Spider Man is skiing",
    "a man is skiing on the beach",
    "a man is skiing, watercolour painting",
)
SD15_FORM = Form(learning_rate=3e-5, steps=500, cfg=12.5, fps=12.0)
TOY_SUMMARY = """
Press **Run**. The graph

1. loads the toy image model, which knows no motion at all,
2. draws one clip of a moving shape,
3. tunes the model on that clip and its caption,
4. walks the clip back to the noise it comes from,
5. makes it again with another subject, another background and another style.

Nothing has to be downloaded.

**Change** the clip's seed in step 2, steps and learning rate in step 3, the captions in step 5.

**Out comes** one video in `output/video`: the clip and its three edits, side by side.
"""
SD15_SUMMARY = f"""
One clip and its caption go in; that motion with another subject, place or style comes out.

**Load** the checkpoint of step 1 and a clip of at least {FRAMES} frames in step 2, write its caption there, then press
**Run**. Steps, rate and guidance are those of the paper (arXiv 2212.11565).

**Change** the captions in step 6. Steps 3 and 5 are not run again for that.

**Again**, with what was tuned before: bypass step 3 and take step 4 in its place, as its note says.

**Out comes** one video in `output/video`: the clip and three edits, side by side. What was tuned is in
`output/tune_a_video`.
"""


def tune_a_video_workflows() -> list[Graph]:
    """All of them."""
    return [toy(), sd15()]
