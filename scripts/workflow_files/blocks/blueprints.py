"""Blocks to drop into any graph: a method each, as one node with the few inputs that a person wants."""

from __future__ import annotations

from workflow_files.graph import Block, Node, Wire
from workflow_files.models import CLIP_FOLDER, IMAGE_TO_VIDEO, STRENGTH
from workflow_files.steps import GREEN, RED, WIDE

LORA = "my_tic_ft_lora"
ADAPTER = "my_actions_00001_.safetensors"


def _base(block: Block) -> dict[str, Wire]:
    """Sockets of a base model."""
    return {name: block.input(name) for name in ("model", "clip", "vae")}


def _sizes(block: Block, frames: int, fps: float, side: int) -> tuple[dict[str, Wire], Wire, Wire]:
    """Widgets of a clip's size: width and height, frames, and frames a second."""
    size = {name: block.input(name, side) for name in ("width", "height")}
    return size, block.input("frames", frames), block.input("fps", fps)


def image_to_video() -> Block:
    """A trained LoRA on a model, used."""
    block = Block(
        "TIC-FT image to video",
        "Makes a video from an image with a TIC-FT LoRA, in the way of the pairs it was trained on.",
    )
    base, image = _base(block), block.input("image")
    lora, caption = block.input("lora_name", f"{LORA}_00001_.safetensors", "LoRA"), block.input("caption", "")
    negative = block.input("negative_caption", "", "negative caption")
    size, frames, fps = _sizes(block, 36, 16.0, 480)
    seed, steps, cfg = block.input("seed", 0), block.input("steps", 30), block.input("cfg", 5.0)
    with block.group("LoRA and condition"):
        loaded = block.add("TICFTLoadLoRA", model=base["model"], lora_name=lora, strength=STRENGTH)
        known = {"task": IMAGE_TO_VIDEO, "settings": loaded["ticft_settings"]}
        context = block.add(
            "TICFTContext", model=loaded["model"], vae=base["vae"], condition=image, target_frames=frames,
            size=WIDE, **size, **known,
        )  # fmt: skip
    with block.group("Captions"):
        prompt = block.add("TICFTPrompt", condition_text="", target_text=caption, size=WIDE, **known)
        positive = _text(block, base, prompt["caption"], "Caption")
        unwanted = _text(block, base, negative, "Negative caption", RED)
    with block.group("Sample"):
        sampled = block.add(
            "KSampler", model=context["model"], positive=positive, negative=unwanted, latent_image=context["latent"],
            seed=seed, steps=steps, cfg=cfg, sampler_name="euler", scheduler="simple", denoise=1.0,
        )["LATENT"]  # fmt: skip
        decoded = block.add("VAEDecode", samples=sampled, vae=base["vae"])["IMAGE"]
        images = block.add("TICFTCrop", images=decoded, latent=sampled, keep="target")["images"]
        _results(block, images, fps)
    return block


def train_on_a_folder() -> Block:
    """A folder of pairs to a saved LoRA."""
    block = Block(
        "TIC-FT train on a folder",
        "Trains a TIC-FT LoRA on a folder of clips with captions and conditions, and saves it. "
        "Open the block to follow the run in its panel.",
    )
    base, folder, task = _base(block), block.input("folder", CLIP_FOLDER), block.input("task", IMAGE_TO_VIDEO)
    size, frames, fps = _sizes(block, 36, 16.0, 480)
    rank, rate, steps = (block.input(*pair) for pair in (("rank", 16), ("learning_rate", 1e-4), ("steps", 1000)))
    run_name, filename = block.input("run_name", "", "run name"), block.input("lora_filename", LORA, "LoRA file")
    with block.group("Data"):
        found = block.add("FewShotDatasetFolder", folder=folder, frames=frames, fps=fps, **size)
        data = {"dataset": found["dataset"], "vae": base["vae"], "clip": base["clip"]}
        encoded = block.add("FewShotEncodeDataset", **data)["encoded"]
        block.add("PreviewAny", source=found["report"], title="What was found")
    with block.group("Train"):
        trained = block.add(
            "TICFTTrain", model=base["model"], encoded=encoded, vae=base["vae"], task=task, rank=rank,
            learning_rate=rate, steps=steps, seed=0, run_name=run_name, size=WIDE,
        )  # fmt: skip
        block.column()
        block.add("FewShotSaveLoRA", lora=trained["lora"], filename=filename)
        block.add("LossGraphNode", loss=trained["loss"], filename_prefix=f"loss/{LORA}")
    block.outputs = {"lora": trained["lora"], "ticft_settings": trained["ticft_settings"], "report": found["report"]}
    return block


def _clip(block: Block, video: Wire, caption: Wire, size: dict, frames: Wire, fps: Wire) -> Node:
    """One clip as a data set, at the model's size and rate."""
    part = {"frames": frames, "resample_to": fps, **size}
    return block.add("FewShotDatasetClip", target=video, caption=caption, size=WIDE, **part)


def _encoded(block: Block, base: dict[str, Wire], dataset: Wire) -> Wire:
    return block.add("FewShotEncodeDataset", dataset=dataset, vae=base["vae"], clip=base["clip"], size=WIDE)["encoded"]


