"""Inversion: the noise that a clip comes from, to start another clip with the same motion."""

from __future__ import annotations

from comfy_api.latest import io

from .host.sampling.inversion import invert, schedulers
from .host.sampling.inversion_inputs import CHOICES, InversionSettings
from .sockets import Node, tuning_preset


class FewShotInversion(Node):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="FewShotInversion",
            display_name="Inversion",
            category="FewShot Video/Tune-A-Video",
            description=(
                "Finds the noise that a clip comes from, so that a sampler makes the clip again, or another one with "
                "its motion. Latent: for KSampler (Advanced) with added noise off. Noise: for flow models."
            ),
            search_aliases=["DDIM inversion", "unsampling", "video to noise", "fixed-point inversion"],
            inputs=[
                io.Model.Input("model", tooltip="The model to sample with, tuned or not. It is not changed."),
                io.Conditioning.Input("conditioning", tooltip="Prompt of the inversion; the paper leaves it empty."),
                io.Latent.Input("latent", tooltip="Latents of the source clip, from VAE Encode."),
                io.Int.Input("steps", default=50, min=1, max=10000, tooltip="Steps; the sampler must take as many."),
                io.Combo.Input(
                    "scheduler",
                    options=schedulers(),
                    default="normal",
                    optional=True,
                    tooltip="Schedule of the noise levels; the sampler must have the same.",
                ),
                io.Combo.Input(
                    "method",
                    options=list(CHOICES),
                    default=CHOICES[0],
                    optional=True,
                    tooltip="How a step finds where it came from; automatic is ddim, and fixed-point for flow models.",
                ),
                io.Int.Input(
                    "iterations",
                    default=3,
                    min=1,
                    max=100,
                    optional=True,
                    tooltip="Refinements of a step (a count), for fixed-point; each takes as long as the step.",
                ),
                io.Conditioning.Input("negative", optional=True, tooltip="Negative prompt; used where cfg is not 1."),
                io.Float.Input(
                    "cfg",
                    default=1.0,
                    min=0.0,
                    max=100.0,
                    step=0.1,
                    optional=True,
                    tooltip="Guidance during the inversion (a factor); 1 for none, as in the paper.",
                ),
                io.Float.Input(
                    "inverted",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    optional=True,
                    tooltip="Share of inverted noise, 0 to 1; the rest is fresh noise, which gives more freedom.",
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=io.ControlAfterGenerate.fixed,
                    optional=True,
                    tooltip="Decides the fresh noise (a number).",
                ),
                io.Int.Input(
                    "stride",
                    default=1,
                    min=1,
                    max=256,
                    optional=True,
                    tooltip="Every so many-th frame is inverted, as Tune-A-Video Train takes them; 1: each.",
                ),
                io.Int.Input(
                    "frames",
                    default=0,
                    min=0,
                    max=4096,
                    optional=True,
                    tooltip="Frames that are inverted, counted at the stride; 0: all.",
                ),
                tuning_preset(
                    "ddim on the timesteps of ddim_uniform, from the first timestep's level, no guidance, "
                    "24 frames at a stride of 2"
                ),
            ],
            outputs=[
                io.Latent.Output(
                    display_name="latent",
                    tooltip="Noisy latents, for samplers with added noise off. Flow models: an empty latent.",
                ),
                io.Noise.Output(
                    display_name="noise", tooltip="The same as noise, for SamplerCustomAdvanced with an empty latent."
                ),
            ],
        )

    @classmethod
    def execute(cls, model, conditioning, latent, steps, negative=None, **options) -> io.NodeOutput:
        return io.NodeOutput(*invert(model, conditioning, latent, InversionSettings(steps, **options), negative))


NODES = [FewShotInversion]
