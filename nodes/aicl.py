"""AICL: the action of reference clips, performed by the prompted subject."""

from __future__ import annotations

from comfy_api.latest import io

from .host.aicl.adapter import adapter_names, adapter_stamp, read_adapter
from .host.aicl.apply import apply_action
from .host.aicl.encode import encode_action
from .sockets import AiclAction, AiclAdapter, Node

CATEGORY = "FewShot Video/AICL"
MORE = (2, 3, 4)  # numbers of the optional references


class AICLLoad(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AICLLoad",
            display_name="AICL Load",
            category=CATEGORY,
            description="Loads an AICL adapter, which lets one base model learn actions from reference clips.",
            search_aliases=["action in-context learning", "echoreel", "motion reference"],
            inputs=[
                io.Combo.Input(
                    "name",
                    options=adapter_names(),
                    tooltip="A .safetensors file of the aicl folders; toy_actions and toy_fine_actions come with "
                    "the pack, for the coarse and the fine Toy Video Model.",
                ),
                io.Model.Input(
                    "model", optional=True, tooltip="The base model; an adapter of another one is refused at once."
                ),
            ],
            outputs=[AiclAdapter.Output("adapter", tooltip="To AICL Encode Action.")],
        )

    @classmethod
    def execute(cls, name: str, model=None) -> io.NodeOutput:
        return io.NodeOutput(read_adapter(name, model))

    @classmethod
    def fingerprint_inputs(cls, name: str, **_others) -> str:
        return adapter_stamp(name)


class AICLEncodeAction(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AICLEncodeAction",
            display_name="AICL Encode Action",
            category=CATEGORY,
            description=(
                "Reads the action out of one to four reference clips, once; sampling uses it in every step. "
                "The references may be of other sizes and lengths than the video."
            ),
            search_aliases=["action prism", "motion reference"],
            inputs=[
                AiclAdapter.Input("adapter", tooltip="From AICL Load or AICL Train."),
                io.Vae.Input("vae", tooltip="The base model's own VAE; it encodes the references."),
                _reference("reference", "The first reference: a clip of the action."),
                io.Conditioning.Input(
                    "conditioning", tooltip="The caption of the reference, from the base model's text encoder."
                ),
                *(
                    _reference(f"reference_{n}", f"Reference {n}: another clip of the same action.", optional=True)
                    for n in MORE
                ),
                *(
                    io.Conditioning.Input(
                        f"conditioning_{n}", optional=True, tooltip=f"Caption of reference {n}; without it the first's."
                    )
                    for n in MORE
                ),
                io.Int.Input(
                    "max_frames",
                    default=81,
                    min=0,
                    max=4096,
                    optional=True,
                    tooltip="Frames taken of each reference, evenly; 0 takes all. Fewer need less memory.",
                ),
            ],
            outputs=[AiclAction.Output("action", tooltip="To AICL Apply.")],
        )

    @classmethod
    def execute(cls, adapter, vae, reference, conditioning, max_frames=81, **more) -> io.NodeOutput:
        given = [(reference, conditioning)]
        for number in MORE:
            caption = more.get(f"conditioning_{number}")
            if more.get(f"reference_{number}") is None and caption is not None:
                raise ValueError(f"conditioning_{number} has no reference_{number}; connect it too, or disconnect both")
            if more.get(f"reference_{number}") is not None:
                given.append((more[f"reference_{number}"], conditioning if caption is None else caption))
        return io.NodeOutput(encode_action(adapter, vae, given, max_frames))


def _reference(name: str, what: str, optional: bool = False) -> io.MultiType.Input:
    return io.MultiType.Input(
        name, types=[io.Image, io.Video], optional=optional, tooltip=f"{what} Any size, 5 frames or more."
    )


class AICLApply(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AICLApply",
            display_name="AICL Apply",
            category=CATEGORY,
            description=(
                "Makes the prompted subject perform the action of the references, with any sampler. Several actions, "
                "LoRAs and TIC-FT contexts combine. The base model is not changed."
            ),
            search_aliases=["action in-context learning", "motion transfer"],
            inputs=[
                io.Model.Input("model", tooltip="The base model the adapter was trained on. It is not changed."),
                AiclAction.Input("action", tooltip="From AICL Encode Action."),
                io.Float.Input(
                    "strength",
                    default=1.0,
                    min=-4.0,
                    max=4.0,
                    step=0.05,
                    tooltip="How much of the action is added (a factor): 1 as trained, 0 exactly the base model.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of the sampling (0 to 1) from which on the action acts.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="Share of the sampling (0 to 1) up to which the action acts.",
                ),
                io.Float.Input(
                    "action_guidance",
                    default=0.0,
                    min=0.0,
                    max=30.0,
                    step=0.5,
                    optional=True,
                    tooltip="0: the sampler's cfg guides by the text alone, as published. Else a cfg (a factor) of the "
                    "action's own beside the text's; each step then takes one evaluation more.",
                ),
            ],
            outputs=[io.Model.Output("model_out", display_name="model", tooltip="The model that performs the action.")],
        )

    @classmethod
    def execute(
        cls, model, action, strength, start_percent, end_percent, action_guidance: float = 0.0
    ) -> io.NodeOutput:
        return io.NodeOutput(apply_action(model, action, strength, start_percent, end_percent, action_guidance))


NODES = [AICLLoad, AICLEncodeAction, AICLApply]
