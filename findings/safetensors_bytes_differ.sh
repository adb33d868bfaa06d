#!/usr/bin/env bash
# safetensors: the same tensors with the same metadata are another file at each save, even within one process.
#
# Guess: a file's bytes are a function of what is in it: the tensors are sorted, so the metadata will be.
# Seen with Python 3, numpy 2.2.6, safetensors 0.8.0 and 0.6.2: 20 saves of one tensor with
#   one entry of metadata: 1 file; with eight entries: 20 files, alike but for the order of the entries; sorted: 1
# Why it matters: LoRAs carry how they were trained in their metadata. The SHA-256 by which sites, caches and git know a file
#   changes with each save of the same LoRA, and "equal bytes" cannot be a test of a trainer that saves by this library.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/look.py" <<'PY'
import json

import numpy as np
import safetensors
from safetensors.numpy import save

SAVES = 20


def files(entries):
    metadata = {f"key {i}": f"value {i}" for i in range(entries)}
    return {save({"a": np.zeros(3, np.float32)}, metadata=metadata) for _ in range(SAVES)}


def sorted_head(file):
    size = int.from_bytes(file[:8], "little")
    return json.dumps(json.loads(file[8:8 + size]), sort_keys=True), file[8 + size:]


print("safetensors", safetensors.__version__)
print("1 entry:", len(files(1)), "of", SAVES)
# Two orders of eight may be the same by chance: once in 40320.
print("8 entries:", "nearly all differ" if len(many := files(8)) >= SAVES - 2 else len(many))
print("8 entries, sorted:", len({sorted_head(file) for file in many}))
PY
for version in 0.8.0 0.6.2; do
    "$folder/venv/bin/pip" install --quiet "safetensors==$version" numpy==2.2.6
    "$folder/venv/bin/python" "$folder/look.py"
done | tee "$folder/seen"
for version in 0.8.0 0.6.2; do
    cat <<TXT
safetensors $version
1 entry: 1 of 20
8 entries: nearly all differ
8 entries, sorted: 1
TXT
done > "$folder/expected"
diff "$folder/expected" "$folder/seen" && echo "as seen before"
