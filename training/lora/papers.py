"""The papers of the methods as BibTeX, for those who cite what was trained with them."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..core.methods import TITLES
from .metadata import plain_value

TIC_FT = """@article{kim2025temporal,
  title   = {Temporal In-Context Fine-Tuning for Versatile Control of Video Diffusion Models},
  author  = {Kim, Kinam and Hyung, Junha and Choo, Jaegul},
  journal = {arXiv preprint arXiv:2506.00996},
  year    = {2025}
}"""
AICL = """@article{liu2024aicl,
  title   = {AICL: Action In-Context Learning for Video Diffusion Model},
  author  = {Liu, Jianzhi and Zhu, Junchen and Gao, Lianli and Shen, Heng Tao and Song, Jingkuan},
  journal = {arXiv preprint arXiv:2403.11535},
  year    = {2024}
}"""
TUNE_A_VIDEO = """@inproceedings{wu2023tune,
  title     = {Tune-A-Video: One-Shot Tuning of Image Diffusion Models for Text-to-Video Generation},
  author    = {Wu, Jay Zhangjie and Ge, Yixiao and Wang, Xintao and Lei, Stan Weixian and Gu, Yuchao and Shi, Yufei
               and Hsu, Wynne and Shan, Ying and Qie, Xiaohu and Shou, Mike Zheng},
  booktitle = {Proceedings of the IEEE/CVF International Conference on Computer Vision},
  year      = {2023}
}"""
MOTION_DIRECTOR = """@article{zhao2023motiondirector,
  title   = {MotionDirector: Motion Customization of Text-to-Video Diffusion Models},
  author  = {Zhao, Rui and Gu, Yuchao and Wu, Jay Zhangjie and Zhang, David Junhao and Liu, Jiawei and Wu, Weijia
             and Keppo, Jussi and Shou, Mike Zheng},
  journal = {arXiv preprint arXiv:2310.08465},
  year    = {2023}
}"""
FOLLOW_YOUR_MOTION = """@article{ma2025followyourmotion,
  title   = {Follow-Your-Motion: Video Motion Transfer via Efficient Spatial-Temporal Decoupled Finetuning},
  author  = {Ma, Yue and Liu, Yulong and Zhu, Qiyuan and Yang, Xiangpeng and Feng, Kunyu and Zhang, Xinhua
             and Yan, Zexuan and Li, Zhifeng and Han, Sirui and Qi, Chenyang and Chen, Qifeng},
  journal = {arXiv preprint arXiv:2506.05207},
  year    = {2025}
}"""
DYNAMIC_CONCEPTS = """@article{abdal2025dynamic,
  title   = {Dynamic Concepts Personalization from Single Videos},
  author  = {Abdal, Rameen and Patashnik, Or and Skorokhodov, Ivan and Menapace, Willi and Siarohin, Aliaksandr
             and Tulyakov, Sergey and Cohen-Or, Daniel and Aberman, Kfir},
  journal = {arXiv preprint arXiv:2502.14844},
  year    = {2025}
}"""
_MOTION = (MOTION_DIRECTOR, FOLLOW_YOUR_MOTION, DYNAMIC_CONCEPTS)
BIBTEX = {
    "tic_ft": (TIC_FT,),
    "aicl": (AICL,),
    "tune_a_video": (TUNE_A_VIDEO,),
    "motion": (TUNE_A_VIDEO, *_MOTION),
    "appearance": _MOTION,
}  # by method, as files name it
LONGEST = 600  # characters of a field


def file_entry(record: Mapping[str, str], name: str, line: str = "", date: str = "") -> str:
    """A trained file as BibTeX: its name, its method, the pack's version, and how it was made.

    Args:
        record: What the file says of itself, see ``from_metadata``.
        name: The file's, without its folder and ending.
        line: How it was made, in a sentence; left out if empty.
        date: Day of the training, as 2026-01-31; the year is left out where it is another text.
    """
    method = plain_value(record, "method")
    fields = {
        "title": name,
        "howpublished": f"{TITLES.get(method, method)}, trained with FewShot Video {record.get('pack_version', '')}",
        "year": date[:4] if re.fullmatch(r"\d{4}-\d\d-\d\d", date) else "",
        "note": line,
    }
    told = ",\n".join(f"  {key:<12} = {{{_plain(value)}}}" for key, value in fields.items() if value)
    return f"@misc{{{re.sub(r'[^A-Za-z0-9]+', '_', name).strip('_') or 'lora'},\n{told}\n}}"


def _plain(text: str) -> str:
    """Text that BibTeX takes as it is."""
    text = " ".join(text.split())[:LONGEST].strip().translate(str.maketrans("{}\\", "()/"))
    return re.sub(r"([%&#$_])", r"\\\1", text)
