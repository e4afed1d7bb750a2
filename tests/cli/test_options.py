"""One vocabulary in all commands: `zoo.cli.options`, and the scripts of `zoo completion`."""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict

import pytest

from zoo import cli
from zoo.cli import completion, main, options, values
from zoo.datasets import KINDS
from zoo.models import registry
from zoo.weights import catalog


def commands():
    """Name and parser of every command and action."""

    def walk(parser, name):
        inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
        for action in inner:
            for word, child in action.choices.items():
                yield from walk(child, f"{name} {word}".strip())
        if not inner:
            yield name, parser

    return dict(walk(cli.build_parser(["--help"]), ""))


# Of these names the value is the command's own, which its help says.
OWN_VALUE = {"--output"}
# Commands in which an option has another meaning, or takes less, as the vocabulary says.
OTHERWISE = {
    "--weights": ("weights ", "ablate", "generate"),
    "--split": ("dataset check", "dataset pack"),
    "--flip": ("train", "ablate", "compress"),
    "--temperature": ("compress",),
    "--model": ("transcribe",),
    "--seed": ("generate",),
}


def meaning(action):
    kind = getattr(action.type, "__name__", None)
    # What is in brackets at the end is the command's default.
    return type(action).__name__, action.metavar, kind, (action.help or "").rsplit(" (", 1)[0]


def test_an_option_means_the_same_in_every_command():
    found = defaultdict(lambda: defaultdict(list))
    for name, parser in commands().items():
        for action in parser._actions:
            for word in action.option_strings:
                other = [start for start in OTHERWISE.get(word, ()) if name.startswith(start)]
                if word not in OWN_VALUE and not other and action.help != argparse.SUPPRESS:
                    found[word][meaning(action)].append(name)
    different = {word: dict(meanings) for word, meanings in found.items() if len(meanings) > 1}
    assert not different


@pytest.mark.parametrize("name", commands())
def test_every_command_has_an_example(name):
    assert f"zoo {name}" in commands()[name].format_help().split("example", 1)[1]


# --- --json -------------------------------------------------------------------------------------


def test_json_to_a_file_leaves_the_text(tmp_path, capsys):
    assert main(["dilation", "check", "1", "2", "5", "--json", str(tmp_path / "a.json")]) == 0
    assert "pass" in capsys.readouterr().out
    assert json.loads((tmp_path / "a.json").read_text())["rates"] == [1, 2, 5]


