"""The workflows of LTX-2.3, with the file names of ComfyUI's own templates."""

from __future__ import annotations

from dataclasses import replace

from workflow_files.graph import Graph, Node, Wire
from workflow_files.models import (
    IMAGE_TO_VIDEO,
    RUN_NOTE,
    STRENGTH_NOTE,
    Model,
    add_condition,
    add_lora,
    add_pairs,
    add_source,
    add_trainer,
    save_trained,
)
from workflow_files.steps import WIDE, Base, Sampling, add_result

TRAIN, SAMPLE = "tic_ft_train_ltx2", "tic_ft_image_to_video_ltx2"
CHECKPOINT, TEXT_ENCODER = "ltx-2.3-22b-dev-fp8.safetensors", "gemma_3_12B_it_fp4_mixed.safetensors"
FILES = f"""
Files:

`models/checkpoints/` {CHECKPOINT}, from huggingface.co/Lightricks/LTX-2.3-fp8: the network, the video's VAE and the
text's projection

`models/text_encoders/` {TEXT_ENCODER}, from huggingface.co/Comfy-Org/ltx-2
"""
TRAIN_SUMMARY = f"""
Teaches LTX-2.3 to make a video from an image, in the way your pairs do it. The video alone is trained: the sound stream
is empty, as ComfyUI leaves it without an audio latent, and the clips' sound is not read.

**Load** the two files of step 1 and a folder of pairs in step 2, then press **Run**.

**Change** steps and learning rate in step 3. For another task choose it in **Training Plan** and **TIC-FT
Train**, and set the frames of step 2 to 48. For other clips or another task write another `run_name`.

**Out comes** a LoRA in `output/loras`. Open the workflow [{SAMPLE}] to use it.
"""
SAMPLE_SUMMARY = f"""
Makes a video from an image with a LoRA that the workflow [{TRAIN}] has trained.

**Load** the two files of step 1, your LoRA in **TIC-FT Load LoRA** (press R when it is not in the list) and an
image.

**Change** the caption in step 2, seed and steps in step 3.

**Out comes** a video of 72 frames in `output/video`, without sound.
"""
TRAIN_NOTE = """
The fp8 file is trained on as it is. LTX packs 8 frames into a latent and 32 x 32 pixels into a token, so that 3 seconds
are 13 latents with the condition and its buffers.

Rank 32 is a start; the authors of TIC-FT take 128 on smaller models. **Training Plan** measures small steps first, says
whether the run fits into memory, and hands on the first settings that do. Its `task`, `rank` and `batch_size` must be
those of **TIC-FT Train**: change them in both. When the memory is short, lower the size of the clips (a multiple of
32), their frames (a multiple of 8), or the rank.

`per_frame_timesteps` of **Train Settings** tells the network the noise level of each frame, as LTX's own image to video
does; the LoRA says so to **TIC-FT Context**.

A finished run is kept and not trained again. **Cancel** keeps what was learned so far.
"""
RATE_NOTE = """
LTX takes the frames a second: here those of the training clips. Write the same rate into **LTXVConditioning** and
**Create Video** when yours have another.
"""
SAMPLE_NOTE = """
20 steps of LTX's own scheduler and CFG 4, as in ComfyUI's template for the dev file of LTX-2. Any sampler node works
here.

The latent is the video's alone. One with sound beside it (LTXV Concat AV Latent) is refused: the sequence also has the
condition's and the buffers' frames, which nobody hears. Add sound to the finished video.
"""
NUMBERS = {"rank": 32, "batch_size": 1, "learning_rate": 5e-5, "steps": 1000, "seed": 0}
MODEL = Model(
    network=CHECKPOINT,
    text_encoder=TEXT_ENCODER,
    text_type="ltxv",
    vae=CHECKPOINT,
    files_note=FILES,
    sampling=Sampling(
        768, 512, 72, 24.0, steps=20, cfg=4.0,
        negative="pc game, console game, video game, cartoon, childish, ugly",  # that of the template
    ),
    sample_note=SAMPLE_NOTE,
)  # fmt: skip


def add_checkpoint(graph: Graph, model: Model) -> Base:
    """Network and VAE of the one file, and the text encoder, which takes its projection from there."""
    loaded = graph.add("CheckpointLoaderSimple", ckpt_name=model.network, size=WIDE)
    texts = {"text_encoder": model.text_encoder, "ckpt_name": model.network, "device": "default"}
    clip = graph.add("LTXAVTextEncoderLoader", size=WIDE, **texts)["CLIP"]
    graph.note(model.files_note, width=340)
    return Base(loaded["MODEL"], clip, loaded["VAE"])


def add_ltx_sampler(graph: Graph, context: Node, positive: Wire, negative: Wire, sampling: Sampling) -> Wire:
    """LTX's own scheduler and the sampler nodes of its templates; returns the latent."""
    texts = {"positive": positive, "negative": negative}
    guider = graph.add("CFGGuider", model=context["model"], cfg=sampling.cfg, **texts)["GUIDER"]
    noise = graph.add("RandomNoise", noise_seed=sampling.seed)["NOISE"]
    sampler = graph.add("KSamplerSelect", sampler_name=sampling.sampler)["SAMPLER"]
    shift = {"max_shift": 2.05, "base_shift": 0.95, "stretch": True, "terminal": 0.1}
    latent = context["latent"]
    sigmas = graph.add("LTXVScheduler", latent=latent, steps=sampling.steps, **shift)["SIGMAS"]
    inputs = {"noise": noise, "guider": guider, "sampler": sampler, "sigmas": sigmas, "latent_image": latent}
    return graph.add("SamplerCustomAdvanced", **inputs)["output"]


def train() -> Graph:
    """Train an image-to-video LoRA on a folder of clips."""
    graph = Graph(TRAIN, TRAIN_SUMMARY)
    with graph.group("Load"):
        base = add_checkpoint(graph, MODEL)
    with graph.group("Data"):
        encoded = add_pairs(graph, base, MODEL.sampling)
    with graph.group("Train"):
        notes = (TRAIN_NOTE, RUN_NOTE.format(name=SAMPLE))
        trained = add_trainer(graph, base, encoded, SAMPLE, {"density": "logit_normal"}, NUMBERS, notes)
        save_trained(graph, trained, TRAIN, SAMPLE)
    return graph


def sample() -> Graph:
    """Sample with that LoRA, at the frame rate of its training."""
    graph, sampling = Graph(SAMPLE, SAMPLE_SUMMARY), MODEL.sampling
    with graph.group("Load"):
        base = add_checkpoint(graph, MODEL)
        graph.column()
        tuned, settings = add_lora(graph, MODEL, base.model, SAMPLE)
        source = add_source(graph, IMAGE_TO_VIDEO)
        graph.note(STRENGTH_NOTE)
    with graph.group("Condition"):
        tuned_base = replace(base, model=tuned)
        prepared = add_condition(graph, tuned_base, IMAGE_TO_VIDEO, sampling, settings, condition=source)
        context, positive, negative = prepared
        graph.column()
        texts = {"positive": positive, "negative": negative}
        rated = graph.add("LTXVConditioning", frame_rate=sampling.fps, **texts)
        graph.note(RATE_NOTE)
    with graph.group("Sample"):
        latent = add_ltx_sampler(graph, context, rated["positive"], rated["negative"], sampling)
        graph.note(MODEL.sample_note)
        graph.column()
        add_result(graph, base, latent, sampling, f"video/{SAMPLE}")
    return graph


def ltx2_workflows() -> list[Graph]:
    """All of them."""
    return [train(), sample()]
