"""The files: each a function from a network and a path to the state that the file stands for, or none.

`write.py` calls them.
"""

from __future__ import annotations

import argparse
import copy
import json
import pickle
import random
import warnings
from collections import Counter, defaultdict
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import torch
from networks import CLASSES, SCHEDULES, AttributeDict, HistoryBuffer, Learner, Subclass, cast, shrunk, still
from safetensors.torch import save_file
from torch import nn
from torch.nn.utils import parametrizations, prune

FILES = {}


def file(name):
    """Adds a file: a function from the network and the path to the state that the file stands for."""

    def add(write):
        FILES[name] = write
        return write

    return add


@file("plain.pth")
def _(model, path):
    torch.save(model.state_dict(), path)


@file("legacy.pth.tar")
def _(model, path):
    torch.save({"epoch": 9, "state_dict": model.state_dict()}, path, _use_new_zipfile_serialization=False)


@file("half.pth")
def _(model, path):
    torch.save(cast(model, torch.float16), path)
    return cast(model, torch.float16)


@file("bfloat16.PT")
def _(model, path):
    torch.save(cast(model, torch.bfloat16), path)
    return cast(model, torch.bfloat16)


@file("float8.pth")
def _(model, path):
    state = {n: t.to(torch.float8_e4m3fn) if t.ndim == 4 else t for n, t in model.state_dict().items()}
    torch.save(state, path)
    return state


@file("data_parallel.pth")
def _(model, path):
    torch.save(nn.DataParallel(model).state_dict(), path)


@file("compiled.pth")
def _(model, path):
    torch.save({"model": nn.DataParallel(torch.compile(model)).state_dict()}, path)


@file("reference.pth")  # references/segmentation/train.py of torchvision
def _(model, path):
    optimizer, schedule = still(model, SCHEDULES["lambda"])
    args = argparse.Namespace(data_path=Path("/data"), lr=0.01, device=torch.device("cpu"), aux_loss=False)
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "args": args}
    torch.save({**state, "lr_scheduler": schedule.state_dict()}, path)


@file("numpy_scores.ckpt")
def _(model, path):
    scores = {"miou": np.float64(0.5), "iou": np.linspace(0, 1, CLASSES), "best": np.array(["road", "sky"])}
    counts = {
        "seen": Counter(road=3),
        "when": datetime(2024, 1, 1, tzinfo=timezone.utc),
        "by": defaultdict(list),
    }
    torch.save({"state_dict": model.state_dict(), **scores, **counts}, path)


for _name, _schedule in SCHEDULES.items():

    @file(f"schedule_{_name}.pth")
    def _(model, path, schedule=_schedule):
        optimizer, made = still(model, schedule)
        # Whole schedules hold functions and the optimizer; their states hold what they hold.
        content = {"net": model.state_dict(), "optimizer": optimizer.state_dict(), "state": made.state_dict()}
        torch.save({**content, "scheduler": made} if schedule is not SCHEDULES["lambda"] else content, path)


@file("random_states.pth")
def _(model, path):
    generators = {"torch": torch.get_rng_state()[:64], "python": random.getstate()[1][:8]}
    generators["numpy"] = ("MT19937", np.arange(16, dtype=np.uint32), 624, 0, 0.0)
    generators["generator"] = np.random.default_rng(0)
    torch.save({"network": model.state_dict(), "rng": generators}, path)


@file("swa.pth")
def _(model, path):
    averaged = torch.optim.swa_utils.AveragedModel(model)
    averaged.update_parameters(model)
    torch.save(averaged.state_dict(), path)


@file("ema.pth")
def _(model, path):
    average = shrunk(model.state_dict(), 0.5)
    torch.save({"model_ema": average, "model": model.state_dict(), "ema_decay": 0.999}, path)


@file("lightning.ckpt")
def _(model, path):
    optimizer, _ = still(model)
    state = {f"model.{n}": t for n, t in model.state_dict().items()} | {
        "criterion.weight": torch.ones(CLASSES)
    }
    content = {"epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.5.0", "state_dict": state}
    content["loops"] = {"fit_loop": {"state_dict": {}, "epoch_progress": {"total": {"ready": 2}}}}
    content["callbacks"] = {"ModelCheckpoint{'monitor': 'miou'}": {"best_model_score": torch.tensor(0.5)}}
    content["hyper_parameters"] = AttributeDict(lr=1e-3, loss=nn.CrossEntropyLoss(), path=Path("."))
    torch.save({**content, "optimizer_states": [optimizer.state_dict()]}, path)


