"""The workflows of AICL: the action of reference clips by the prompted subject, and training the adapter for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from workflow_files.bases import cogvideox as workflow_cogvideox
from workflow_files.bases import wan as workflow_wan
from workflow_files.graph import WIDTH, Graph, Node, Wire
from workflow_files.models import CLIP, OTHER_STEP, RUN_NOTE, Model, add_model
from workflow_files.steps import RED, WIDE, Base, Sampling, add_text, add_text_to_video, add_video
from workflow_files.toy import SHIFT, add_clips, add_toy_model, toy_sampling

TOY, TOY_TRAIN = "aicl_toy", "aicl_train_toy"
WAN, COGVIDEOX = "aicl_wan21_1_3b", "aicl_cogvideox_5b"
ADAPTER, DETAIL = "toy_fine_actions.safetensors", "fine"  # comes with the pack, for that toy model
FOLDER = "my_actions"
FRAMES, SEED = 49, 5  # of the toy's clips: the first seed whose motion is a figure eight
CFG = 2.0
# What the toy clips of this seed show, and what is made with their action.
REFERENCES = ("a red disc on a black background", "a blue square on a grey background",
              "a cyan triangle on a white background")  # fmt: skip
SUBJECT = "a green ring on a black background"

APPLY_NOTE = """
The references are read once; every step of the sampler uses what was found. The base model stays as it is.

`strength` 0 is exactly the base model. Several **AICL Apply** in a row put several actions on one model.
"""
CAPTION_NOTE = "Captions say what is seen and nothing of how it moves: the references tell that."
TRAIN_NOTE = """
**Frankly**: an adapter learns from scratch what an action is. That wants thousands of clips of many actions and days
of computing. For a handful of clips use TIC-FT's action transfer, or **Motion Train** for one motion.

