#!/usr/bin/env bash
# diffusers: with beta, exponential or Karras levels a flow model's shift has next to no effect, or the flow itself is gone.
#
# Guess: the spacing says how steps are spread over the shifted levels, as in other programs: a larger shift still moves each
#   of them up, and levels of a flow lie within 0 and 1.
# Seen with Python 3, diffusers 0.42.1, torch 2.11.0, numpy 2.2.6, scipy 1.15.3; the middle one of 7 steps, shift 1 and shift 8:
#   flow-matching Euler: evenly spread 0.50 0.89, beta 0.50 0.53, exponential 0.03 0.25, Karras 0.07 0.28. Only the ends of
#   the shifted row are used, 1 and the smallest
#   UniPC and DPM++ with `use_flow_sigmas`: evenly spread 0.57 0.91; with beta also asked for 78.7 and 78.7: the levels are those
#   of a noise schedule from 157 down, for a model that reads them as parts of 1. Asking for both raises nothing
# Why it matters: video models are sampled at shift 3 to 12 because most of the work is at high noise; who turns on beta there
#   gets a schedule without it, or noise for a result, and blames the LoRA.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 torch==2.11.0 numpy==2.2.6 scipy==1.15.3
cat > "$folder/look.py" <<'PY'
from importlib.metadata import version

from diffusers import DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

STEPS, SHIFTS = 7, (1.0, 8.0)
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}


def middle(make, shift, **chosen):
    named = {"shift": shift} if make is FlowMatchEulerDiscreteScheduler else {"flow_shift": shift, **FLOW}
    scheduler = make(**named, **chosen)
    scheduler.set_timesteps(STEPS)
    return float(scheduler.sigmas[STEPS // 2])


print("diffusers", version("diffusers"))
for spacing in ("evenly", "beta", "exponential", "karras"):
    chosen = {} if spacing == "evenly" else {f"use_{spacing}_sigmas": True}
    print("Euler", spacing, *(f"{middle(FlowMatchEulerDiscreteScheduler, shift, **chosen):.2f}" for shift in SHIFTS))
for make in (UniPCMultistepScheduler, DPMSolverMultistepScheduler):
    for chosen in ({}, {"use_beta_sigmas": True}):
        print(make.__name__, *chosen, *(f"{middle(make, shift, **chosen):.2f}" for shift in SHIFTS))
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
diffusers 0.42.1
Euler evenly 0.50 0.89
Euler beta 0.50 0.53
Euler exponential 0.03 0.25
Euler karras 0.07 0.28
UniPCMultistepScheduler 0.57 0.91
UniPCMultistepScheduler use_beta_sigmas 78.71 78.71
DPMSolverMultistepScheduler 0.57 0.91
DPMSolverMultistepScheduler use_beta_sigmas 78.71 78.71
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