def test_json_to_standard_output_takes_the_place_of_the_text(capsys):
    assert main(["list", "--json", "-"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["name"] for row in rows if row["task"] == "segmentation"} == set(registry.list_models())


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--json"],
        ["segment", "m", "a.png", "--json", "--flip"],
        ["export", "m", "--json", "--format", "onnx", "--output", "m.onnx"],
        ["verify", "m.onnx", "--json"],
        ["compress", "m", "--json", "--method", "qat"],
    ],
)
def test_json_as_a_flag_is_one_line_with_the_new_form(words, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(words)
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert error.startswith(f"zoo: error: {options.JSON_FORM}") and error.count("\n") == 1


def test_json_as_a_flag_never_replaces_an_image(tmp_path, capsys):
    image = tmp_path / "b.png"
    image.write_bytes(b"mine")
    assert main(["segment", "m", "a.png", "--json", str(image)]) == 2
    error = capsys.readouterr().err
    assert options.JSON_FORM in error and "b.png" in error and error.count("\n") == 1
    assert image.read_bytes() == b"mine"


def test_json_into_a_folder_that_is_not_there(tmp_path, capsys):
    assert main(["list", "--json", str(tmp_path / "no" / "a.json")]) == 2
    assert "there is no folder" in capsys.readouterr().err


# --- other lines --------------------------------------------------------------------------------


OLD = [
    ("dataset check .", "--kind", "--dataset KIND"),
    ("export m --format onnx --output m.onnx", "--image", "--images"),
    ("verify m.onnx", "--image", "--images"),
    ("bench m.onnx", "--size", "--input-size HxW"),
    ("ablate hdc --dataset camvid --data .", "--size", "--shrink HxW"),
]


@pytest.mark.parametrize("given", [["some"], []])
@pytest.mark.parametrize(("command", "old", "new"), OLD)
def test_an_old_spelling_names_the_new_one(command, old, new, given, capsys):
    assert main([*command.split(), old, *given]) == 2
    assert capsys.readouterr().err == f"zoo: error: {old} is now {new}\n"


@pytest.mark.parametrize(("command", "old", "new"), OLD)
def test_old_spellings_are_in_no_help(command, old, new):
    name = "dataset check" if command.startswith("dataset") else command.split()[0]
    parser = commands()[name]
    assert f"{old} " not in parser.format_help().replace("\n", " ")
    assert any(new.split()[0] in action.option_strings for action in parser._actions)


def test_an_unknown_option_is_one_line(capsys):
    with pytest.raises(SystemExit) as exit_:
        main(["list", "--nonsense"])
    error = capsys.readouterr().err
    assert exit_.value.code == 2 and "--nonsense" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (values.parse_size, "360x480", (360, 480)),
        (values.parse_size, "64", (64, 64)),
        (values.parse_scales, "0.5,1", (0.5, 1.0)),
        (values.parse_share, "0.25", 0.25),
        (values.parse_classes, "3", 3),
        (values.parse_classes, "names.txt", "names.txt"),
        (values.parse_setting, "rates=[1,2]", ("rates", (1, 2))),
        (values.parse_setting, "name=a=b", ("name", "a=b")),
    ],
)
def test_values(parse, text, value):
    assert parse(text) == value


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (values.parse_size, "0x3"),
        (values.parse_size, "²x3"),
        (values.parse_size, "1x2x3"),
        (values.parse_scales, "1,,2"),
        (values.parse_share, "nan"),
        (values.parse_setting, "=3"),
        (values.parse_setting, "a b=3"),
    ],
)
def test_bad_values_are_named(parse, text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be") as caught:
        parse(text)
    assert repr(text) in str(caught.value)


# --- completion ---------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completions_know_commands_models_and_tags(shell, capsys):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert set(cli._MODULE_OF) - {name for name in cli._MODULE_OF if name in script} == set()
    assert all(name in script for name in registry.list_models())
    assert all(entry.tag in script for entry in catalog.ENTRIES)


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_scripts_are_valid(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "script").write_text(completion.script(shell))
    subprocess.run([shell, "-n", str(tmp_path / "script")], check=True)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["zoo", "seg"], "segment"),
        (["zoo", "segment", "deeplabv3_aspp_mob"], "deeplabv3_aspp_mobilenet_v2"),
        (["zoo", "evaluate", "m", "--weights", "camv"], "camvid"),
        (["zoo", "segment", "deeplabv3_aspp", "stree"], "street.jpg"),
        (["zoo", "evaluate", "m", "--data", "pho"], "photos"),
        (["zoo", "train", "m", "--dataset", "camvid_o"], "camvid_original"),
        (["zoo", "verify", "m.tflite", "--dataset", "fold"], "folder"),
        (["zoo", "train", "m", "--validation", "trainv"], "trainval"),
        (["zoo", "verify", "m.tflite", "--images", "stree"], "street.jpg"),
        (["zoo", "bench", "stree"], "street.jpg"),
        (["zoo", "bench", "m.tflite", "--model", "deeplabv3_aspp_mob"], "deeplabv3_aspp_mobilenet_v2"),
    ],
)
def test_bash_completes(words, expected, tmp_path):
    (tmp_path / "street.jpg").touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "script").write_text(completion.script("bash"))
    code = (
        f"source ./script; COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1};"
        'f=$(complete -p zoo | sed "s/.*-F \\([^ ]*\\).*/\\1/"); $f zoo 2>/dev/null; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert expected in done.stdout.split(), done


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_completions_know_kinds_and_splits(shell):
    script = completion.script(shell)
    assert " ".join(KINDS) in script and " ".join(completion.SPLITS) in script


def test_completions_cover_every_command_and_option():
    script = completion.script("bash")
    for name, parser in commands().items():
        words = "_shtab_zoo_" + re.sub("[ -]", "_", name) + "_option_strings"
        (found,) = re.findall(rf"^{words}=\((.*)\)$", script, flags=re.MULTILINE)
        shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
        assert set(found.split()) == {word for action in shown for word in action.option_strings}


@pytest.mark.parametrize("words", [["--help"], ["list"], ["train", "--help"], ["dilation", "--help"]])
def test_what_only_prints_imports_little(words):
    code = (
        "import contextlib, sys; from zoo.cli import main\n"
        f"with contextlib.suppress(SystemExit): main({words!r})\n"
        "slow = {'numpy', 'PIL', 'http.client', 'importlib.metadata'} & set(sys.modules)\n"
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_completion_imports_nothing_heavy():
    code = (
        "import sys; from zoo.cli import main; main(['completion', 'bash']);"
        "heavy = {'tensorflow', 'keras', 'matplotlib', 'onnx'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