**Cancel** keeps what was learned so far; with a `run_name` the next run of that name goes on from there.
"""
REAL_NOTE = """
20 000 steps of one clip are a quarter of the paper's 80 000 samples. For all of them set `batch_size` to 4, or, in the
memory of one clip, `accumulation` to 4 in a **Train Settings** in front of **Run Settings**. Both take about four times
as long.
"""


def _references(graph: Graph, base: Base, adapter: Wire, clips: list[tuple[Wire, Wire]]) -> Wire:
    """The action of clips, each with its encoded caption."""
    inputs: dict[str, Wire] = {}
    for number, (clip, caption) in enumerate(clips, 1):
        end = "" if number == 1 else f"_{number}"
        inputs |= {f"reference{end}": clip, f"conditioning{end}": caption}
    return graph.add("AICLEncodeAction", adapter=adapter, vae=base.vae, size=WIDE, **inputs)["action"]


def _apply(graph: Graph, model: Wire, action: Wire) -> Wire:
    """An action on a model."""
    numbers = {"strength": 1.0, "start_percent": 0.0, "end_percent": 1.0}
    return graph.add("AICLApply", model=model, action=action, **numbers)["model"]


def _sample(
    graph: Graph, base: Base, model: Wire, subject: Wire | str, form: Sampling, shift: float | None = None
) -> Wire:
    """Steps Captions and Sample; the frames."""
    with graph.group("Captions"):
        if shift is not None:
            model = graph.add("ModelSamplingSD3", model=model, shift=shift)["MODEL"]
        positive = add_text(graph, base, subject, "Who performs it")
        negative = add_text(graph, base, form.negative, "Negative caption", RED)
    with graph.group("Sample"):
        return add_text_to_video(graph, base, model, positive, negative, form)


def _add_adapter(graph: Graph, base: Base, name: str) -> Wire:
    return graph.add("AICLLoad", name=name, model=base.model, size=WIDE)["adapter"]


def toy() -> Graph:
    """The shipped adapter on the toy model; any number of the references can be muted."""
    graph, form, count = Graph(TOY, TOY_SUMMARY), toy_sampling(FRAMES, CFG), len(REFERENCES)
    with graph.group("Load"):
        base = add_toy_model(graph, DETAIL)
        adapter = _add_adapter(graph, base, ADAPTER)
    with graph.group("References"):
        drawn = add_clips(graph, "one clip", "held out", count, SEED, DETAIL)
        items = [
            graph.add("FewShotDatasetItem", dataset=drawn, index=i, title=f"Reference {i + 1}") for i in range(count)
        ]
        graph.column()
        captions = [add_text(graph, base, REFERENCES[i], f"What reference {i + 1} shows") for i in range(count)]
        graph.note(CAPTION_NOTE, width=340)
        graph.column()
        clips = [(item["target"], caption) for item, caption in zip(items, captions, strict=True)]
        action = _references(graph, base, adapter, clips)
    with graph.group("Apply"):
        model = _apply(graph, base.model, action)
        graph.note(APPLY_NOTE)
    made = _sample(graph, base, model, SUBJECT, form)
    graph.column()
    _compare(graph, made, items[0]["target"], form)
    return graph


def _compare(graph: Graph, made: Wire, reference: Wire, form: Sampling) -> None:
    """The reference as a video beside the result, and how alike they move."""
    add_video(graph, reference, form.fps, f"video/{graph.name}_reference", title="The reference, to compare")
    graph.column()
    scores = graph.add("FewShotVideoScore", video=made, reference=reference, metric="trajectory_agreement", size=WIDE)
    graph.add("PreviewAny", source=scores["scores"], title="How alike they move and look", size=WIDE)
    graph.add("PreviewImage", images=scores["plot"], title="Scores over the frames", size=WIDE)


def train_toy() -> Graph:
    """A short training from end to end."""
    graph, form = Graph(TOY_TRAIN, TRAIN_TOY_SUMMARY), toy_sampling(FRAMES, CFG)
    with graph.group("Load"):
        base = add_toy_model(graph)
    with graph.group("Data"):
        pairs = add_clips(graph, "same action", "training", 24)
        held_out = add_clips(graph, "same action", "held out", 4)
        item = graph.add("FewShotDatasetItem", dataset=held_out, index=0, title="Held-out clip and reference")
        graph.column()
        data = {"vae": base.vae, "clip": base.clip}
        encoded = graph.add("FewShotEncodeDataset", dataset=pairs, title="Encode the training clips", **data)
        validation = graph.add("FewShotEncodeDataset", dataset=held_out, title="Encode the held-out clips", **data)
        graph.note("Each clip comes with a reference: the same motion by another object.")
    with graph.group("Train"):
        settings = graph.add("FewShotTrainSettings", shift=SHIFT, size=WIDE)["settings"]
        settings = graph.add("FewShotRunSettings", settings=settings, validate_every=50, size=WIDE)["settings"]
        numbers = {"learning_rate": 5e-4, "steps": 100, "seed": 0, "batch_size": 2, "max_references": 1, "variants": 0}
        inputs = {"encoded": encoded["encoded"], "validation": validation["encoded"], "settings": settings}
        trained = _train(graph, base, **inputs, **numbers)
    with graph.group("Reference"):
        caption = add_text(graph, base, item["caption"], "What the reference shows")
        graph.note("The held-out clip's own caption stands in for the reference's.", width=340)
        action = _references(graph, base, trained["adapter"], [(item["reference"], caption)])
        model = _apply(graph, base.model, action)
    _sample(graph, base, model, item["caption"], form)
    return graph


def _train(graph: Graph, base: Base, **inputs: object) -> Node:
    """The trainer, what it takes and where it saves."""
    graph.note(TRAIN_NOTE, width=340)
    graph.column()  # of its own: the trainer is high
    trained = graph.add("AICLTrain", model=base.model, vae=base.vae, size=WIDE, **inputs)
    graph.column()
    graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{graph.name}")
    graph.add("PreviewAny", source=trained["path"], title="Where the adapter was saved")
    return trained


@dataclass(frozen=True)
class Real:
    """A public model, and the captions of the reference and of what is made."""

    name: str  # of the workflow, and of its run
    title: str
    model: Model
    reference: str = "a man in a park"
    subject: str = "an astronaut on the moon"


def on_clips(real: Real) -> Graph:
    """Train on a folder of clips, one sub-folder an action, then make a video with the action of a clip."""
    name, model = real.name, real.model
    graph = Graph(name, REAL_SUMMARY.format(title=real.title))
    form = replace(model.sampling, target_frames=FRAMES)
    with graph.group("Load"):
        base = add_model(graph, model)
    with graph.group("Reference"):
        video = graph.add("LoadVideo", file=CLIP, size=(WIDTH, 360))["VIDEO"]
        graph.column()
        caption = add_text(graph, base, real.reference, "What the reference shows")
        graph.note(CAPTION_NOTE, width=340)
        reference = [(video, caption)]
    with graph.group("Train an adapter"):
        trained = _train_on_folder(graph, base, name, form)
        graph.column()
        made = _apply(graph, base.model, _references(graph, base, trained["adapter"], reference))
        graph.note(APPLY_NOTE)
    with graph.group("Or take one that is there", bypassed=True):
        adapter = _add_adapter(graph, base, adapter_file(real))
        made = _apply(graph, made, _references(graph, base, adapter, reference))
        graph.note(OTHER_STEP.format(step=3) + f"\n{adapter_file(real)} stands for the file of a run.", width=340)
    _sample(graph, base, made, real.subject, form, model.shift)
    return graph


def adapter_file(real: Real) -> str:
    """The name that stands for a trained adapter."""
    return f"{real.name}_00001_.safetensors"


def _train_on_folder(graph: Graph, base: Base, name: str, form: Sampling) -> Node:
    """A folder of clips, checked and encoded, and the trainer."""
    size = {"width": form.width, "height": form.height, "frames": FRAMES, "fps": form.fps}
    folder = graph.add("FewShotDatasetFolder", folder=FOLDER, **size)
    graph.note(FOLDER_NOTE)
    graph.column()
    encoded = graph.add("FewShotEncodeDataset", dataset=folder["dataset"], vae=base.vae, clip=base.clip)["encoded"]
    graph.add("PreviewAny", source=folder["report"], title="What was found")
    settings = graph.add("FewShotRunSettings", size=WIDE)["settings"]
    graph.column()
    numbers = {"learning_rate": 1e-4, "steps": 20000, "seed": 0, "batch_size": 1}
    graph.note(REAL_NOTE + RUN_NOTE.format(name=name), width=340)
    choices = {"group_by": "sub-folder", "run_name": name}
    return _train(graph, base, encoded=encoded, settings=settings, **numbers, **choices)


FOLDER_NOTE = f"""
Put the clips of each action into a folder of its own, then press R and choose the folder:

