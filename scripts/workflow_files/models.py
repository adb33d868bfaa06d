"""What the workflows of real models share: load the public files, train on a folder, sample with a LoRA."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workflow_files.graph import WIDTH, Graph, Node, Wire
from workflow_files.steps import RED, WIDE, Base, Sampling, add_context, add_prompt, add_result, add_sampler, add_text

IMAGE_TO_VIDEO, VIDEO_TO_VIDEO = "image to video", "video to video"
CLIP_FOLDER, CLIP = "my_clips", "my_clip.mp4"
STRENGTH = 0.75
NEGATIVE = "low quality, blurry, distorted, static, subtitles"
CAPTIONS = {
    IMAGE_TO_VIDEO: "The subject turns its head and smiles while the camera moves slowly closer.",
    VIDEO_TO_VIDEO: "The same scene as a watercolour painting, with soft edges and the grain of paper.",
}
STRENGTH_NOTE = "Strength 0.75 is what the authors sample with; 1 follows the training pairs more closely."
REPORT = (WIDE[0], 260)  # room for all lines of a plan
TRAIN_NOTE = """
Rank 128 and the learning rate 0.00005 are those of the authors' scripts. The node's own defaults, 16 and 0.0001, need
less memory and show sooner whether the pairs teach anything. 1000 steps are a start for 10 to 20 pairs; the authors
train up to 6000. When the memory is short, lower the size of the clips, their frames (a multiple of 4), or the rank.

**Training Plan** measures small steps first, says whether the run fits into memory, and hands on the first settings
that do. Its `task`, `rank` and `batch_size` must be those of **TIC-FT Train**: change them in both.

A finished run is kept and not trained again. **Cancel** keeps what was learned so far.

**To choose by looking**: `sample_every` of **Run Settings** makes previews on the way. With `save_every` 200 and `keep`
5 there, **Checkpoint Grid** makes the same video with each of five checkpoints afterwards. A checkpoint holds the
optimizer's state, too, and takes several times the room of the LoRA.
"""
PUBLISHED = {"rank": 128, "batch_size": 1, "learning_rate": 5e-5, "steps": 1000, "seed": 0}
RUN_NOTE = """
The `run_name` is `{name}`, so that a run that was cancelled or killed goes on at the next **Run**, and a finished one
when you raise `steps`.

It stands for one set of clips, one model and one set of settings. After a change of them **Run** is refused, and what
has changed is listed: write another `run_name`, or set `on_change` to *start over*, which keeps the old run under
another name, or to *accept*.
"""
OTHER_STEP = """
**Bypassed**: to take it in place of step {step}, hold Ctrl, drag a box around all nodes of step {step} and press
Ctrl+B, then do the same here. The menu of a group's title does it, too.
"""
SAMPLE_NOTE = "Any sampler node works here. More steps make finer videos."


@dataclass(frozen=True)
class Model:
    """A public base model: its files, and how it is sampled with an image-to-video LoRA."""

    network: str
    text_encoder: str
    text_type: str  # of Load CLIP
    vae: str
    files_note: str  # names the files and where they come from
    sampling: Sampling
    shift: float | None = None  # of the noise levels; None keeps the model's own
    sample_note: str = SAMPLE_NOTE


def add_model(graph: Graph, model: Model) -> Base:
    """The three files of a base model, and the note about them."""
    network = add_network(graph, model.network)
    return add_encoders(graph, model, network)


def add_network(graph: Graph, name: str, title: str | None = None) -> Wire:
    """The diffusion model of a file."""
    return graph.add("UNETLoader", unet_name=name, weight_dtype="default", size=WIDE, title=title)["MODEL"]


def add_encoders(graph: Graph, model: Model, network: Wire) -> Base:
    """Text encoder and VAE beside a network, and the note about all files."""
    names = {"clip_name": model.text_encoder, "type": model.text_type, "device": "default"}
    clip = graph.add("CLIPLoader", size=WIDE, **names)["CLIP"]
    vae = graph.add("VAELoader", vae_name=model.vae, size=WIDE)["VAE"]
    graph.note(model.files_note, width=340)
    return Base(network, clip, vae)


def add_lora(graph: Graph, model: Model, network: Wire, lora: str, title: str | None = None) -> tuple[Wire, Wire]:
    """A trained LoRA on a network, and the model's shift behind it; returns the MODEL and the LoRA's settings."""
    file = f"{lora}_00001_.safetensors"  # what Save LoRA makes of the name the first time
    loaded = graph.add("TICFTLoadLoRA", model=network, lora_name=file, strength=STRENGTH, title=title)
    tuned = loaded["model"]
    if model.shift is not None:
        tuned = graph.add("ModelSamplingSD3", model=tuned, shift=model.shift)["MODEL"]
    return tuned, loaded["ticft_settings"]


def add_source(graph: Graph, task: str) -> Wire:
    """What the video is made from: an image, or a clip, which brings its rate along."""
    if task == VIDEO_TO_VIDEO:
        return graph.add("LoadVideo", file=CLIP, size=(WIDTH, 360))["VIDEO"]
    return graph.add("LoadImage", image="example.png")["IMAGE"]


def add_condition(
    graph: Graph, base: Base, task: str, sampling: Sampling, settings: Wire, **inputs: Wire
) -> tuple[Node, Wire, Wire]:
    """Step Condition: the context on the base's model, with further ``inputs``, and both captions, encoded."""
    context = add_context(graph, base.model, base, task, sampling, settings=settings, **inputs)
    graph.column()
    positive = add_prompt(graph, base, task, CAPTIONS[task], settings)
    return context, positive, add_text(graph, base, sampling.negative, "Negative caption", RED)


