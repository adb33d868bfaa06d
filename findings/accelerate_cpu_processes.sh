#!/usr/bin/env bash
# accelerate: `accelerate launch --cpu --num_processes 2` starts one process, without a warning and with exit code 0.
#
# Guess: two processes on gloo, as torchrun starts them, or a refusal: --num_processes is "the total number of processes".
# Seen with Python 3, accelerate 1.15.0, torch 2.11.0, numpy 2.2.6:
#   accelerate launch --cpu --num_processes 2: process 0 of 1, and nothing else of it in the output
#   torchrun --nproc-per-node 2, same script: processes 0 and 1 of 2
#   By its code the number counts on CPUs only beside --mpirun_hostfile
# Why it matters: a run over several processes is tried out on CPUs before cards are rented. This trial passes whatever the code
#   does with ranks, collectives and shards, and a batch that is shared out among n is half as large as was thought.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet accelerate==1.15.0 torch==2.11.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
from accelerate import Accelerator

accelerator = Accelerator(cpu=True)
accelerator.wait_for_everyone()
print(f"process {accelerator.process_index} of {accelerator.num_processes}", flush=True)
accelerator.end_training()
PY
export OMP_NUM_THREADS=1 PYTHONWARNINGS=ignore
launched() {  # what the processes print, in order, and the exit code
    local code=0
    "$folder/venv/bin/python" -m "$@" "$folder/look.py" > "$folder/out" 2> "$folder/err" || code=$?
    sort "$folder/out"
    echo "exit code $code"
}
{
    "$folder/venv/bin/python" -c 'from importlib.metadata import version; print("accelerate", version("accelerate"))'
    echo "accelerate launch:"
    launched accelerate.commands.launch --cpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no
    echo "torchrun:"
    launched torch.distributed.run --nproc-per-node 2
} | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
accelerate 1.15.0
accelerate launch:
process 0 of 1
exit code 0
torchrun:
process 0 of 2
process 1 of 2
exit code 0
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
