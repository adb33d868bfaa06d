#!/usr/bin/env bash
# CAME: the first thousand steps are up to 20 times as large as the learning rate says.
#
# Guess: with its `clip_threshold` of 1, a limit on the root mean square of the final update, a step of CAME is at most
#   about as large as one of AdamW at the same learning rate, and a rate may be carried over.
# Seen with Python 3, came-pytorch 0.1.3, torch 2.13.0, numpy 2.2.6, fp32 on the CPU, a constant gradient with as much
#   noise on it, default settings; root mean square of a step over the learning rate:
#   AdamW: 1.0 at first, then 0.6
#   CAME: 11 at first, 20 at step 10, still 11 at step 100 and 4 at step 1000. The limit holds before the division by the
#   confidence, an average that starts at 0 with a decay of 0.9999 and is not corrected for that
# Why it matters: trainers offer it for LoRAs, whose runs are often shorter than that: most of a run of 300 steps goes at 10
#   to 20 times the rate that was set, and a warm-up that is shorter than the run only moves the largest steps.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet came-pytorch==0.1.3 torch==2.13.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
from importlib.metadata import version

import torch
from came_pytorch import CAME

torch.set_num_threads(1)
RATE, LOOKED_AT = 1e-4, (1, 10, 100, 1000)
def sizes(make):
    numbers = torch.Generator().manual_seed(0)
    slope, value, found = torch.randn(64, 32, generator=numbers), torch.nn.Parameter(torch.zeros(64, 32)), []
    optimizer = make([value])
    for step in range(1, LOOKED_AT[-1] + 1):
        before = value.detach().clone()
        value.grad = slope + torch.randn(64, 32, generator=numbers)
        optimizer.step()
        if step in LOOKED_AT:
            found.append(float((value.detach() - before).square().mean().sqrt()) / RATE)
    return found
print("came-pytorch", version("came-pytorch"), *(f"{size:.0f}" for size in sizes(lambda p: CAME(p, lr=RATE))))
print("AdamW", *(f"{size:.1f}" for size in sizes(lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0))))
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
came-pytorch 0.1.3 11 20 11 4
AdamW 1.0 0.6 0.6 0.6
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
