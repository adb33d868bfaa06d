#!/usr/bin/env bash
# safetensors 0.8.0: `safetensors.numpy` writes the memory behind an array and not its values, so that a transposed or cut one
# comes back with the right shape and the wrong numbers, without an error. Versions before had it right.
#
# Guess: what `save` is given `load` gives back, whatever the strides.
# Seen with Python 3, numpy 2.2.6, of a = [[0 1 2] [3 4 5]]:
#   safetensors 0.8.0: a.T comes back as [[0 1] [2 3] [4 5]], a[:, :2] as [[0 1] [2 3]]; right after np.ascontiguousarray
#   safetensors 0.7.0: [[0 3] [1 4] [2 5]] and [[0 1] [3 4]], as they are
# Why it matters: whoever converts a LoRA to another pack's layout transposes its factors and saves them. The file loads, and
#   the LoRA does something else. Of a square matrix not even the shape could tell.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/look.py" <<'PY'
import numpy as np
import safetensors
from safetensors.numpy import load, save

a = np.arange(6, dtype=np.float32).reshape(2, 3)
print("safetensors", safetensors.__version__)
for name, given in (("whole", a), ("transposed", a.T), ("cut", a[:, :2]), ("copied", np.ascontiguousarray(a.T))):
    back = load(save({"a": given}))["a"]
    numbers = " ".join(f"{value:.0f}" for value in back.ravel())
    print(name, "x".join(map(str, back.shape)), numbers, "same" if np.array_equal(back, given) else "other")
PY
for version in 0.8.0 0.7.0; do
    "$folder/venv/bin/pip" install --quiet "safetensors==$version" numpy==2.2.6
    "$folder/venv/bin/python" "$folder/look.py"
done | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
safetensors 0.8.0
whole 2x3 0 1 2 3 4 5 same
transposed 3x2 0 1 2 3 4 5 other
cut 2x2 0 1 2 3 other
copied 3x2 0 3 1 4 2 5 same
safetensors 0.7.0
whole 2x3 0 1 2 3 4 5 same
transposed 3x2 0 3 1 4 2 5 same
cut 2x2 0 1 3 4 same
copied 3x2 0 3 1 4 2 5 same
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
