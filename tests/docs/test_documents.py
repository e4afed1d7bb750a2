"""The pages that are made: every command, public name and score; and the messages behind the questions."""

import argparse
import ast
import re
import shlex
import sys

import pytest
from support.code_blocks import REPOSITORY
from support.imports import modules

import zoo
from zoo import cli
from zoo.models import registry

pytest.importorskip("mkdocs", reason='pip install ".[docs]"')
sys.path.insert(0, str(REPOSITORY / "docs" / "hooks"))
import api_pages
import cli_pages
import gallery
import outside

CARD = (REPOSITORY / "MODEL_CARD.md").read_text("utf-8")
FAQ = (REPOSITORY / "docs" / "faq.md").read_text("utf-8")
BUNDLED = [entry for spec in registry.MODELS for entry in spec.weights if entry.bundled]


def commands(parser):
    """A command and those below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from commands(below)


@pytest.mark.parametrize("name", list(cli_pages._commands()))
def test_every_option_is_on_the_page_of_its_command(name):
    parser = cli_pages._commands()[name]
    page = "\n".join(cli_pages.command(parser))
    for below in commands(parser):
        assert f"# {below.prog}\n" in page
        for action in below._actions:
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._SubParsersAction):
                assert f"`{cli_pages._invocation(action)}`\n:   " in page
    assert "%(" not in page


def test_what_looks_like_markup_is_text():
    said = cli_pages._text("<b>_x_ *y* a|b --tile and -h")
    assert said == r"&#60;b&#62;\_x\_ \*y\* a&#124;b `--tile` and `-h`"


def test_every_command_has_a_page():
    """The module of models has two commands, all others one of their name."""
    modules_of = {name.replace("-", "_") for name in cli_pages._commands()}
    assert modules_of == {*cli.COMMANDS, "list", "info"} - {"models"}


def examples():
    """The commands in the help of commands."""
    for parser in cli_pages._commands().values():
        for below in commands(parser):
            text = (below.epilog or "").replace("\\\n", " ")
            yield from re.findall(r"^  (zoo .+)$", text, re.MULTILINE)


@pytest.mark.parametrize("command", sorted(set(examples())))
def test_examples_of_the_help_are_understood(command):
    words = shlex.split(re.split(" [#>] ", command)[0])[1:]
    assert callable(cli.build_parser(words).parse_args(words).run)


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.key)
def test_scores_of_the_classes_are_those_of_the_card(entry):
    scores = gallery.class_scores(CARD, entry.key)
    names = zoo.labels.resolve(entry.labels).names
    assert tuple(scores) == names
    # Rounded to tenths each, their mean is off by half of a tenth at most.
    assert sum(scores.values()) / len(scores) == pytest.approx(entry.score, abs=0.055)
    page = gallery.page()
    assert f"**mIoU {entry.score:.2f}** ({entry.protocol})" in page
    assert all(f"</span> {name} | {score:.1f} |" in page for name, score in scores.items())


@pytest.mark.parametrize("entry", BUNDLED, ids=lambda entry: entry.key)
def test_every_bundled_model_has_a_picture(entry):
    assert (REPOSITORY / "docs" / "gallery" / f"{entry.model}_{entry.tag}.jpg").stat().st_size < 150_000


def test_links_out_of_the_pages():
    assert outside.place("../MODEL_CARD.md", "compression.md") == "project/MODEL_CARD.md"
    assert outside.place("../../MODEL_CARD.md", "guides/compress.md") == "project/MODEL_CARD.md"
    assert outside.place("docs/ablation.md", "project/MODEL_CARD.md") == "ablation.md"
    assert (
        outside.place("../tests/support/rooms.py", "ARCHITECTURE.md") == "source/tests/support/rooms.py.txt"
    )
    assert outside.place("datasets.md", "large_images.md") == "datasets.md"
    assert outside.place("../README.md", "faq.md") == "index.md"


# --- questions -------------------------------------------------------------------------------------------


def messages():
    """Every string of the sources that may be a message, with … for what is filled in."""
    for path in modules().values():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                yield "".join(parts)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def asked():
    return re.findall(r"^### `(.+)` \{ #[\w-]+ \}$", FAQ, re.MULTILINE)


@pytest.fixture(scope="module")
def texts():
    return list(messages())


def test_every_question_has_a_message():
    assert len(asked()) == FAQ.count("\n### ") >= 20


@pytest.mark.parametrize("message", asked())
def test_the_message_of_a_question_is_one_of_the_library(message, texts):
    parts = [part for part in message.split("…") if part.strip(" ;,:")]
    assert sum(map(len, parts)) >= 15
    pattern = re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
    assert any(pattern.search(text) for text in texts)


def test_a_message_that_is_not_there_is_found_out(texts):
    assert not any("the masks hold 0 and 254 only" in text for text in texts)


# --- the API ---------------------------------------------------------------------------------------------


def stated(name):
    """`__all__` of a package, as its source has it."""
    for node in ast.parse(modules()[name].read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return ast.literal_eval(node.value)
    raise AssertionError(f"{name} has no __all__")


def test_every_public_name_has_a_heading():
    api_pages.link_sources()
    found = api_pages._packages()
    for name in (
        "zoo",
        "zoo.dilation",
        "zoo.export",
        "zoo.weights",
        "zoo.datasets.convert",
        "zoo.training.losses",
    ):
        public = stated(name)
        inner = [key for key in public if f"{name}.{key}" in found]
        shown = [path.split(".")[0] for path in found[name]]
        assert sorted([*shown, *inner]) == sorted(public)
    assert "InputError" in found["zoo.errors"]
    assert "coverage.coverage" in found["zoo.dilation"]
    assert "::: zoo.dilation.check\n" in api_pages._page("zoo.dilation", found["zoo.dilation"])
