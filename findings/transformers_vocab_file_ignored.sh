#!/usr/bin/env bash
# transformers 5: a tokenizer that is made from `vocab_file=`, as every class before took it, ignores the file without a
# word: T5's makes each word unknown, Llama's makes no token at all.
#
# Guess: T5Tokenizer(vocab_file="spiece.model") reads the file, or the argument that is gone raises.
# Seen with Python 3, sentencepiece 0.2.1, a model of 400 pieces trained here, the prompt "a cat walks":
#   transformers 5.24.0: T5Tokenizer has 104 pieces, ▁ <unk> ▁ <unk> ▁ <unk> </s>; LlamaTokenizer has 3 and gives []
#   transformers 4.57.1: ▁a ▁cat ▁walks, with </s> behind or <s> before; so does 5.24.0's from_pretrained of a folder
# Why it matters: Wan, CogVideoX and LTX-Video read prompts by T5, HunyuanVideo by Llama. A trainer that finds its tokenizer's
#   file by itself goes on to train every caption as the same row of unknown words, and nothing fails.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
cat > "$folder/look.py" <<'PY'
import os, random, sys

import sentencepiece
import transformers
from transformers import LlamaTokenizer, T5Tokenizer

folder = sys.argv[1]
file = os.path.join(folder, "spiece.model")
if not os.path.exists(file):
    words = "a cat dog walks runs on the red street in rain camera moves slowly toward sky and sun at night".split()
    draw = random.Random(0)
    with open(os.path.join(folder, "lines"), "w") as lines:
        lines.writelines(" ".join(draw.choices(words, k=8)) + "\n" for _ in range(3000))
    sentencepiece.SentencePieceTrainer.train(
        input=lines.name, model_prefix=file.removesuffix(".model"), vocab_size=400, hard_vocab_limit=False,
        byte_fallback=True, pad_id=0, eos_id=1, unk_id=2, bos_id=3, minloglevel=2,
    )

print("transformers", transformers.__version__)
for name, made in (
    ("T5 by vocab_file", lambda: T5Tokenizer(vocab_file=file)),
    ("T5 by from_pretrained", lambda: T5Tokenizer.from_pretrained(folder)),
    ("Llama by vocab_file", lambda: LlamaTokenizer(vocab_file=file)),
):
    tokenizer = made()
    pieces = tokenizer.convert_ids_to_tokens(tokenizer("a cat walks")["input_ids"])
    print(f"{name}:", *pieces)
PY
for version in 5.24.0 4.57.1; do
    "$folder/venv/bin/pip" install --quiet "transformers==$version" sentencepiece==0.2.1 protobuf==6.33.0
    PYTHONWARNINGS=ignore TRANSFORMERS_VERBOSITY=error PYTHONIOENCODING=utf-8 \
        "$folder/venv/bin/python" "$folder/look.py" "$folder" 2>> "$folder/noise"
done | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
transformers 5.24.0
T5 by vocab_file: ▁ <unk> ▁ <unk> ▁ <unk> </s>
T5 by from_pretrained: ▁a ▁cat ▁walks </s>
Llama by vocab_file:
transformers 4.57.1
T5 by vocab_file: ▁a ▁cat ▁walks </s>
T5 by from_pretrained: ▁a ▁cat ▁walks </s>
Llama by vocab_file: <s> ▁a ▁cat ▁walks
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
