"""TIC-FT on HunyuanVideo 1.5, with the public file names: training, and sampling with that LoRA beside it."""

from __future__ import annotations

from dataclasses import replace

from workflow_files.graph import Graph
from workflow_files.models import (
    IMAGE_TO_VIDEO,
    NEGATIVE,
    PUBLISHED,
    RUN_NOTE,
    STRENGTH,
    TRAIN_NOTE,
    add_condition,
    add_network,
    add_pairs,
    add_source,
    add_trainer,
)
from workflow_files.steps import WIDE, Base, Sampling, add_result, add_sampler

NAME = "tic_ft_hunyuan15"
NETWORK = "hunyuanvideo1.5_720p_t2v_fp16.safetensors"
QWEN, BYT5 = "qwen_2.5_vl_7b_fp8_scaled.safetensors", "byt5_small_glyphxl_fp16.safetensors"
VAE = "hunyuanvideo15_vae_fp16.safetensors"
# Steps, CFG, sampler, shift and rate are those of the host's own template.
SAMPLING = Sampling(480, 480, 36, 24.0, steps=20, cfg=6.0, negative=NEGATIVE)
SHIFT = 7.0

FILES = f"""
Files, from huggingface.co/Comfy-Org/HunyuanVideo_1.5_repackaged:

`models/diffusion_models/` {NETWORK}

`models/text_encoders/` {QWEN}

`models/text_encoders/` {BYT5}

`models/vae/` {VAE}
"""
SUMMARY = f"""
Teaches HunyuanVideo 1.5 to make a video from an image, in the way your pairs do it, and makes one with what it has
learned.

**Load** the four files of step 1, a folder of pairs in step 2 and an image in step 4, then press **Run**.

**Change** steps and learning rate in step 3, the caption in step 4, seed and steps in step 5. Training is not repeated
for that. For other clips write another `run_name`.

**Out come** a LoRA in `output/loras` and a video of {SAMPLING.target_frames} frames in `output/video`. Later **TIC-FT
Load LoRA** loads the LoRA without a training.
"""
INPUT_NOTE = """
The text-to-video file is enough: the image is part of the sequence. The channels that this network has for an image of
its own stay empty, in training and here. Words in "quotes" also go through the second text encoder, in both.
"""
SAMPLE_NOTE = """
Shift 7, 20 steps, CFG 6: as in ComfyUI's own template for this file. A step-distilled file can be sampled with, but not
trained on.
"""


def train_and_sample() -> Graph:
    """A LoRA on a folder of pairs, and a video with it."""
    graph = Graph(NAME, SUMMARY)
    with graph.group("Load"):
        network = add_network(graph, NETWORK)
        names = {"clip_name1": QWEN, "clip_name2": BYT5, "type": "hunyuan_video_15", "device": "default"}
        clip = graph.add("DualCLIPLoader", size=WIDE, **names)["CLIP"]
        base = Base(network, clip, graph.add("VAELoader", vae_name=VAE, size=WIDE)["VAE"])
        graph.note(FILES, width=340)
    with graph.group("Data"):
        encoded = add_pairs(graph, base, SAMPLING)
    with graph.group("Train"):
        notes = (TRAIN_NOTE, RUN_NOTE.format(name=NAME))
        trained = add_trainer(graph, base, encoded, NAME, {"density": "logit_normal"}, PUBLISHED, notes)
        graph.column()
        graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{NAME}")
        graph.add("FewShotSaveLoRA", lora=trained["lora"], filename=NAME)
    with graph.group("Condition"):
        inputs = {"lora": trained["lora"], "strength_model": STRENGTH, "bypass": False}
        tuned = graph.add("LoraModelLoader", model=network, **inputs)["model"]
        tuned = graph.add("ModelSamplingSD3", model=tuned, shift=SHIFT)["MODEL"]
        graph.note(INPUT_NOTE)
        picture = add_source(graph, IMAGE_TO_VIDEO)
        graph.column()
        settings = trained["ticft_settings"]
        tuned_base = replace(base, model=tuned)
        prepared = add_condition(graph, tuned_base, IMAGE_TO_VIDEO, SAMPLING, settings, condition=picture)
    with graph.group("Sample"):
        latent = add_sampler(graph, *prepared, SAMPLING)
        graph.note(SAMPLE_NOTE)
        graph.column()
        add_result(graph, base, latent, SAMPLING, f"video/{NAME}")
    return graph


def hunyuan_workflows() -> list[Graph]:
    """All of them."""
    return [train_and_sample()]
