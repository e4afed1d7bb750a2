"""What a folder of weights says of the file that is meant, and a single shard of the others."""

from __future__ import annotations

import re
from pathlib import Path

_SHARD = re.compile(r"-\d{5}-of-\d{5}\.(bin|safetensors)$")
_MOST = 5
# Files that other programs leave in the folder of a checkpoint, and what to do with such a folder.
_KNOWN = (
    (
        ("*.distcp",),
        "a distributed checkpoint of PyTorch: python -m torch.distributed.checkpoint.format_utils "
        "dcp_to_torch {folder} weights.pth makes one file of it",
    ),
    (
        ("zero_to_fp32.py", "*_zero_pp_rank_*", "*/*_zero_pp_rank_*"),
        "a checkpoint of DeepSpeed: python zero_to_fp32.py {folder} weights, beside it, makes one file of "
        "it; without ZeRO 3 mp_rank_00_model_states.pt holds the network",
    ),
    (
        ("_CHECKPOINT_METADATA", "manifest.ocdbt", "*/manifest.ocdbt", "*/_METADATA"),
        "a checkpoint of Orbax, which is not read: save the arrays as a file of tensors",
    ),
    (
        ("saved_model.pb",),
        "a SavedModel, which is a program: save the model as .keras, or its weights as .weights.h5",
    ),
)


def meant_in(folder: Path) -> str:
    """Why a folder is no file of weights, and which file in it may be meant; for an error."""
    for patterns, words in _KNOWN:
        if any(next(folder.glob(pattern), None) for pattern in patterns):
            return f"{folder} is a folder: {words.format(folder=folder)}"
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    indices = [
        path for path in files if path.name.lower().endswith((".index.json", ".weights.json", ".index"))
    ]
    names = ", ".join(path.name for path in (indices or files)[:_MOST])
    return f"{folder} is a folder; give a file in it" + (f": {names}" if names else ", which is empty")


def hint_of_shard(path: Path) -> str:
    """That a file is one of several, and which other one is to be given; empty for others."""
    found = _SHARD.search(path.name)
    if found is None:
        return ""
    index = f"{path.name[: found.start()]}.{found[1]}.index.json"
    return f"; it is one of several files: give their index, {index}"
