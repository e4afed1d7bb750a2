"""The fenced blocks of the documents, and what the comment before a block says of running it.

A block of `sh` or `python` is run as it stands by tests/docs/test_code_blocks.py. A comment in the line
before says otherwise:

    <!-- not run: why, and which test covers it -->
    <!-- run in: tests/… -->                      that test runs the very block
    <!-- run with: export --input-size 65x97 -->  these options are added to that command, to be quick
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
KINDS = ("not run", "run in", "run with")
_BLOCK = re.compile(
    r"^(?:(?P<marker> *<!--[^\n]*-->)\n)?(?P<indent> *)```(?P<language>sh|bash|shell|python|py)\n"
    r"(?P<text>.*?)^ *```$",
    re.DOTALL | re.MULTILINE,
)
_MARKER = re.compile(r"<!-- ([a-z ]+?): (.+) -->")


@dataclass(frozen=True)
class Block:
    """A block of a page; `kind` is one of `KINDS` or empty, `said` what its comment says."""

    page: str
    line: int
    language: str
    text: str
    kind: str
    said: str

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"

    def commands(self) -> list[str]:
        """The commands of a block of shell; a line that ends with a backslash goes on."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.split("#")[0].strip()]


def pages() -> list[Path]:
    """The documents of the repository that show code; notebooks are run as such."""
    found = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    return sorted(path for path in found if not path.with_suffix(".ipynb").exists())


def blocks(path: Path) -> Iterator[Block]:
    """The blocks of one page, in their order."""
    text = path.read_text("utf-8")
    for found in _BLOCK.finditer(text):
        marker = _MARKER.search(found["marker"] or "")
        known = marker is not None and marker[1] in KINDS
        yield Block(
            page=str(path.relative_to(REPOSITORY)),
            line=text.count("\n", 0, found.start("language")) + 1,
            language="python" if found["language"].startswith("py") else "sh",
            text=re.sub(f"^{found['indent']}", "", found["text"], flags=re.MULTILINE),
            kind=marker[1] if known else "",
            said=marker[2] if known else "",
        )
