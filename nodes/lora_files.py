"""LoRA files for other tools, and how a LoRA was made."""

from __future__ import annotations

from comfy_api.latest import io

from ..training.lora.convert import FAMILIES
from ..training.lora.foreign import FORMATS
from .host.model.loras import convert_lora_file, lora_names, lora_stamp, run_record_of
from .sockets import Node

FROM_NAMES = "from the names"


class FewShotConvertLoRA(Node):
    """Writes a LoRA in the names of another tool."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotConvertLoRA",
            display_name="Convert LoRA",
            category="FewShot Video/training",
            description=(
                "Writes a LoRA in the names that another tool reads, without loss: converted back it is the same, bit "
                "for bit. For Wan, CogVideoX, LTX, HunyuanVideo and Kandinsky 5. The new file is in output/loras."
            ),
            search_aliases=["export lora", "diffusers lora", "peft", "kohya", "musubi", "rename lora keys"],
            is_output_node=True,
            inputs=[
                io.Combo.Input("lora_name", options=lora_names(), tooltip="A .safetensors file of the loras folders."),
                io.Combo.Input(
                    "format",
                    options=list(FORMATS),
                    default="diffusers",
                    tooltip="Whose names the new file has. ComfyUI: its own loader's and this pack's. diffusers: also "
                    "PEFT's and those of the TIC-FT authors. kohya: also musubi-tuner's.",
                ),
                io.Combo.Input(
                    "family",
                    options=[FROM_NAMES, *FAMILIES],
                    default=FROM_NAMES,
                    optional=True,
                    tooltip="The model the LoRA is for. Only needed where its names are those of several families.",
                ),
            ],
            outputs=[io.String.Output("path", tooltip="Where the new file is.")],
        )

    @classmethod
    def execute(cls, lora_name: str, format: str, family: str = FROM_NAMES) -> io.NodeOutput:
        return io.NodeOutput(str(convert_lora_file(lora_name, format, "" if family == FROM_NAMES else family)))

    @classmethod
    def fingerprint_inputs(cls, lora_name: str | None = None, **_others) -> str:
        return lora_stamp(lora_name or "")


class FewShotRunRecord(Node):
    """Says how a LoRA was made."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotRunRecord",
            display_name="LoRA Run Record",
            category="FewShot Video/training",
            description=(
                "Reads from a LoRA how it was trained: a JSON with its settings and the graph that trains it again, "
                "without any path of your machine, and one line to cite."
            ),
            search_aliases=["lora metadata", "reproduce", "citation", "how was it trained"],
            inputs=[
                io.Combo.Input(
                    "lora_name", options=lora_names(), tooltip="A LoRA that a Train node of this pack has saved."
                ),
            ],
            outputs=[
                io.String.Output("json", tooltip="Settings, digest of the tensors, and the graph as /prompt takes it."),
                io.String.Output("citation", tooltip="How the LoRA was made, in one line."),
            ],
        )

    @classmethod
    def execute(cls, lora_name: str) -> io.NodeOutput:
        return io.NodeOutput(*run_record_of(lora_name))

    @classmethod
    def fingerprint_inputs(cls, lora_name: str | None = None) -> str:
        return lora_stamp(lora_name or "")


NODES = [FewShotConvertLoRA, FewShotRunRecord]
