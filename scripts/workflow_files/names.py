"""The names that people read: the title of each workflow, which is its file's name, by the key that programs use.

The keys name what a workflow writes (videos, LoRAs, runs), so they have no spaces; the template browser shows the
titles. Letters, digits, spaces and ``- .`` suit the file systems of all users.
"""

from __future__ import annotations

START = "tic_ft_image_to_video_toy"  # what a newcomer runs first
TOY = "toy model"
WAN21, WAN22, COGVIDEOX = "Wan 2.1 1.3B", "Wan 2.2 14B", "CogVideoX 5B"

TITLES = {
    START: f"Start here - TIC-FT image to video - {TOY}",
    "tic_ft_train_toy": f"TIC-FT train, step by step - {TOY}",
    "tic_ft_zero_shot_toy": f"TIC-FT without training - {TOY}",
    "tic_ft_video_to_video_toy": f"TIC-FT video to video - {TOY}",
    "tic_ft_keyframes_toy": f"TIC-FT keyframes - {TOY}",
    "tic_ft_multiple_images_toy": f"TIC-FT multiple images - {TOY}",
    "tic_ft_action_transfer_toy": f"TIC-FT action transfer - {TOY}",
    "tic_ft_template_clips_toy": f"TIC-FT train on real clips - {TOY}",
    "tic_ft_grid_toy": f"TIC-FT choose a checkpoint - {TOY}",
    "tic_ft_long_video_toy": f"TIC-FT video of any length - {TOY}",
    "tic_ft_train_wan21_1_3b": f"TIC-FT train - {WAN21}",
    "tic_ft_image_to_video_wan21_1_3b": f"TIC-FT image to video - {WAN21}",
    "tic_ft_long_video_wan21_1_3b": f"TIC-FT style transfer of any length - {WAN21}",
    "tic_ft_image_to_video_wan22_5b": "TIC-FT image to video - Wan 2.2 5B",
    "tic_ft_train_wan22_14b": f"TIC-FT train - {WAN22}",
    "tic_ft_image_to_video_wan22_14b": f"TIC-FT image to video - {WAN22}",
    "bernini_with_tic_ft": "TIC-FT with references - Bernini",
    "tic_ft_hunyuan15": "TIC-FT train, then image to video - HunyuanVideo 1.5",
    "tic_ft_train_ltx2": "TIC-FT train - LTX-2.3",
    "tic_ft_image_to_video_ltx2": "TIC-FT image to video - LTX-2.3",
    "tic_ft_train_cogvideox_5b": f"TIC-FT train - {COGVIDEOX}",
    "tic_ft_image_to_video_cogvideox_5b": f"TIC-FT image to video - {COGVIDEOX}",
    "tic_ft_lora_files_wan21_1_3b": f"TIC-FT LoRA files for other tools - {WAN21}",
    "tune_a_video_toy": f"Tune-A-Video edit a clip - {TOY}",
    "tune_a_video_sd15": "Tune-A-Video edit a clip - SD 1.5",
    "motion_toy": f"One-shot motion of a clip - {TOY}",
    "motion_wan21_1_3b": f"One-shot motion of a clip - {WAN21}",
    "motion_wan22_14b_i2v": f"One-shot motion for a picture - {WAN22} I2V",
    "motion_cogvideox_5b": f"One-shot motion of a clip - {COGVIDEOX}",
    "aicl_toy": f"AICL action of clips - {TOY}",
    "aicl_train_toy": f"AICL train an adapter - {TOY}",
    "aicl_wan21_1_3b": f"AICL train, then the action of a clip - {WAN21}",
    "aicl_cogvideox_5b": f"AICL train, then the action of a clip - {COGVIDEOX}",
}


def title_of(key: str) -> str:
    """Title of a workflow, and its file's stem.

    Raises:
        ValueError: the table does not have it.
    """
    if key not in TITLES:
        raise ValueError(f"workflow {key} has no title; give it one in scripts/workflow_files/names.py")
    return TITLES[key]


def key_of(name: str) -> str:
    """Key of a workflow, from its title or from the key itself.

    Raises:
        ValueError: the table has neither.
    """
    keys = {title: key for key, title in TITLES.items()} | {key: key for key in TITLES}
    if name not in keys:
        raise ValueError(f"there is no workflow {name}; scripts/workflow_files/names.py lists them")
    return keys[name]
