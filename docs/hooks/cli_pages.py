"""One page for each command of `zoo`, from the parser itself."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from api_pages import expand

from zoo import cli

FOLDER = "cli/"


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Shows the pages to the navigation."""
    pages = [f"{FOLDER}index.md", *({f"zoo {name}": f"{FOLDER}{name}.md"} for name in _commands())]
    config.nav = expand(config.nav, FOLDER + "*", pages)
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages."""
    commands = _commands()
    files.append(File.generated(config, f"{FOLDER}index.md", content=_index(commands)))
    for name, parser in commands.items():
        files.append(File.generated(config, f"{FOLDER}{name}.md", content="\n".join(command(parser))))
    return files


def command(parser: argparse.ArgumentParser, level: int = 1) -> Iterator[str]:
    """The Markdown of a command, those below it included."""
    yield f"{'#' * level} {parser.prog}\n"
    yield from _parts(parser.description or "")
    yield f"```text\n{_usage(parser)}\n```\n"
    inner = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if action not in inner and _is_shown(action)]
        if actions:
            yield f"**{(group.title or 'options').capitalize()}**\n"
            if group.description:
                yield f"{_text(group.description)}\n"
            for action in actions:
                yield f"`{_invocation(action)}`\n:   {_help(action, parser)}\n"
    yield from _parts(parser.epilog or "")
    for action in inner:
        for below in action.choices.values():
            yield from command(below, level + 1)


def _commands() -> dict[str, argparse.ArgumentParser]:
    os.environ["COLUMNS"] = "86"
    (action,) = (a for a in cli.build_parser([])._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def _index(commands: dict[str, argparse.ArgumentParser]) -> str:
    rows = [f"| [zoo {name}]({name}.md) | {_text(parser.description)} |" for name, parser in commands.items()]
    table = "\n".join(["| command | |", "|---|---|", *rows])
    status = cli.build_parser([]).epilog.strip().splitlines()[-1]
    return f"# Command line\n\n{table}\n\n{_text(status.capitalize())}.\n"


def _usage(parser: argparse.ArgumentParser) -> str:
    return parser.format_usage().removeprefix("usage: ").replace("\n       ", "\n").rstrip()


def _is_shown(action: argparse.Action) -> bool:
    return action.help is not argparse.SUPPRESS


def _invocation(action: argparse.Action) -> str:
    value = action.metavar or (
        "{" + ",".join(map(str, action.choices)) + "}" if action.choices else action.dest.upper()
    )
    value = " ".join(value) if isinstance(value, tuple) else value
    value = {"?": f"[{value}]", "*": f"[{value} …]", "+": f"{value} [{value} …]"}.get(action.nargs, value)
    if not action.option_strings:
        return value
    names = ", ".join(action.option_strings)
    return names if action.nargs == 0 else f"{names} {value}"


def _help(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    text = (action.help or "") % {**vars(action), "prog": parser.prog}
    return _text(text) or "–"


def _parts(text: str) -> Iterator[str]:
    """Indented lines are code, the others paragraphs."""
    for is_code, lines in _runs(text.splitlines()):
        part = "\n".join(lines).strip("\n")
        if is_code:
            language = "sh" if part.startswith("  zoo ") else "text"
            yield f"```{language}\n" + re.sub("^  ", "", part, flags=re.MULTILINE) + "\n```\n"
        else:
            for paragraph in filter(None, re.split(r"\n{2,}", part)):
                yield "**Examples**\n" if re.fullmatch(r"examples?:", paragraph) else f"{_text(paragraph)}\n"


def _runs(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    run, is_code = [], False
    for line in lines:
        if line.strip() and line.startswith("  ") != is_code:
            yield is_code, run
            run, is_code = [], not is_code
        run.append(line)
    yield is_code, run


def _text(text: str) -> str:
    """Plain text as Markdown: nothing in it is markup, and names of options are code."""
    text = re.sub(r"[<>&|]", lambda found: f"&#{ord(found[0])};", text)
    text = re.sub(r"([\\`*_\[\]])", r"\\\1", text)
    return re.sub(r"(?<![\w-])(--?[a-z][\w-]*)", lambda name: f"`{name[1]}`", text)
