#!/usr/bin/env bash
# diffusers: the last step of its flow-matching Euler takes away almost nothing.
#
# Guess: N steps stand at N evenly spaced levels, 1, 1 - 1/N ... 1/N, moved by the shift and followed by 0, as UniPC of the
#   same library has them; if the training's smallest level ends the row, it is the shifted one, 0.005 at shift 5.
# Seen with Python 3, diffusers 0.42.1, torch 2.11.0, numpy 2.2.6, shift 5, levels of 4 steps:
#   UniPC: 1.000 0.938 0.834 0.626 0
#   Euler: 1.000 0.910 0.717 0.024 0; of two steps: 1.000 0.024 0. Its N levels reach from 1 to the smallest of the training,
#   which has been shifted when the scheduler was made and is shifted again here
# Why it matters: of 4 evaluations 3 do the work, of 2 one; comparing samplers or programs "at 4 steps" compares other levels,
#   and a distilled model meets levels that it was not trained on. Levels given by hand are shifted once.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 torch==2.11.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
from importlib.metadata import version

from diffusers import FlowMatchEulerDiscreteScheduler, UniPCMultistepScheduler

SHIFT = 5.0


def told(name, scheduler, **chosen):
    scheduler.set_timesteps(**chosen)
    print(name, *(f"{float(sigma):.3f}" for sigma in scheduler.sigmas))


def euler():
    return FlowMatchEulerDiscreteScheduler(shift=SHIFT)


print("diffusers", version("diffusers"))
unipc = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=SHIFT)
told("UniPC", unipc, num_inference_steps=4)
for steps in (4, 2):
    told("Euler", euler(), num_inference_steps=steps)
print("smallest level of the training", f"{euler().sigma_min:.3f}")
told("Euler, by hand", euler(), sigmas=[1.0, 0.75, 0.5, 0.25])
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
diffusers 0.42.1
UniPC 1.000 0.938 0.834 0.626 0.000
Euler 1.000 0.910 0.717 0.024 0.000
Euler 1.000 0.024 0.000
smallest level of the training 0.005
Euler, by hand 1.000 0.938 0.833 0.625 0.000
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
