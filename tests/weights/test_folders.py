"""Folders, and single shards, in place of the file that is meant."""

import numpy as np
import pytest
from support.tf_tables import entries_block, entry, header, table_around
from support.torch_files import save_state

import zoo
from zoo.errors import FormatError, InputError, MismatchError
from zoo.weights.folders import hint_of_shard, meant_in
from zoo.weights.readers.tf_checkpoint import read_checkpoint

LEFT = {
    "__0_0.distcp": "distributed checkpoint of PyTorch: python -m torch.distributed.checkpoint.format_utils",
    "zero_to_fp32.py": "DeepSpeed: python zero_to_fp32.py",
    "global_step7/bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt": "DeepSpeed",
    "default/manifest.ocdbt": "Orbax, which is not read",
    "saved_model.pb": "SavedModel, which is a program",
    "pytorch_model.bin.index.json": "give a file in it: pytorch_model.bin.index.json",
    "model.ckpt.index": "give a file in it: model.ckpt.index",
    "weights.pth": "give a file in it: config.json, weights.pth",
}


@pytest.mark.parametrize(("file", "words"), LEFT.items(), ids=LEFT)
def test_a_folder_says_what_is_meant(tmp_path, file, words):
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    for name in (file, "config.json", ".hidden"):
        (tmp_path / name).write_bytes(b"{}")
    assert words in meant_in(tmp_path)
    with pytest.raises(InputError) as caught:
        zoo.load("lraspp", tmp_path)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_an_empty_folder(tmp_path):
    with pytest.raises(InputError, match="is a folder; give a file in it, which is empty"):
        zoo.load("lraspp", tmp_path)


def test_one_of_several_shards_names_the_index(tmp_path):
    path = save_state(tmp_path / "pytorch_model-00001-of-00002.bin", {"a.weight": np.zeros(3, "f4")})
    with pytest.raises(MismatchError, match=r"give their index, pytorch_model\.bin\.index\.json$"):
        zoo.load("lraspp", path)
    assert hint_of_shard(tmp_path / "m.pth") == ""


def test_a_checkpoint_of_objects(tmp_path):
    names = ("model/layer-1/kernel/.ATTRIBUTES/VARIABLE_VALUE", "save_counter/.ATTRIBUTES/VARIABLE_VALUE")
    pairs = [header(), *((name.encode(), entry((2, 3))) for name in names)]
    (tmp_path / "m.index").write_bytes(table_around(entries_block(pairs)))
    (tmp_path / "m.data-00000-of-00001").write_bytes(bytes(48))
    with pytest.raises(FormatError, match="of TensorFlow 2, which names variables by the objects"):
        read_checkpoint(tmp_path / "m.index")