@file("nested.pth")
def _(model, path):
    torch.save(
        {"state": {"model": model.state_dict(), "optim": still(model)[0].state_dict()}, "step": 7}, path
    )


@file("whole_module.pth")
def _(model, path):
    torch.save(model, path)


@file("whole_module_in_a_dictionary.pth")
def _(model, path):
    torch.save({"model": nn.DataParallel(model), "epoch": 3}, path, _use_new_zipfile_serialization=False)


@file("script.pt")
def _(model, path):
    torch.jit.script(model).save(path)


@file("model.safetensors")
def _(model, path):
    save_file(model.state_dict(), path)


@file("model.safetensors.index.json")
def _(model, path):
    state = list(model.state_dict().items())
    parts = {f"model-0000{i + 1}-of-00002.safetensors": dict(state[i::2]) for i in range(2)}
    for name, part in parts.items():
        save_file(part, path.with_name(name))
    places = {name: part for part, names in parts.items() for name in names}
    path.write_text(json.dumps({"metadata": {}, "weight_map": places}))


@file("weight_norm_and_pruned.pth")
def _(model, path):
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    prune.random_unstructured(convolutions[0], "weight", 0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        nn.utils.weight_norm(convolutions[1])
    parametrizations.weight_norm(convolutions[-1])
    state = model.state_dict()
    torch.save(state, path)
    weights = {id(m): m.weight.detach() for m in convolutions}
    for module in (convolutions[0], convolutions[1], convolutions[-1]):
        place = next(name for name, m in model.named_modules() if m is module)
        state = {
            n: t for n, t in state.items() if not (n.startswith(f"{place}.") and not n.endswith(".bias"))
        }
        state[f"{place}.weight"] = weights[id(module)]
    return state


@file("quantized.pth")
def _(model, path):
    state = dict(model.state_dict())
    for index, (name, tensor) in enumerate(state.items()):
        if tensor.ndim == 4:
            scales = tensor.abs().amax((1, 2, 3)).double() / 127 + 1e-9
            zeros = torch.zeros(len(tensor), dtype=torch.int64)
            whole = torch.quantize_per_tensor(tensor, float(scales.max()), 3, torch.qint8)
            by_channel = torch.quantize_per_channel(tensor, scales, zeros, 0, torch.qint8)
            state[name] = by_channel if index % 2 else whole
    torch.save(state, path)
    return {n: t.dequantize() if t.is_quantized else t for n, t in state.items()}


@file("sparse.pth")
def _(model, path):
    state = dict(model.state_dict())
    convolutions = [n for n, t in state.items() if t.ndim == 4]
    state[convolutions[0]] = torch.nn.functional.dropout(state[convolutions[0]], 0.5).to_sparse()
    torch.save(state, path)
    return {n: t.to_dense() if t.is_sparse else t for n, t in state.items()}


@file("attributes_and_subclasses.bin")
def _(model, path):
    state = {}
    for index, (name, tensor) in enumerate(model.state_dict().items()):
        tensor = nn.Parameter(tensor) if index % 3 == 0 and tensor.is_floating_point() else tensor.clone()
        tensor.origin = "here"
        state[name] = tensor.as_subclass(Subclass) if index % 3 == 1 else tensor
    torch.save(state, path)


@file("history.pth")  # mmengine's and detectron2's
def _(model, path):
    meta = {"CLASSES": ("road", "sky"), "time": datetime(2024, 1, 1), "seed": np.int64(3)}
    history = {"train/loss": HistoryBuffer()}
    torch.save(
        {"meta": meta, "message_hub": {"log_scalars": history}, "state_dict": model.state_dict()}, path
    )


@file("learner.pkl")
def _(model, path):
    torch.save(Learner(model), path)


@file("pickled")  # by pickle itself, with NumPy's arrays, and no suffix
def _(model, path):
    arrays = {n: t.numpy() if i % 2 else t for i, (n, t) in enumerate(model.state_dict().items())}
    path.write_bytes(pickle.dumps({"model": arrays, "__author__": "somebody"}, protocol=2))


@file("meta.pth")  # refused: it has no numbers
def _(model, path):
    torch.save(copy.deepcopy(model).to("meta").state_dict(), path)


@file("program.pt2")  # refused: no names
def _(model, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, (torch.zeros(1, 3, 64, 64),)), path)


REFUSED = ("meta.pth", "program.pt2")
