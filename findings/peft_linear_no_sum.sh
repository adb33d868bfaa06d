#!/usr/bin/env bash
# PEFT: the "linear" combination of two LoRAs is not their sum, and of a LoRA with itself twice the LoRA.
#
# Guess: add_weighted_adapter(["a", "b"], [v, w], combination_type="linear") changes a layer by v times what a does and w times
#   what b does; "svd", the default, comes near to that, as its rank is the larger one of the two.
# Seen with Python 3, peft 0.21.2, torch 2.11.0, numpy 2.2.6, two random LoRAs of rank 4 on a layer of 32 by 32; distance of the
#   combined change from the weighted sum, in parts of that:
#   a + b: cat 0.00, svd 0.48, linear 1.10, and so dare_linear and magnitude_prune that drop nothing
#   a at 0.5 and a again at 0.5, which should be a: linear 1.00, it is 2 a
#   "linear" adds the two down matrices and the two up matrices, each by the root of its weight, so that the product holds
#   a's down with b's up as well. Only "cat" is the sum; its rank is the sum of both
# Why it matters: a look and a motion that were trained apart are combined so before they are saved as one file, and the file
#   does something that neither of the two does; loaders that apply one LoRA after the other give the true sum.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet peft==0.21.2 torch==2.11.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
import warnings
from importlib.metadata import version

import torch
from peft import LoraConfig, get_peft_model

warnings.filterwarnings("ignore")  # of a density that prunes nothing
torch.set_num_threads(1)
torch.manual_seed(0)
WHOLE = {"density": 1.0}
KINDS = {"cat": {}, "svd": {}, "linear": {}, "dare_linear": WHOLE, "magnitude_prune": WHOLE}


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(32, 32, bias=False)


config = LoraConfig(r=4, lora_alpha=4, target_modules=["layer"])
model = get_peft_model(Net(), config, adapter_name="a")
model.add_adapter("b", config)
layer = model.base_model.model.layer
for name in ("a", "b"):
    torch.nn.init.normal_(layer.lora_A[name].weight)
    torch.nn.init.normal_(layer.lora_B[name].weight)


def change(name):
    return layer.get_delta_weight(name).detach()


def combined(names, weights, kind):
    model.add_weighted_adapter(names, weights, "both", combination_type=kind, **KINDS[kind])
    found = change("both")
    model.delete_adapter("both")
    return found


def distance(found, wanted):
    return f"{float((found - wanted).norm() / wanted.norm()):.2f}"


print("peft", version("peft"))
for kind in KINDS:
    print(kind, distance(combined(["a", "b"], [1.0, 1.0], kind), change("a") + change("b")))
halves = combined(["a", "a"], [0.5, 0.5], "linear")
print("linear, halves of one", distance(halves, change("a")), "from a,", distance(halves, 2 * change("a")), "from 2 a")
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
peft 0.21.2
cat 0.00
svd 0.48
linear 1.10
dare_linear 1.10
magnitude_prune 1.10
linear, halves of one 1.00 from a, 0.00 from 2 a
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
