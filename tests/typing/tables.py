"""The tables that grow, as a type checker sees them in an installed package. Checked and never run."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from typing_extensions import assert_type

from zoo import models, weights
from zoo.models import Backbone
from zoo.weights import CONTAINERS, NAME_MAPS, Checkpoint, Container, NameMap, WeightsEntry


def read_toy(path: Path) -> Mapping[str, np.ndarray]:
    return {"classifier/bias": np.zeros(3, np.float32)}


def container() -> Container:
    row = Container(name="toy", suffixes=(".toy",), layouts=("zoo",), reader=read_toy)
    weights.register_container(row)
    weights.unregister_container("toy")
    assert_type(CONTAINERS["torch"], Container)
    return row


def backbone(row: Backbone) -> str:
    models.register_backbone(row)
    models.unregister_backbone(row.name)
    return row.name


def entry(checkpoint: Checkpoint) -> NameMap:
    found = weights.catalog.find("deeplabv3_aspp_mobilenet_v2", "voc2012")
    assert_type(found, WeightsEntry)
    assert_type(weights.fetch.fetch(found), Path)
    assert_type(weights.cache.cache_dir(), Path)
    print(weights.name_maps, NAME_MAPS)
    assert_type(checkpoint.arrays, Mapping[str, np.ndarray])
    return checkpoint.name_map
