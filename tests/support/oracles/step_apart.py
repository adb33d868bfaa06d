"""One TIC-FT training step in the host, taken apart: what went in, what the network saw, what came out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from clip_pairs import encoded_pairs


def step_apart(
    model: Any, recipe: Any, config: Any, levels: tuple[float, ...] = (), data: Any = None
) -> dict[str, Any]:
    """Train ``config.steps``, then take the next step apart; ``levels`` in place of the drawn ones.

    Returns:
        ``xt``, ``timestep``, ``context``, its ``mask``, ``frame_rate`` and CLIP ``features`` as the network got them,
        its ``output``, the ``batch``, the ``loss`` of each clip, the ``lora`` so far, the ``samples`` of the data set
        and their VAE ``latents``.
    """
    from pack.nodes.host.model.video_model import video_model
    from pack.nodes.host.session.session import training_session
    from pack.nodes.host.trainers.tic_ft import make_objective
    from pack.training.core.batches import StepGenerators, batch_indices
    from pack.training.core.loop import train

    data, seen = encoded_pairs(clips=4) if data is None else data, {}
    objective = make_objective(video_model(model), data, recipe, config)

    def look(_network: Any, args: tuple, kwargs: dict) -> None:
        names = {"context": "context", "features": "clip_fea", "mask": "attention_mask", "frame_rate": "frame_rate"}
        video = [part[0] if isinstance(part, (list, tuple)) else part for part in args[:2]]  # the first of streams
        seen.update(xt=video[0], timestep=video[1], **{ours: kwargs.get(theirs) for ours, theirs in names.items()})

    with training_session(video_model(model), config) as session:
        train(objective, session.predict, session.trained.parameters(), config)
        network = model.model.diffusion_model
        handles = [
            network.register_forward_pre_hook(look, with_kwargs=True),
            network.register_forward_hook(lambda _network, _args, output: seen.update(output=output.detach())),
        ]
        indices = batch_indices(config.seed, config.steps, objective.size, config.batch_size)
        batch = objective.batch(indices, StepGenerators.at(config.seed, config.steps))
        if levels:
            batch = replace(batch, sigma=torch.tensor(levels))
        loss = objective.loss(session.predict, batch).per_sample.detach()
        for handle in handles:
            handle.remove()
        lora = session.trained.tensors()
    latents = torch.stack([data.encode(recipe).samples[i].latents["x0"] for i in indices])
    samples = [data.dataset.samples[i] for i in indices]
    return {**seen, "batch": batch, "loss": loss, "lora": lora, "latents": latents, "samples": samples}
