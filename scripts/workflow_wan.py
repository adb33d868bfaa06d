"""The workflows of Wan 2.1 T2V 1.3B, with the public file names."""

from __future__ import annotations

from workflow_graph import Graph
from workflow_steps import RED, WIDE, Base, Sampling, add_context, add_prompt, add_result, add_sampler, add_text

MODEL = "wan2.1_t2v_1.3B_fp16.safetensors"
TEXT_ENCODER = "umt5_xxl_fp8_e4m3fn_scaled.safetensors"
VAE = "wan_2.1_vae.safetensors"
LORA = "tic_ft_image_to_video_wan21_1_3b"
CLIP_FOLDER = "my_clips"
TASK = "image to video"
SHIFT = 8.0  # as in the host's own template for this model
SAMPLING = Sampling(480, 480, 36, 16.0, steps=30, cfg=5.0, negative="low quality, blurry, distorted, static, subtitles")

FILES_NOTE = f"""
Files, from huggingface.co/Comfy-Org/Wan_2.1_ComfyUI_repackaged:

`models/diffusion_models/` {MODEL}

`models/text_encoders/` {TEXT_ENCODER}

`models/vae/` {VAE}
"""


def add_wan(graph: Graph) -> Base:
    """Step Load: the three files of the base model."""
    model = graph.add("UNETLoader", unet_name=MODEL, weight_dtype="default", size=WIDE)["MODEL"]
    clip = graph.add("CLIPLoader", clip_name=TEXT_ENCODER, type="wan", device="default", size=WIDE)["CLIP"]
    vae = graph.add("VAELoader", vae_name=VAE, size=WIDE)["VAE"]
    graph.note(FILES_NOTE, width=340)
    return Base(model, clip, vae)


def train_wan() -> Graph:
    """Train an image-to-video LoRA on a folder of clips."""
    graph = Graph("tic_ft_train_wan21_1_3b", TRAIN_SUMMARY)
    with graph.group("Load"):
        base = add_wan(graph)
    with graph.group("Data"):
        folder = graph.add("FewShotDatasetFolder", folder=CLIP_FOLDER, width=480, height=480, frames=36, fps=16.0)
        graph.note(FOLDER_NOTE)
        graph.column()
        encoded = graph.add("FewShotEncodeDataset", dataset=folder["dataset"], vae=base.vae, clip=base.clip)
        graph.add("PreviewAny", source=folder["report"], title="What was found")
    with graph.group("Train"):
        settings = graph.add("FewShotTrainSettings", density="logit_normal", warmup_steps=100, size=WIDE)
        trained = graph.add(
            "TICFTTrain",
            model=base.model,
            encoded=encoded["encoded"],
            settings=settings["settings"],
            task=TASK,
            rank=128,
            learning_rate=5e-5,
            steps=1000,
            batch_size=1,
            seed=0,
            run_name=graph.name,
            size=WIDE,
        )
        graph.note(TRAIN_NOTE, width=340)
        graph.column()
        graph.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{graph.name}")
        graph.add("FewShotSaveLoRA", lora=trained["lora"], filename=LORA)
        graph.add("PreviewAny", source=trained["path"], title="Where the run was saved")
    return graph


def image_to_video_wan() -> Graph:
    """Sample with a trained image-to-video LoRA."""
    graph = Graph("tic_ft_image_to_video_wan21_1_3b", SAMPLE_SUMMARY)
    with graph.group("Load"):
        base = add_wan(graph)
        graph.column()
        lora = graph.add("TICFTLoadLoRA", model=base.model, lora_name=f"{LORA}_00001_.safetensors", strength=0.75)
        shifted = graph.add("ModelSamplingSD3", model=lora["model"], shift=SHIFT)
        image = graph.add("LoadImage", image="example.png")
        graph.note("Strength 0.75 is what the authors sample with; 1 follows the training pairs more closely.")
    with graph.group("Condition"):
        inputs = {"condition": image["IMAGE"], "settings": lora["ticft_settings"]}
        context = add_context(graph, shifted["MODEL"], base, TASK, SAMPLING, **inputs)
        graph.column()
        positive = add_prompt(graph, base, TASK, TARGET_TEXT, lora["ticft_settings"])
        negative = add_text(graph, base, SAMPLING.negative, "Negative caption", RED)
    with graph.group("Sample"):
        latent = add_sampler(graph, context, positive, negative, SAMPLING)
        graph.note("Any sampler node works here. More steps make finer videos.")
        graph.column()
        add_result(graph, base, latent, SAMPLING, f"video/{graph.name}")
    return graph


FOLDER_NOTE = f"""
Put 10 to 30 pairs into `input/{CLIP_FOLDER}`, then press R and choose the folder:

`NAME.mp4` the video, of at least 36 frames at 16 a second

`NAME.txt` its caption

`NAME.condition.png` the image it shall be made from
"""
TRAIN_NOTE = """
1000 steps suit 10 to 20 pairs; the authors train up to 6000. When the memory is short, lower the rank, the size
of the clips, or their frames (a multiple of 4).

A finished run is kept: it is not trained again until you change its seed, its settings or its clips.
**Cancel** keeps what was learned so far.
"""
TARGET_TEXT = "The subject turns its head and smiles while the camera moves slowly closer."
TRAIN_SUMMARY = """
## TIC-FT: train image to video on Wan 2.1

Teaches Wan 2.1 T2V 1.3B to make a video from an image, in the way your pairs do it.

**Load** the three files of step 1 and a folder of pairs in step 2, then press **Run**.

**Change** steps and learning rate in step 3. For another task choose it in **TIC-FT Train** and set the frames
of step 2 to 24.

**Out comes** a LoRA in `output/loras`. Open the workflow `tic_ft_image_to_video_wan21_1_3b` to use it.
"""
SAMPLE_SUMMARY = """
## TIC-FT: image to video with Wan 2.1

Makes a video from an image with a LoRA that the workflow `tic_ft_train_wan21_1_3b` has trained.

**Load** the three files of step 1, your LoRA in **TIC-FT Load LoRA** (press R when it is not in the list) and an
image.

**Change** the caption in step 2, seed and steps in step 3.

**Out comes** a video of 36 frames in `output/video`.
"""


def wan_workflows() -> list[Graph]:
    """All of them."""
    return [train_wan(), image_to_video_wan()]
