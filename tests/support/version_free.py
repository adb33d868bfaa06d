"""Tests that one version of ComfyUI settles for all: none of what they show is the host's.

`python scripts/test.py` runs them in the first ComfyUI and not again in the others; run in one alone, as
`scripts/test.py --host 0.27.0` does, they are not left out. A test stays off this list when another version could
change its outcome: what asks the host's samplers, loaders, memory, files, routes or schemas is run in every one.
"""

from __future__ import annotations

VERSION_FREE = {  # node ids of pytest, or how they begin; and why one version is enough
    "tests/distributed": "what processes exchange is ours; the host's part of it is a run's, in nodes/runs",
    "tests/fuzz": "what the random values meet are our own checks; plain calls of every node run in each version",
    "tests/nodes/runs/test_killed.py": "the files of a run are written by training/storage, which knows no host",
    "tests/nodes/runs/test_changed_surroundings.py::test_a_run_goes_on_in_a_newer_comfyui": "it starts both itself",
    "tests/nodes/runs/test_disk_faults.py": "likewise; each kind of fault is put into our own calls",
    "tests/nodes/workflows/test_demo.py": "the demo's script; its nodes and templates run in workflows/test_run.py",
    "tests/nodes/workflows/test_run.py::test_a_toy_workflow_runs_and_makes_exactly_its_frames[tic_ft_grid_toy]": (
        "it trains as tic_ft_train_toy does; the grid itself is test_grid.py's"
    ),
    "tests/nodes/workflows/test_run.py::test_a_toy_workflow_runs_and_makes_exactly_its_frames[aicl_train_toy]": (
        "aicl_toy runs in each, and so do session/test_aicl.py and trainers/test_aicl.py"
    ),
    "tests/nodes/layers/test_compiled.py::test_a_run_that_goes_on_has_the_same_bytes_and_leaves_nothing_on_the_model": (
        "compiling is undone by ours, and its numbers are torch's"
    ),
    "tests/nodes/session/test_step_size.py": "counted and real step are of one network; plan/test_plan.py runs in each",
    "tests/nodes/plan/test_plan.py::test_the_memory_of_a_large_step_is_predicted_from_small_ones": (
        "small and large step are of one network; the other plans of that file run in each version"
    ),
    "tests/nodes/layers/test_quantised_training.py::test_the_plan_counts_the_weights_as_they_are_stored": (
        "counted by sizes; training on the same stored weights runs in each version"
    ),
    "tests/nodes/trainers/test_family_resume.py": (
        "states are written and read by training/runs; each family trains in every version in test_family_training.py"
    ),
    "tests/nodes/plan/test_methods.py": "the methods' losses are ours; the plan of a network is plan/test_plan.py's",
    "tests/nodes/model/test_toy.py::test_the_base_follows_held_out_prompts": "what the shipped weights have learned",
    "tests/nodes/model/test_toy.py::test_the_vae_keeps_clips_of_the_world": "what the shipped weights have learned",
    "tests/nodes/model/test_toy.py::test_latents_of_the_world_have_unit_scale_in_the_models_space": "likewise",
    "tests/nodes/model/test_toy_image_weights.py": "what the shipped weights have learned; test_toy_image.py runs them",
    "tests/nodes/model/test_toy_action_weights.py": "what the shipped adapter has learned; test_toy_action.py runs it",
    "tests/nodes/model/test_toy_image_pretrain.py": "how the shipped weights were made, once",
    "tests/nodes/model/test_toy_pretrain.py": "how the shipped weights were made, once",
    "tests/nodes/model/test_toy_action.py::test_a_short_training_learns_from_latents_on_disk_and_goes_on": "likewise",
    "tests/nodes/model/test_toy_action.py::test_a_fresh_adapter_loses_the_same_with_any_reference": "likewise",
}


def is_version_free(test: str) -> bool:
    """Whether a test, named by its node id, is settled by one version of ComfyUI."""
    return any(test == start or test.startswith((f"{start}/", f"{start}::", f"{start}[")) for start in VERSION_FREE)
