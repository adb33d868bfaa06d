"""One-shot motion on Wan 2.2 14B image-to-video, with the public fp8 files of its two experts."""

from __future__ import annotations

from workflow_files.bases.wan import TEXT_ENCODER, VAE
from workflow_files.bases.wan22 import expert_files, two_stages
from workflow_files.graph import WIDTH, Graph, Node, Wire
from workflow_files.models import CLIP, NEGATIVE, Model, add_encoders, add_network
from workflow_files.steps import RED, WIDE, Base, Sampling, add_text, add_video, own_clip

MOTION = "motion_wan22_14b_i2v"
HIGH, LOW = (f"wan2.2_i2v_{part}_noise_14B_fp8_scaled.safetensors" for part in ("high", "low"))
FRAMES = 49
CAPTION = "a dog jumps over a hurdle on a lawn"
EDIT = "the animal jumps over a hurdle"

SUMMARY = f"""
One clip goes in; its motion, by the subject of your picture, comes out.

**Load** the four files of step 1, a clip of at least {FRAMES} frames in step 2 and a picture in step 4. Write the
clip's caption in step 2, then press **Run**.

**Change** the picture and its caption in step 4. Nothing is trained again for that.

**Out comes** a video in `output/video`, and the LoRA of the motion in `output/loras`. No file at hand? Open
[motion_toy].
"""
CLIP_NOTE = f"""
Of your clip {FRAMES} frames are learned, 16 a second, whatever rate it was shot at: the motion keeps its pace. `start`
leaves out seconds at the beginning. Only these frames are decoded, so the clip may be long.
"""
TRAIN_NOTE = """
Motion is decided at high noise, so only the high-noise expert learns (`expert` of **Run Settings**). The fp8 file is
trained on as it is.

The network is given the clip's first frame, as it will be given your picture, so the clip's appearance needs no LoRA
of its own: `appearance_steps` is 0.

A finished run is kept. Write a `run_name` before a long one: after a stop the next **Run** goes on.
"""
USE_NOTE = """
The LoRA is put on the high-noise expert alone, which takes the first half of the steps; the low-noise expert knows
nothing of the clip. Lower `strength_model` where the video keeps too much of it.
"""
SAMPLE_NOTE = """
Shift 5, 20 steps in 10 and 10, CFG 3.5: as in ComfyUI's own template for these files with its 4-step LoRAs switched
off. Change steps in both samplers: the first one's `end_at_step` is the second one's `start_at_step`.
"""
MODEL = Model(
    network=HIGH,
    text_encoder=TEXT_ENCODER,
    text_type="wan",
    vae=VAE,
    files_note=expert_files(HIGH, LOW),
    sampling=Sampling(480, 480, FRAMES, 16.0, steps=20, cfg=3.5, negative=NEGATIVE),
    shift=5.0,
)


def _train(graph: Graph, base: Base, dataset: Wire) -> Wire:
    """Step Train on the high-noise expert; the LoRA of the motion."""
    encoded = graph.add("FewShotEncodeDataset", dataset=dataset, vae=base.vae, clip=base.clip, size=WIDE)["encoded"]
    settings = graph.add("FewShotTrainSettings", density="high_noise", warmup_steps=20, size=WIDE)["settings"]
    settings = graph.add("FewShotRunSettings", settings=settings, expert="high noise", size=WIDE)["settings"]
    graph.note(TRAIN_NOTE, width=340)
    graph.column()
    inputs = {"model": base.model, "encoded": encoded, "vae": base.vae, "settings": settings}
    numbers = {"rank": 16, "learning_rate": 2e-4, "steps": 400, "seed": 0, "appearance_steps": 0}
    trained = graph.add("FewShotMotionTrain", size=WIDE, **inputs, **numbers)
    graph.column()
    graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{graph.name}")
    graph.add("FewShotSaveLoRA", lora=trained["motion"], filename=MOTION)
    return trained["motion"]


def _use(graph: Graph, base: Base, low: Wire, lora: Wire) -> tuple[Wire, Wire, Node]:
    """Step Picture: both experts, ready to sample, and the picture with its captions as the network takes them."""
    sampling = MODEL.sampling
    high = graph.add("LoraModelLoader", model=base.model, lora=lora, strength_model=1.0, bypass=False)["model"]
    experts = [
        graph.add("ModelSamplingSD3", model=expert, shift=MODEL.shift, title=f"{name} expert's shift")["MODEL"]
        for name, expert in (("High-noise", high), ("Low-noise", low))
    ]
    graph.note(USE_NOTE)
    graph.column()
    image = graph.add("LoadImage", image="example.png")["IMAGE"]
    positive = add_text(graph, base, EDIT, "Your picture with that motion")
    negative = add_text(graph, base, sampling.negative, "Negative caption", RED)
    size = {"width": sampling.width, "height": sampling.height, "length": FRAMES, "batch_size": 1}
    graph.column()
    given = graph.add("WanImageToVideo", positive=positive, negative=negative, vae=base.vae, start_image=image, **size)
    return experts[0], experts[1], given


def motion() -> Graph:
    """Train on a clip, then let the subject of a picture do the same."""
    graph, sampling = Graph(MOTION, SUMMARY), MODEL.sampling
    with graph.group("Load"):
        high = add_network(graph, HIGH, "High-noise expert")
        low = add_network(graph, LOW, "Low-noise expert")
        base = add_encoders(graph, MODEL, high)
    with graph.group("Data"):
        video = graph.add("LoadVideo", file=CLIP, size=(WIDTH, 360))["VIDEO"]
        graph.column()
        clip = own_clip(graph, video, CAPTION, FRAMES, sampling)
        graph.note(CLIP_NOTE)
    with graph.group("Train"):
        lora = _train(graph, base, clip["dataset"])
    with graph.group("Picture"):
        first_expert, second_expert, given = _use(graph, base, low, lora)
    with graph.group("Sample"):
        start = (first_expert, second_expert, given["latent"])
        latent = two_stages(graph, sampling, start, given["positive"], given["negative"])
        graph.note(SAMPLE_NOTE)
        graph.column()
        made = graph.add("VAEDecode", samples=latent, vae=base.vae)["IMAGE"]
        add_video(graph, made, sampling.fps, f"video/{graph.name}")
    return graph


def wan22_i2v_workflows() -> list[Graph]:
    """All of them."""
    return [motion()]
