#!/usr/bin/env bash
# safetensors: `safe_open` for torch opens its file twice by name, itself for the head and then through torch for the
# numbers. A file put in its place in between lends its numbers to the other's names, without an error.
#
# Guess: opening once holds a file, as it does everywhere: who replaces it by a rename leaves the reader the old one, and
#   who removes it does not disturb.
# Seen with Python 3, torch 2.11.0 for CPUs, numpy 2.2.6:
#   safetensors 0.8.0: of a file of zeros, replaced by one of ones of the same length, "zeros" is read as 1;
#   of a removed one, RuntimeError (torch's), neither OSError nor SafetensorError; once open, neither does anything
# Why it matters: checkpoints and caches are replaced by renames just so that a reader never sees half of each. Whoever
#   reads what another process writes needs a checksum over head and numbers, and has to expect torch's error.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 torch==2.11.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
import os, sys
import safetensors, torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

path, other = (os.path.join(sys.argv[1], name) for name in ("a.safetensors", "b.safetensors"))
from_file = torch.UntypedStorage.from_file


def when_torch_opens(change):
    """What another process does at the least lucky moment."""
    def opening(*args, **kwargs):
        change()
        return from_file(*args, **kwargs)
    torch.UntypedStorage.from_file = staticmethod(opening)


def files():
    save_file({"zeros": torch.zeros(4)}, path)
    save_file({"other": torch.ones(4)}, other)


def read(framework):
    try:
        with safe_open(path, framework=framework) as file:
            return " ".join(f"{name}={float(file.get_tensor(name)[0]):.0f}" for name in file.keys())
    except Exception as error:
        known = isinstance(error, (OSError, SafetensorError))
        return f"{type(error).__name__}, {'a' if known else 'no'} OSError or SafetensorError"


print("safetensors", safetensors.__version__)
for what, change in (("replaced", lambda: os.replace(other, path)), ("removed", lambda: os.unlink(path))):
    files()
    when_torch_opens(change)
    print(f"{what} in between: {read('pt')}")
    torch.UntypedStorage.from_file = staticmethod(from_file)
    files()
    with safe_open(path, framework="pt") as file:
        change()
        print(f"{what} once open: zeros={float(file.get_tensor('zeros')[0]):.0f}")
PY
"$folder/venv/bin/python" "$folder/look.py" "$folder" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
safetensors 0.8.0
replaced in between: zeros=1
replaced once open: zeros=0
removed in between: RuntimeError, no OSError or SafetensorError
removed once open: zeros=0
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
