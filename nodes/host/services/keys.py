"""Names under which the pack puts wrappers, attachments and callbacks on a host MODEL, and data in a node's UI."""

from __future__ import annotations

FORWARDS_KEY = "fewshot_forwards"  # forwards of modules that are replaced
TIC_FT_KEY = "fewshot_tic_ft"
AICL_KEY = "fewshot_aicl"
TUNE_A_VIDEO_KEY = "fewshot_tune_a_video"
MOTION_KEY = "fewshot_video_motion"
TIMELINE_KEY = "fewshot_timeline"