def motion() -> Block:
    """One clip to a model that moves like it."""
    block = Block(
        "One-shot motion from a clip",
        "Learns the motion of one clip and hands on the model with it: sample another subject with that motion.",
    )
    base, video = _base(block), block.input("video")
    caption = block.input("caption", "", "what the clip shows")
    still = block.input("still_caption", "", "what a frame shows")
    size, frames, fps = _sizes(block, 49, 16.0, 480)
    numbers = {"steps": 500, "appearance_steps": 300, "run_name": ""}
    inputs = {name: block.input(name, value) for name, value in numbers.items()}
    strength = block.input("strength", 1.0)
    with block.group("Data"):
        clip = _clip(block, video, caption, size, frames, fps)
        encoded = _encoded(block, base, clip["dataset"])
    with block.group("Train"):
        trained = block.add(
            "FewShotMotionTrain", model=base["model"], encoded=encoded, vae=base["vae"], still_caption=still, seed=0,
            rank=32, learning_rate=1e-4, size=WIDE, **inputs,
        )  # fmt: skip
    with block.group("Apply"):
        lora = {"lora": trained["motion"], "strength": strength}
        model = block.add("FewShotMotionApply", model=base["model"], **lora)["model"]
    block.outputs = {"model": model, "motion": trained["motion"], "path": trained["path"]}
    return block


def action() -> Block:
    """The action of a clip on a model."""
    block = Block(
        "AICL action of a clip",
        "Reads the action out of a clip with a trained adapter and hands on the model that performs it.",
    )
    base, video = _base(block), block.input("video")
    adapter, caption = block.input("adapter", ADAPTER), block.input("caption", "", "what the clip shows")
    strength = block.input("strength", 1.0)
    with block.group("Reference"):
        loaded = block.add("AICLLoad", name=adapter, model=base["model"], size=WIDE)["adapter"]
        said = _text(block, base, caption, "What the reference shows")
        read = {"adapter": loaded, "vae": base["vae"], "reference": video, "conditioning": said}
        found = block.add("AICLEncodeAction", size=WIDE, **read)["action"]
    with block.group("Apply"):
        numbers = {"strength": strength, "start_percent": 0.0, "end_percent": 1.0}
        model = block.add("AICLApply", model=base["model"], action=found, **numbers)["model"]
    block.outputs = {"model": model}
    return block


def edit() -> Block:
    """A clip, tuned on, inverted and made again."""
    block = Block(
        "Tune-A-Video edit a clip",
        "Tunes an image model on one clip and makes the clip again with another subject, place or style.",
    )
    base, video = _base(block), block.input("video")
    caption, wanted = block.input("caption", "", "what the clip shows"), block.input("edit", "", "what it is to show")
    size, frames, fps = _sizes(block, 24, 12.0, 512)
    rate, steps = block.input("learning_rate", 3e-5), block.input("steps", 500, "tuning steps")
    sampling_steps, cfg = block.input("sampling_steps", 50, "sampling steps"), block.input("cfg", 12.5)
    with block.group("Tune"):
        clip = _clip(block, video, caption, size, frames, fps)
        encoded = _encoded(block, base, clip["dataset"])
        taken = block.add("FewShotDatasetItem", dataset=clip["dataset"], index=0, title="Its frames")["target"]
        block.column()
        tuned = block.add(
            "TuneAVideoTrain", model=base["model"], encoded=encoded, vae=base["vae"], learning_rate=rate, steps=steps,
            seed=0, frames=frames, size=WIDE,
        )  # fmt: skip
    with block.group("Invert"):
        model = block.add("TuneAVideoApply", model=base["model"], tuned=tuned["tuned"], strength=1.0)["model"]
        latent = block.add("VAEEncode", pixels=taken, vae=base["vae"])["LATENT"]
        empty = _text(block, base, "", "Empty caption", RED)
        schedule = {"steps": sampling_steps, "scheduler": "normal"}
        start = {"model": model, "conditioning": empty, "latent": latent}
        noise = block.add("FewShotInversion", size=WIDE, **start, **schedule)["latent"]
    with block.group("Edit"):
        positive = _text(block, base, wanted, "What it is to show")
        sampled = block.add(
            "KSamplerAdvanced", model=model, add_noise="disable", noise_seed=0, cfg=cfg, sampler_name="ddim",
            positive=positive, negative=empty, latent_image=noise, start_at_step=0, end_at_step=10000,
            return_with_leftover_noise="disable", **schedule,
        )["LATENT"]  # fmt: skip
        _results(block, block.add("VAEDecode", samples=sampled, vae=base["vae"])["IMAGE"], fps)
    return block


def _text(block: Block, base: dict[str, Wire], text: Wire | str, title: str, color: str = GREEN) -> Wire:
    node = block.add("CLIPTextEncode", clip=base["clip"], text=text, title=title, size=WIDE, color=color)
    return node["CONDITIONING"]


def _results(block: Block, images: Wire, fps: Wire) -> None:
    """Frames and the video of them, as outputs."""
    video = block.add("CreateVideo", images=images, fps=fps)["VIDEO"]
    block.outputs = {"video": video, "images": images}


def all_blueprints() -> list[Block]:
    """All of them, in the order of the documents."""
    return [image_to_video(), train_on_a_folder(), motion(), action(), edit()]
