#!/usr/bin/env bash
# safetensors: since some release, `save_file` writes files that only their owner may read, whatever the umask, and
# meanwhile keeps them under a hidden name of its own; a full disk is no OSError.
#
# Guess: a library that is given a file name opens it as Python does, so that a umask of 022 gives mode 644, and a failed
#   write raises OSError.
# Seen with Python 3, numpy 2.2.6:
#   safetensors 0.5.3: mode 644
#   safetensors 0.8.0: mode 600, also with a umask of 002; the error for a folder that does not exist is a
#   SafetensorError that names a file ".tmp" and six letters, and is no OSError
# Why it matters: a ComfyUI in a container, or run by a service account, saves LoRAs that its user cannot open; programs
#   that catch OSError around a save miss a full disk; a killed save leaves a hidden file that "*.tmp" does not match.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/look.py" <<'PY'
import os, re, stat, sys
import numpy as np
import safetensors
from safetensors.numpy import save_file

found = []
for mask in (0o022, 0o002):
    os.umask(mask)
    path = os.path.join(sys.argv[1], f"{safetensors.__version__}-{mask:03o}.safetensors")
    save_file({"a": np.zeros(3, np.float32)}, path)
    found.append(f"umask {mask:03o}: mode {stat.S_IMODE(os.stat(path).st_mode):o}")
try:
    save_file({"a": np.zeros(3, np.float32)}, os.path.join(sys.argv[1], "none", "a.safetensors"))
except Exception as error:
    hidden = "hidden name" if re.search(r"\.tmp\w{6}", str(error)) else "no hidden name"
    found.append(f"{type(error).__name__}, {'an' if isinstance(error, OSError) else 'no'} OSError, {hidden}")
print(safetensors.__version__, *found, sep="; ")
PY
for version in 0.5.3 0.8.0; do
    "$folder/venv/bin/pip" install --quiet "safetensors==$version" numpy==2.2.6
    "$folder/venv/bin/python" "$folder/look.py" "$folder"
done | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
0.5.3; umask 022: mode 644; umask 002: mode 664; SafetensorError, no OSError, no hidden name
0.8.0; umask 022: mode 600; umask 002: mode 600; SafetensorError, no OSError, hidden name
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
