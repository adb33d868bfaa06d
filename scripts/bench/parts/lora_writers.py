"""LoRA files as other libraries write them, each beside what its own library adds to the weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

RANK, ALPHA = 4, 6.0
# Of diffusers, by the first letters of the network's class: each saves the LoRAs of its own. That of HunyuanVideo 1.5
# has no method for it in 0.42; that of 1.0 writes what a script for 1.5 gives it.
PIPELINES = {
    "CogVideoX": "CogVideoXPipeline",
    "HunyuanVideo": "HunyuanVideoPipeline",
    "Kandinsky5": "Kandinsky5T2VPipeline",
    "LTX2": "LTX2Pipeline",
    "LTX": "LTXPipeline",
    "Wan": "WanPipeline",
}
Change = dict[str, Tensor]  # what is added, by the layer's name in the network
Writer = Callable[[nn.Module, Path], Change]  # writes into a new folder, which then holds one safetensors file

ATTENTION = ("to_q", "to_k", "to_v", "to_query", "to_key", "to_value")  # the last three of Kandinsky 5


def stir(modules: Iterator[tuple[str, Tensor]]) -> None:
    """Random values of a trained size in place of those of the start, where a product is zero."""
    generator = torch.Generator().manual_seed(0)
    for name, value in modules:
        values = torch.randn(value.shape, generator=generator) * 0.2
        positive = any(word in name for word in ("dora_scale", "magnitude", "scalar"))
        value.data = (value.data.abs() + 0.1) * (1.0 + values.abs()) if positive else values


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Copies of all weights of linear layers and convolutions."""
    return {
        name: layer.weight.detach().clone()
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d, nn.Conv3d))
    }


def difference(before: dict[str, Tensor], after: dict[str, Tensor]) -> Change:
    """What was added to the layers that are not what they were."""
    return {name: after[name] - before[name] for name in before if not torch.equal(before[name], after[name])}


@torch.no_grad()
def multiplied_by(layer: Any, weight: Tensor) -> Tensor:
    """What a linear layer multiplies by now; its weight where it has no adapter, as all other layers."""
    if not isinstance(layer, nn.Linear) or layer.forward.__func__ is nn.Linear.forward:
        return weight
    unit = torch.eye(layer.in_features, dtype=weight.dtype)
    return (layer(unit) - layer(torch.zeros_like(unit[:1]))).T


def peft(kind: str, **settings: Any) -> Writer:
    """A folder of PEFT's ``save_pretrained``."""

    def write(network: nn.Module, folder: Path) -> Change:
        import peft as library

        settings.setdefault("target_modules", list(ATTENTION))
        config = getattr(library, f"{kind}Config")(r=RANK, **settings)
        before = weights_of(network)
        model = library.get_peft_model(network, config)
        stir((name, value) for name, value in model.named_parameters() if value.requires_grad)
        model.save_pretrained(str(folder))
        return difference(before, weights_of(model.merge_and_unload()))

    return write


def diffusers(metadata: bool = True, **settings: Any) -> Writer:
    """A file of a pipeline's ``save_lora_weights``; diffusers calls PEFT for the layers."""

    def write(network: nn.Module, folder: Path) -> Change:
        import diffusers as library_of_networks
        import peft as library

        kind = type(network).__name__
        pipeline = getattr(
            library_of_networks, next(name for start, name in PIPELINES.items() if kind.startswith(start))
        )
        config = library.LoraConfig(r=RANK, target_modules=list(ATTENTION), **settings)
        before = weights_of(network)
        network.add_adapter(config)
        stir((name, value) for name, value in network.named_parameters() if "lora_" in name)
        said = {"transformer_lora_adapter_metadata": config.to_dict()} if metadata else {}
        tensors = library.get_peft_model_state_dict(network)
        pipeline.save_lora_weights(str(folder), transformer_lora_layers=tensors, **said)
        network.fuse_lora()
        network.unload_lora()
        return difference(before, weights_of(network))

    return write


def lycoris(algo: str, prefix: str = "lycoris", **settings: Any) -> Writer:
    """A file of ``LycorisNetwork.save_weights``; musubi-tuner and kohya's scripts have another prefix."""

    def write(network: nn.Module, folder: Path) -> Change:
        from lycoris import LycorisNetwork, create_lycoris, logging

        logging.logger.setLevel("ERROR")
        LycorisNetwork.apply_preset({"target_module": [], "target_name": [".*to_q", ".*to_k", ".*to_v", ".*[.][qkv]"]})
        options = {"linear_dim": RANK, "linear_alpha": ALPHA, **settings}
        LycorisNetwork.LORA_PREFIX = prefix
        before = weights_of(network)
        made = create_lycoris(network, 1.0, algo=algo, **options)
        made.apply_to()
        stir((name, value) for name, value in made.named_parameters() if value.requires_grad)
        made.save_weights(str(folder / "model.safetensors"), None, {"format": "pt"})
        # What the layers compute: ``merge_to`` of LyCORIS 4.1 takes the scale of a LoHa and a LoKr twice.
        return difference(before, {name: multiplied_by(network.get_submodule(name), before[name]) for name in before})

    return write


