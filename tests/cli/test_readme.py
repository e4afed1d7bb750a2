"""The table of models against the registry, and the commands of README and all pages against the parsers."""

import re
import shlex
from pathlib import Path

import pytest

import zoo
from zoo import cli
from zoo.models import registry

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()
CONTRIBUTING = REPOSITORY / "CONTRIBUTING.md"
DOCS = REPOSITORY / "docs"


def row(name):
    spec = registry.resolve(name)
    facts = spec.facts
    paper = re.match(r"(.+? \d{4}),", spec.paper).group(1)
    tags = [e.tag + ("\\*" if e.tag == spec.default_weights else "") for e in spec.weights]
    cells = (
        f"`{name}`",
        paper,
        f"{facts.parameters / 1e6:.1f} M",
        f"{facts.multiply_adds / 1e9:.1f} G",
        str(facts.output_stride),
        ", ".join(tags) or "–",
    )
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("name", zoo.list_models())
def test_the_table_of_models_is_the_registry(name):
    assert row(name) in README.splitlines()


def bundled():
    return [entry for spec in registry.MODELS for entry in spec.weights if entry.bundled]


@pytest.mark.parametrize("entry", bundled(), ids=lambda entry: entry.model)
def test_the_table_of_bundled_weights_is_the_catalog(entry):
    spec = registry.resolve(entry.model)
    name, size = f"`{spec.architecture}` / {entry.tag}", f"{entry.bytes / 1e6:.1f} MB"
    cells = (name, size, f"{entry.score:.2f}", entry.protocol, "Apache-2.0, data for research use")
    assert f"| {' | '.join(cells)} |" in README.splitlines()
    assert entry.licence.startswith("Apache-2.0; ") and "research use" in entry.licence


def pages():
    """The text of every page that shows commands."""
    named = (REPOSITORY / "README.md", CONTRIBUTING, REPOSITORY / "MODEL_CARD.md")
    return [page.read_text() for page in (*named, *sorted(DOCS.rglob("*.md")))]


def commands():
    found = []
    for page in pages():
        blocks = re.findall(r"```sh\n(.*?)```", page, flags=re.DOTALL)
        whole = "\n".join(
            block.replace("\\\n", " ") for block in blocks
        )  # a command may go on in the next line
        for name, text in re.findall(r'^(\w+)="([^"]*)"$', whole, flags=re.MULTILINE):
            whole = whole.replace(f"${name}", text)
        lines = [line.split("#")[0].strip() for line in whole.splitlines()]
        starts = [(line, re.search(r"(?<![\w-])zoo [a-z]", line)) for line in lines]
        found += [line[start.start() :] for line, start in starts if start]
    return found


@pytest.mark.parametrize("command", commands())
def test_commands_are_understood(command):
    """Each command of the README parses to something that runs; none is run."""
    words = shlex.split(command)[1:]
    assert callable(cli.build_parser(words).parse_args(words).run)


def test_there_are_commands():
    assert len(commands()) >= 7


def test_the_example_of_transfer_learning_is_the_file():
    code = (REPOSITORY / "examples" / "transfer_learning.py").read_text().split('"""\n\n', 1)[1]
    assert f"```python\n{code}```" in README
