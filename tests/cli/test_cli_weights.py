import argparse
import hashlib
import json
import subprocess
import sys
import types

import pytest

import zoo.weights
from zoo.cli import weights as cli
from zoo.errors import DownloadError, InputError
from zoo.weights import cache
from zoo.weights.entry import WeightsEntry

CONTENT = b"weights" * 100


def entry_for(model, tag, content=CONTENT, **changes):
    fields = {
        "model": model,
        "tag": tag,
        "file": f"{model}-{tag}.pth",
        "urls": (f"http://127.0.0.1:9/{model}-{tag}.pth",),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "licence": "Apache-2.0",
        "source": "https://example.org",
        "labels": "voc21",
        "name_map": "torch",
    }
    return WeightsEntry(**fields | changes)


SCORED = entry_for("a_net", "voc2012", metric="mIoU", score=74.26, protocol="voc21 val 513x513")
ENTRIES = (SCORED, entry_for("a_net", "imagenet"), entry_for("b_net", "voc2012", sha256=None))


def find(model, tag):
    for entry in ENTRIES:
        if (entry.model, entry.tag) == (model, tag):
            return entry
    raise InputError(f"no weights {tag!r} for {model!r}")


@pytest.fixture(autouse=True)
def catalog(monkeypatch, tmp_path):
    own = lambda model: tuple(e for e in ENTRIES if e.model == model)  # noqa: E731
    module = types.SimpleNamespace(ENTRIES=ENTRIES, EVERY=ENTRIES, find=find, entries_of=own)
    monkeypatch.setattr(zoo.weights, "catalog", module, raising=False)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("ZOO_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("ZOO_OFFLINE", "1")
    (tmp_path / "mirror").mkdir()
    for entry in ENTRIES:
        (tmp_path / "mirror" / entry.file).write_bytes(CONTENT)


def run(*arguments):
    parser = argparse.ArgumentParser(prog="zoo")
    cli.add_parser(parser.add_subparsers())
    args = parser.parse_args(["weights", *arguments])
    return args.run(args)


def test_list_prints_a_score_with_its_protocol(capsys):
    assert run("list") == 0
    out = capsys.readouterr().out
    assert "mIoU 74.26 (voc21 val 513x513)" in out and out.count("not cached") == 3
    assert run("list", "a_net", "--weights", "imagenet") == 0
    assert "74.26" not in capsys.readouterr().out


def test_list_as_json(capsys):
    assert run("fetch", "a_net", "--weights", "voc2012") == 0
    capsys.readouterr()
    assert run("list", "--json", "-") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == ["a_net", "a_net", "b_net"]
    assert rows[0]["cached"] == str(cache.files_dir() / SCORED.file) and rows[1]["cached"] is None
    assert rows[0]["sha256"] == SCORED.sha256 and rows[2]["sha256"] is None


def test_fetch_verify_clear(capsys):
    assert run("fetch", "a_net") == 0
    assert capsys.readouterr().out.count(".pth") == 2
    assert run("verify") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ok", "ok", "absent"]
    (cache.files_dir() / SCORED.file).write_bytes(CONTENT[:-1] + b"!")
    assert run("verify", "--json", "-") == 1
    assert json.loads(capsys.readouterr().out)[0]["state"] == "damaged"
    assert run("verify", "a_net", "--weights", "imagenet") == 0
    assert run("clear") == 0
    out = capsys.readouterr().out
    assert SCORED.file in out and f"{2 * len(CONTENT)} bytes freed" in out
    assert run("clear", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out) == {"removed": [], "freed_bytes": 0}


def test_clear_of_one_entry(capsys):
    run("fetch", "a_net")
    assert run("clear", "a_net", "--weights", "voc2012") == 0
    assert [path.name for path in cache.files_dir().glob("*.pth")] == ["a_net-imagenet.pth"]


def test_fetch_all_goes_on_after_an_error(capsys):
    assert run("fetch", "--all", "--json", "-") == 2
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert [item["entry"] for item in report["fetched"]] == ["a_net/voc2012", "a_net/imagenet"]
    assert [item["entry"] for item in report["failed"]] == ["b_net/voc2012"]
    assert captured.err.startswith("zoo: error: b_net/voc2012") and captured.err.count("\n") == 1
    assert run("fetch", "--all", "--allow-unverified") == 0


@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "a_net", "--all"], ["list", "c_net"]])
def test_bad_input(arguments):
    with pytest.raises(InputError):
        run(*arguments)


def test_error_of_a_single_fetch_is_raised():
    with pytest.raises(DownloadError, match="--allow-unverified"):
        run("fetch", "b_net")


def test_unknown_model_names_the_known_ones():
    with pytest.raises(InputError, match="a_net, b_net"):
        run("verify", "c_net")


@pytest.mark.parametrize("action", [[], ["list"], ["fetch"], ["verify"], ["clear"]])
def test_help_has_an_example(capsys, action):
    with pytest.raises(SystemExit) as caught:
        run(*action, "--help")
    out = capsys.readouterr().out
    assert caught.value.code == 0 and f"zoo weights {' '.join(action)}" in out.split("example:")[1]
    assert not action or "--json" in out


def test_imports_no_framework():
    code = "import sys, zoo.cli.weights; print({'tensorflow', 'keras'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "set()", result.stderr
