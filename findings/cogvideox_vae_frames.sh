#!/usr/bin/env bash
# diffusers: the CogVideoX VAE gives back three frames more than went in for every other valid number of frames.
#
# Guess: a causal video VAE that makes 1 + (n - 1) / 4 latents of n = 1, 5, 9, 13, 17 ... frames decodes them to n again,
#   as those of Wan and HunyuanVideo do.
# Seen with Python 3, diffusers 0.42.1, torch 2.11.0, random weights of small networks of the three classes, on the CPU:
#   CogVideoX decodes the latents of 1, 9 and 17 frames to 1, 9 and 17, and those of 5, 13 and 21 to 8, 16 and 24,
#   without a word: it decodes two latents at a time, and where their number is even the first one is no special case,
#   so four frames come of it. Wan and HunyuanVideo give 5, 13 and 21.
# Why it matters: whoever cuts a decoded sequence by counting frames (a condition in front, a loop, a comparison with the
#   clip that was encoded) is off by three frames for half of the lengths, and for the usual 49 frames is not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet diffusers==0.42.1 torch==2.11.0 numpy==2.2.6
cat > "$folder/look.py" <<'PY'
import diffusers
import torch
from diffusers import AutoencoderKLCogVideoX, AutoencoderKLHunyuanVideo, AutoencoderKLWan

torch.manual_seed(0)
torch.set_num_threads(1)
thin = dict(block_out_channels=(8, 8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=2)
networks = {
    "CogVideoX": AutoencoderKLCogVideoX(temporal_compression_ratio=4, **thin),
    "HunyuanVideo": AutoencoderKLHunyuanVideo(**thin),
    "Wan": AutoencoderKLWan(base_dim=4, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1,
                            temperal_downsample=[False, True, True], latents_mean=[0] * 4, latents_std=[1] * 4),
}
print("diffusers", diffusers.__version__)
for name, network in networks.items():
    seen = []
    for frames in (1, 5, 9, 13, 17, 21):
        with torch.no_grad():
            latents = network.eval().encode(torch.rand(1, 3, frames, 32, 32)).latent_dist.mode()
            decoded = network.decode(latents).sample
        assert latents.shape[2] == 1 + (frames - 1) // 4
        seen.append(f"{frames}>{decoded.shape[2]}")
    print(name, *seen)
PY
"$folder/venv/bin/python" "$folder/look.py" | tee "$folder/seen"
cat > "$folder/expected" <<'TXT'
diffusers 0.42.1
CogVideoX 1>1 5>8 9>9 13>16 17>17 21>24
HunyuanVideo 1>1 5>5 9>9 13>13 17>17 21>21
Wan 1>1 5>5 9>9 13>13 17>17 21>21
TXT
diff "$folder/expected" "$folder/seen" && echo "as seen before"
