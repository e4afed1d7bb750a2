"""Networks, and what training scripts keep beside them: needs torch."""

from __future__ import annotations

import copy
from collections import Counter, OrderedDict
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

CLASSES = 5


class Head(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 2, 1, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Conv2d(2, CLASSES, 1)
        )


class TinyNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 3, 3, padding=1, bias=False), bn1=nn.BatchNorm2d(3), relu=nn.ReLU()
            )
        )
        self.classifier = Head()

    def forward(self, x):
        return self.classifier(self.backbone(x))


def network(name: str | None, seed: int) -> nn.Module:
    """A network whose weights and statistics are drawn, in the mode of evaluation."""
    torch.manual_seed(seed)
    if name is None:
        model = TinyNet()
    else:
        from torchvision.models import segmentation

        model = getattr(segmentation, name)(weights=None, weights_backbone=None, num_classes=CLASSES)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias, 0, 0.2)
        norm.momentum = 1.0  # statistics of what passes once, so that no layer's output dies away
    with torch.no_grad():
        model.train()(torch.rand(4, 3, 97, 97))
    for norm in norms:
        norm.momentum = 0.1
    return model.eval()


class AttributeDict(dict):
    """As trainers have it: a dictionary whose keys are attributes."""

    def __getattr__(self, key):
        return self[key]


class HistoryBuffer:
    """As mmengine keeps losses."""

    def __init__(self):
        self._log_history, self._count_history = np.arange(5.0), np.ones(5, np.int64)
        self._statistics_methods = OrderedDict(mean=np.mean)
        self._max_length = 1_000_000


class Subclass(torch.Tensor):
    pass


class Learner:
    """As fastai exports one: the network is an attribute among many."""

    def __init__(self, model):
        self.model, self.loss_func, self.lr, self.path = model, nn.CrossEntropyLoss(), 1e-3, Path(".")
        self.opt_func, self.cbs = partial(torch.optim.AdamW, eps=1e-5), [Counter("callback")]


def trained(model: nn.Module, schedule=None):
    """An optimizer after one step, and a schedule for it."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    optimizer.zero_grad()
    return optimizer, schedule(optimizer) if schedule else None


def still(model: nn.Module, schedule=None):
    """The state of such an optimizer, without a change of the model."""
    return trained(copy.deepcopy(model), schedule)


def poly(step):
    return (1 - step / 100) ** 0.9


SCHEDULES = {
    "lambda": lambda o: torch.optim.lr_scheduler.LambdaLR(o, [poly]),
    "one_cycle": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=10),
    "plateau": torch.optim.lr_scheduler.ReduceLROnPlateau,
    "sequential": lambda o: torch.optim.lr_scheduler.SequentialLR(
        o,
        [
            torch.optim.lr_scheduler.LinearLR(o),
            torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 10),
        ],
        milestones=[2],
    ),
}


def cast(model: nn.Module, dtype: torch.dtype) -> dict:
    """A state in another type, and what it stands for."""
    return {n: t.to(dtype) if t.is_floating_point() else t for n, t in model.state_dict().items()}


def shrunk(state: dict, scale: float = 1) -> dict:
    return {n: t * scale if t.is_floating_point() else t for n, t in state.items()}