`input/{FOLDER}/jumping/NAME.mp4` a clip, of at least {FRAMES} frames

`input/{FOLDER}/jumping/NAME.txt` what it shows, but not the action

All other clips of a clip's folder are its references.
"""
TOY_SUMMARY = """
Press **Run**. The graph

1. loads the toy model and an adapter that comes with the pack,
2. draws three clips of a motion that neither of them was trained on,
3. reads the motion out of all three,
4. makes a video of another object that moves like that. The caption says nothing of the motion.

Nothing has to be downloaded, and nothing is trained.

**Change** the clips' seed in step 2 (then their captions too), `strength` in step 3, the caption in step 4. For fewer
references mute them in step 2 together with their captions (Ctrl+M); one will do.

**Out come** two videos in `output/video`, the result and the reference, and scores that say how alike they move.
"""
TRAIN_TOY_SUMMARY = f"""
Press **Run**. The graph draws clips with references, trains an adapter on them for a minute or two, and makes a video
with it. Nothing has to be downloaded.

This shows the wiring. A hundred steps on two dozen clips teach no action: the adapter of [{TOY}] was trained for much
longer on many paths, by `toy/train.py action`.

**Change** the clips in step 2, steps and size in step 3.

**Out come** an adapter in `output/aicl` (**AICL Load** offers it after a refresh), a loss curve and a video in
`output/video`.
"""
REAL_SUMMARY = """
Teaches {title} to take an action from reference clips, then makes a video of another subject that does what your clip
shows. There is no public adapter, so training comes first; a finished run is not trained again.

**Load** the three files of step 1, a clip of the action in step 2 and your clips of many actions in step 3, then press
**Run**.

**Change** the adapter's size, steps and batch in step 3, `strength` beside them, the captions in steps 2 and 5, the
seed in step 6.

**With an adapter that is there** bypass step 3 and take step 4 in its place, as its note says.

**Out come** an adapter in `output/aicl` and a video in `output/video`. No file at hand? Open [aicl_toy], or for the
training [aicl_train_toy].
"""
REAL = (
    Real(WAN, "Wan 2.1", workflow_wan.MODEL),
    Real(COGVIDEOX, "CogVideoX 5B", workflow_cogvideox.MODEL),
)


def aicl_workflows() -> list[Graph]:
    """All of them."""
    return [toy(), train_toy(), *(on_clips(real) for real in REAL)]
