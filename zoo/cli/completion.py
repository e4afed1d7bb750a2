"""``zoo completion``: a script with which a shell completes commands, options, files, models and tags."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

SHELLS = ("bash", "zsh", "tcsh")

_EPILOG = """\
examples:
  zoo completion bash > ~/.local/share/bash-completion/completions/zoo
  zoo completion zsh > ~/.zfunc/_zoo
"""
# Words that stand for a value, by what a shell offers for them.
_FOLDERS = ("DIR",)
_FILES = ("ARTIFACT", "FILE", "FILE.npz", "FILE|N", "IMAGE", "MODEL.keras", "PATH")
_NAMES = {"MODEL": "models", "TAG|PATH": "tags", "TAG": "tags"}
# Options whose word stands for other values elsewhere.
_OPTIONS = {"--dataset": "kinds", "--split": "splits", "--validation": "splits"}
# Of those, and of no files.
_WORDS_ONLY = ("kinds", "splits")
SPLITS = ("train", "val", "test", "trainval", "train_aug", "all")


def add_parser(subparsers) -> None:
    """Add the parser of ``completion``."""
    parser = subparsers.add_parser(
        "completion",
        help="print a script of completions for a shell",
        description="Print a script by which a shell completes commands, options, files, models and tags.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    print(script(args.shell))
    return 0


def script(shell: str) -> str:
    """The completion script for a shell of `SHELLS`."""
    import shtab

    from zoo.cli import build_parser

    parser = build_parser(["--help"])  # all commands
    marks = dict.fromkeys(_FILES, shtab.FILE) | dict.fromkeys(_FOLDERS, shtab.DIRECTORY)
    marks |= {word: _completer(kind) for word, kind in _NAMES.items()}
    own = {word: _completer(kind) for word, kind in _OPTIONS.items()}
    for action in actions(parser):
        found = [own[word] for word in action.option_strings if word in own]
        if found:
            action.complete = found[0]
        elif not action.choices and action.metavar in marks:
            action.complete = marks[action.metavar]
    return shtab.complete(parser, shell, preamble={"bash": _bash(), "zsh": _zsh()})


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All arguments of a parser and of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from actions(command)
        else:
            yield action


def _names() -> dict[str, list[str]]:
    from zoo.datasets import KINDS
    from zoo.models import registry
    from zoo.weights import catalog

    models = sorted({*registry.list_models(), *registry.ALIASES})
    tags = sorted({entry.tag for entry in catalog.EVERY})
    return {"models": models, "tags": tags, "kinds": list(KINDS), "splits": list(SPLITS)}


def _completer(kind: str) -> dict[str, str]:
    words = " ".join(filter(_is_plain, _names()[kind]))
    return {"bash": f"_zoo_{kind}", "zsh": f"_zoo_{kind}", "tcsh": f"({words})"}


def _is_plain(word: str) -> bool:
    """Whether a shell reads the word as it is."""
    return re.fullmatch(r"[\w.-]+", word) is not None


def _bash() -> str:
    return _functions('  compgen -W "{words}" -- "$1"', '  compgen -f -- "$1"')


def _zsh() -> str:
    return _functions("  compadd -- {words}", "  _files")


def _functions(words: str, files: str) -> str:
    """A function of a shell for each kind of name: of lines that offer its words, and files as well."""
    functions = []
    for kind, names in _names().items():
        lines = [words.format(words=" ".join(filter(_is_plain, names)))]
        lines += [] if kind in _WORDS_ONLY else [files]
        functions.append("\n".join([f"_zoo_{kind}() {{", *lines, "}"]))
    return "\n".join(functions)
