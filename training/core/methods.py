"""The methods by the names that files, folders and metadata know them by."""

from __future__ import annotations

TIC_FT, AICL, TUNE_A_VIDEO = "tic_ft", "aicl", "tune_a_video"
MOTION, APPEARANCE = "motion", "appearance"  # the two stages of one-shot motion
TITLES = {
    TIC_FT: "TIC-FT",
    MOTION: "one-shot motion",
    APPEARANCE: "appearance of one-shot motion",
    AICL: "AICL",
    TUNE_A_VIDEO: "Tune-A-Video",
}  # as people read them