def sample_with_lora(name: str, summary: str, model: Model) -> Graph:
    """Make a video from an image with a LoRA that has the workflow's name."""
    graph, sampling = Graph(name, summary), model.sampling
    with graph.group("Load"):
        base = add_model(graph, model)
        graph.column()
        tuned, settings = add_lora(graph, model, base.model, name)
        source = add_source(graph, IMAGE_TO_VIDEO)
        graph.note(STRENGTH_NOTE)
    with graph.group("Condition"):
        tuned_base = replace(base, model=tuned)
        prepared = add_condition(graph, tuned_base, IMAGE_TO_VIDEO, sampling, settings, condition=source)
    with graph.group("Sample"):
        latent = add_sampler(graph, *prepared, sampling)
        graph.note(model.sample_note)
        graph.column()
        add_result(graph, base, latent, sampling, f"video/{name}")
    return graph


def train_on_folder(name: str, summary: str, model: Model, lora: str, density: str) -> Graph:
    """Train an image-to-video LoRA on a folder of clips, with the authors' rank and rate; its run has its name, too."""
    graph = Graph(name, summary)
    with graph.group("Load"):
        base = add_model(graph, model)
    with graph.group("Data"):
        encoded = add_pairs(graph, base, model.sampling)
    with graph.group("Train"):
        notes = (TRAIN_NOTE, RUN_NOTE.format(name=lora))
        trained = add_trainer(graph, base, encoded, lora, {"density": density}, PUBLISHED, notes)
        save_trained(graph, trained, name, lora)
    return graph


def save_trained(graph: Graph, trained: Node, name: str, lora: str) -> None:
    """The loss of a training as a picture with this name, and its LoRA as a file with that one."""
    graph.column()
    graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{name}")
    graph.add("FewShotSaveLoRA", lora=trained["lora"], filename=lora)
    graph.add("PreviewAny", source=trained["path"], title="Where the LoRA was saved")


def add_pairs(graph: Graph, base: Base, form: Sampling) -> Wire:
    """Step Data: a folder of pairs, checked, and as it is encoded."""
    size = {"width": form.width, "height": form.height, "frames": form.target_frames, "fps": form.fps}
    folder = graph.add("FewShotDatasetFolder", folder=CLIP_FOLDER, **size)
    graph.note(_folder_note(form))
    graph.column()
    encoded = graph.add("FewShotEncodeDataset", dataset=folder["dataset"], vae=base.vae, clip=base.clip)
    graph.add("PreviewAny", source=folder["report"], title="What was found")
    return encoded["encoded"]


def add_trainer(
    graph: Graph,
    base: Base,
    encoded: Wire,
    run_name: str,
    choices: dict[str, str],
    numbers: dict[str, float],
    notes: tuple[str, str],
) -> Node:
    """Settings, what of them fits the card, and the trainer; a note on the numbers and one on the run's name."""
    settings = graph.add("FewShotTrainSettings", density=choices["density"], warmup_steps=100, size=WIDE)["settings"]
    expert = {"expert": choices["expert"]} if "expert" in choices else {}
    settings = graph.add("FewShotRunSettings", settings=settings, size=WIDE, **expert)["settings"]
    sizes = {name: numbers[name] for name in ("rank", "batch_size")}
    inputs = {"model": base.model, "encoded": encoded, "task": IMAGE_TO_VIDEO}
    graph.column()
    plan = graph.add("FewShotTrainingPlan", settings=settings, size=WIDE, **inputs, **sizes)
    graph.add("PreviewAny", source=plan["report"], title="Whether it fits", size=REPORT)
    graph.note(notes[0], width=340)
    graph.column()
    inputs |= {"settings": plan["settings"], "vae": base.vae, "run_name": run_name}
    trained = graph.add("TICFTTrain", size=WIDE, **inputs, **numbers)
    graph.note(notes[1], width=340)
    return trained


def _folder_note(form: Sampling) -> str:
    return f"""
    Put 10 to 30 pairs into `input/{CLIP_FOLDER}`, then press R and choose the folder:

    `NAME.mp4` the video, of at least {form.target_frames} frames at {form.fps:g} a second

    `NAME.txt` its caption

    `NAME.condition.png` the image it is made from
    """
