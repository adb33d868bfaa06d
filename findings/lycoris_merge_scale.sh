#!/usr/bin/env bash
# LyCORIS: merging a LoHa or a LoKr into the weights scales it by alpha / rank twice; a LoRA once.
#
# Guess: after `merge_to` the network gives what it gave with the adapter applied, as for every other kind.
# Seen with Python 3, lycoris-lora 4.1.3, torch 2.11.0 for CPUs, one linear layer of 64, rank 4; merged minus base, over
#   applied minus base:
#   alpha 4 (alpha / rank 1): 1 for LoRA, LoHa and LoKr
#   alpha 2 (alpha / rank 0.5): 1.0 for LoRA, 0.5 for LoHa and LoKr
# Why it matters: a checkpoint that was merged with it holds half of what was trained, or an eighth with the usual alpha of
#   1 and rank of 8, and looks undertrained.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet lycoris-lora==4.1.3 torch==2.11.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
import torch
from lycoris import LycorisNetwork, create_lycoris

RANK = 4
torch.manual_seed(0)
for kind in ("lora", "loha", "lokr"):
    for alpha in (4, 2):
        net = torch.nn.Sequential(torch.nn.Linear(64, 64, bias=False))
        x = torch.randn(5, 64)
        base = net(x)
        LycorisNetwork.apply_preset({"target_module": ["Linear"], "target_name": [".*"]})
        adapter = create_lycoris(net, 1.0, linear_dim=RANK, linear_alpha=alpha, algo=kind, factor=4)
        adapter.apply_to()
        for parameter in adapter.parameters():
            torch.nn.init.normal_(parameter, std=0.2)
        applied = net(x)
        adapter.restore()
        adapter.merge_to(1.0)
        with torch.no_grad():
            ratio = (net(x) - base).norm() / (applied - base).norm()
        print(f"{kind}, alpha {alpha}: {float(ratio):.2f}")
PY
"$folder/venv/bin/python" "$folder/look.py" 2> "$folder/log" | grep alpha > "$folder/seen" || { cat "$folder/log"; exit 1; }
cat "$folder/seen"
cat > "$folder/expected" <<'TXT'
lora, alpha 4: 1.00
lora, alpha 2: 1.00
loha, alpha 4: 1.00
loha, alpha 2: 0.50
lokr, alpha 4: 1.00
lokr, alpha 2: 0.50
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
