#!/usr/bin/env bash
# diffusers: the Kandinsky 5 network computes attention from queries and keys in bf16 when everything else is fp32.
#
# Guess: `torch_dtype=torch.float32` runs the network in fp32; RoPE turns queries and keys and keeps their precision.
# Seen with Python 3, diffusers 0.42.1, torch 2.11.0, random weights of a small network of the class, fp32 on the CPU:
#   behind RoPE every number of query and key is one that bf16 holds, although the tensor's type says float32, without a
#   word; they are 0.2 % (L2) from what the same processor gives with that one cast left out.
# Why it matters: whoever compares another implementation with it, or measures what a precision costs, finds a floor of
#   about 1e-4 and looks for a fault of their own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 torch==2.11.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
import diffusers
import torch
from diffusers import Kandinsky5Transformer3DModel
from diffusers.models.transformers import transformer_kandinsky as module

torch.manual_seed(0)
torch.set_num_threads(1)
sizes = dict(in_visual_dim=4, in_text_dim=16, in_text_dim2=8, time_dim=32, out_visual_dim=4, model_dim=64, ff_dim=128,
             num_text_blocks=1, num_visual_blocks=2, axes_dims=(16, 24, 24))
network = Kandinsky5Transformer3DModel(**sizes).eval()
for value in network.parameters():
    torch.nn.init.normal_(value, std=0.1)
places = (torch.arange(3), torch.arange(4), torch.arange(4))
given = (torch.randn(1, 3, 8, 8, 4), torch.randn(1, 5, 16), torch.tensor([700.0]), torch.randn(1, 8), places,
         torch.arange(5))
seen, attend = [], module.dispatch_attention_fn
def look(query, key, value, **options):
    seen.append((query, value))
    return attend(query, key, value, **options)
module.dispatch_attention_fn = look
def answer():
    seen.clear()
    with torch.no_grad():
        network(*given, return_dict=False)
def held(tensor):
    return torch.equal(tensor.to(torch.bfloat16).float(), tensor)
answer()
query, value = seen[0]  # of the first self-attention, which has RoPE
words = [str(query.dtype), f"query held by bf16: {held(query)}", f"value held by bf16: {held(value)}"]
whole = torch.float32
module.torch = type("Torch", (), {"__getattr__": lambda _, name: whole if name == "bfloat16" else getattr(torch, name)})()
answer()
exact = seen[0][0]
words.append(f"without the cast, query held by bf16: {held(exact)}")
words.append(f"query rounded by {float((query - exact).norm() / exact.norm()):.0e}")
print(diffusers.__version__, *words, sep="; ")
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
0.42.1; torch.float32; query held by bf16: True; value held by bf16: False; without the cast, query held by bf16: False; query rounded by 2e-03
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
