"""The parser of the command line: errors of one line, and help that fits its commands."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NoReturn

from zoo.files import address_of, check_local
from zoo.remote import check_remote

ADDRESSES = "addresses"
# What is only read, in every command.
_ALLOWED = ("data", "weights")
# A server, and the words of another command, which looks at them itself.
_NO_FILES = ("data_service", "command")
# What may be in a hub, which whoever loads it looks at.
_OF_HUBS, _HUB = ("model", "weights", "address"), "hf:/"
JSON_FORM = "--json takes a file, - for standard output"


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose errors are one line; so are those of its sub-commands."""

    def parse_known_args(self, args=None, namespace=None):
        """As usual; no value may be an address, such as ``gs://bucket/run``, but where that is allowed."""
        namespace, rest = super().parse_known_args(args, namespace)
        for name, value in vars(namespace).items():
            if name in _NO_FILES:
                continue
            allowed = name in getattr(namespace, ADDRESSES, _ALLOWED)
            for one in value if isinstance(value, list | tuple) else [value]:
                if name in _OF_HUBS and str(one).startswith(_HUB):
                    continue
                if isinstance(one, str | Path) and address_of(one) is not None:
                    check_remote(one) if allowed else check_local(one)
        return namespace, rest

    def allow_addresses(self, *names: str) -> None:
        """Let these options name files of stores and servers as well."""
        self.set_defaults(**{ADDRESSES: (*_ALLOWED, *names)})

    def error(self, message: str) -> NoReturn:
        """Print the line and exit with status 2."""
        if message.startswith("argument --json: expected"):
            message = JSON_FORM
        self.exit(2, f"zoo: error: {' '.join(message.split())} (see `{self.prog} --help`)\n")


class CommandsFormatter(argparse.RawDescriptionHelpFormatter):
    """Help in which the longest name of a command has its text beside it.

    Python measures these names without the indentation that it prints them with.
    """

    def add_argument(self, action: argparse.Action) -> None:
        """Count the indentation in."""
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):
            longest = max(map(len, action.choices), default=0) + 2 * self._indent_increment
            self._action_max_length = max(self._action_max_length, longest)