def formula(prefix: str = "lora_unet_", flat: bool = True) -> Writer:
    """The names of kohya's scripts and of musubi-tuner; what they add is their formula, ``alpha / rank up down``."""

    def write(network: nn.Module, folder: Path) -> Change:
        from safetensors.torch import save_file

        generator, tensors, change = torch.Generator().manual_seed(0), {}, {}
        for name, weight in weights_of(network).items():
            up, down = (
                torch.randn(size, generator=generator) for size in ((len(weight), RANK), (RANK, weight[0].numel()))
            )
            key = prefix + (name.replace(".", "_") if flat else name)
            kernel = (RANK, *weight.shape[1:])
            tensors |= {f"{key}.lora_up.weight": up.view(*up.shape, *[1] * (weight.ndim - 2)).contiguous()}
            tensors |= {f"{key}.lora_down.weight": down.view(kernel).contiguous(), f"{key}.alpha": torch.tensor(ALPHA)}
            change[name] = (ALPHA / RANK * up @ down).view(weight.shape)
        save_file(tensors, folder / "model.safetensors")
        return change

    return write


# By row of the table: whether the network is the host's or diffusers', and the writer.
WRITERS: dict[str, tuple[str, Writer]] = {
    "diffusers, LoRA": ("diffusers", diffusers(lora_alpha=ALPHA)),
    "diffusers, LoRA without settings": ("diffusers", diffusers(metadata=False, lora_alpha=RANK)),
    "diffusers, rank-stabilised LoRA": ("diffusers", diffusers(lora_alpha=ALPHA, use_rslora=True)),
    "diffusers, DoRA": ("diffusers", diffusers(lora_alpha=ALPHA, use_dora=True)),
    "PEFT, LoRA": ("diffusers", peft("Lora", lora_alpha=ALPHA)),
    "PEFT, rank-stabilised LoRA": ("diffusers", peft("Lora", lora_alpha=ALPHA, use_rslora=True)),
    "PEFT, LoRA with alphas by layer": (
        "diffusers", peft("Lora", lora_alpha=ALPHA, rank_pattern={"to_k": 2, "to_key": 2},
                                alpha_pattern={"to_v": 1, "to_value": 1})
    ),
    "PEFT, DoRA": ("diffusers", peft("Lora", lora_alpha=ALPHA, use_dora=True)),
    "PEFT, LoRA with biases": ("diffusers", peft("Lora", lora_alpha=ALPHA, bias="lora_only")),
    "PEFT, LoHa": ("diffusers", peft("LoHa", alpha=ALPHA)),
    "PEFT, LoKr": ("diffusers", peft("LoKr", alpha=ALPHA)),
    "PEFT, LoKr decomposed": ("diffusers", peft("LoKr", alpha=ALPHA, decompose_both=True, decompose_factor=4)),
    "PEFT, OFT": ("diffusers", peft("OFT", oft_block_size=0)),
    "LyCORIS, LoCon": ("diffusers", lycoris("locon")),
    "LyCORIS, LoCon rank-stabilised": ("diffusers", lycoris("locon", rs_lora=True)),
    "LyCORIS, DoRA by output": ("diffusers", lycoris("locon", dora_wd=True, wd_on_out=True)),
    "LyCORIS, DoRA by input": ("diffusers", lycoris("locon", dora_wd=True, wd_on_out=False)),
    "LyCORIS, LoHa": ("diffusers", lycoris("loha")),
    "LyCORIS, LoHa with DoRA": ("diffusers", lycoris("loha", dora_wd=True)),
    "LyCORIS, LoKr": ("diffusers", lycoris("lokr", factor=4)),
    "LyCORIS, LoKr of full matrices": ("diffusers", lycoris("lokr", factor=4, full_matrix=True)),
    "LyCORIS, LoKr with DoRA": ("diffusers", lycoris("lokr", factor=4, dora_wd=True)),
    "LyCORIS, full": ("diffusers", lycoris("full")),
    "LyCORIS, GLoRA": ("diffusers", lycoris("glora")),
    "LyCORIS, OFT": ("diffusers", lycoris("diag-oft")),
    "LyCORIS, BOFT": ("diffusers", lycoris("boft", linear_dim=6)),
    "LyCORIS, IA3": ("diffusers", lycoris("ia3")),
    "kohya and musubi-tuner, LoRA": ("host", formula()),
    "musubi-tuner, LoHa": ("host", lycoris("loha", "lora_unet")),
    "musubi-tuner, LoKr": ("host", lycoris("lokr", "lora_unet", factor=4)),
    "kohya, DoRA": ("host", lycoris("locon", "lora_unet", dora_wd=True)),
    "ComfyUI, LoRA": ("host", formula("diffusion_model.", flat=False)),
    "OneTrainer, LoRA": ("diffusers", formula("lora_transformer_")),
}  # fmt: skip
