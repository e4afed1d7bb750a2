import os

import pytest

from zoo.errors import InputError
from zoo.files import write_text, written_whole


def test_nothing_but_the_file_stays(tmp_path):
    path = tmp_path / "a.png"
    with written_whole(path) as part:
        assert part.suffix == ".png" and part.parent == tmp_path
        part.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a.png"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_changes_nothing(tmp_path, error):
    path = tmp_path / "a.txt"
    write_text(path, "old\r\n")
    with pytest.raises(error), written_whole(path) as part:
        part.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"old\r\n"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_what_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"cannot write .*a\.txt: No such file or directory$"):
        write_text(tmp_path / "none" / "a.txt", "")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*folder: Is a directory$"):
        write_text(tmp_path / "folder", "")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    path = tmp_path / ("n" * 251 + ".txt")
    assert write_text(path, "x").read_text() == "x"
