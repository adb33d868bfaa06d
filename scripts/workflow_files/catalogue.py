"""The list of all workflows that workflows/ holds."""

from __future__ import annotations

from workflow_files.aicl import aicl_workflows
from workflow_files.bases.bernini import bernini_workflows
from workflow_files.bases.cogvideox import cogvideox_workflows
from workflow_files.bases.hunyuan import hunyuan_workflows
from workflow_files.bases.ltx2 import ltx2_workflows
from workflow_files.bases.wan import wan_workflows
from workflow_files.bases.wan22 import wan22_workflows
from workflow_files.bases.wan22_i2v import wan22_i2v_workflows
from workflow_files.bases.wan22_train import wan22_train_workflows
from workflow_files.first_run import first_run
from workflow_files.graph import Graph
from workflow_files.grid import grid_workflows
from workflow_files.long_video import long_video_workflows
from workflow_files.lora_files import lora_file_workflows
from workflow_files.motion import motion_workflows
from workflow_files.template_clips import template_workflows
from workflow_files.toy import toy_workflows
from workflow_files.tune_a_video import tune_a_video_workflows


def all_graphs() -> list[Graph]:
    """Their descriptions."""
    return [
        first_run(),
        *toy_workflows(),
        *template_workflows(),
        *grid_workflows(),
        *long_video_workflows(),
        *wan_workflows(),
        *wan22_workflows(),
        *wan22_train_workflows(),
        *wan22_i2v_workflows(),
        *bernini_workflows(),
        *hunyuan_workflows(),
        *ltx2_workflows(),
        *cogvideox_workflows(),
        *lora_file_workflows(),
        *tune_a_video_workflows(),
        *motion_workflows(),
        *aicl_workflows(),
    ]
