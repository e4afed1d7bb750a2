"""What a format is: a name, how its files are told from others, and where its parts are."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from zoo.errors import InputError
from zoo.export.core.staging import Shape, article


@dataclass(frozen=True, kw_only=True)
class Option:
    """A setting that only the writer of one format has.

    Attributes:
        name: Of the keyword; on the command line ``--name``.
        type: Of the value.
        help: What it is, in a few words.
    """

    name: str
    type: type
    help: str


@dataclass(frozen=True, kw_only=True)
class Format:
    """A format.

    The parts are called as follows.

    * `writer`: ``write(deployment, path)`` writes a `zoo.export.core.deployment.Deployment`; for a quantized
      file ``write(deployment, path, plan=plan)`` gives the `Quantization` that was done. Settings of the
      format alone (`options`) follow as keywords.
    * `artifact`: ``open(path, threads=2)`` gives a `zoo.export.Artifact`.
    * `runner`: A class, see `zoo.export.core.runner.Runner`.
    * `probe`: ``tensors(artifact, image)`` yields the name and the value of what the artifact computes on its
      way, the name of a layer being a part of the name.
    * `check`: ``check(**options)`` raises an `InputError` for a setting that cannot be used.

    Attributes:
        name: As in ``--format``.
        shape: How a file or folder of it is told from others.
        writer: Writes it; `None` for what `zoo.export.bench` can time only.
        artifact: Opens it.
        runner: Times it; `None` where it cannot be timed.
        probe: Looks into it; `None` where that cannot be done.
        check: Looks at `options` before anything slow begins.
        options: The writer's own settings.
        quantizations: Keys of `zoo.export.core.kinds.KINDS` that the writer knows.
        layouts: Of input and output, the default first.
        static_size: Whether it has no other size than a static one.
        multiplies_padding: Whether its runtime multiplies zeros of the padding in float32, so that
            `zoo.export.deploy.AGAINST_PADDING` can help.
        runtime: Distribution that runs it.
        packages: Distributions that write it and run it; reports tell their versions.
        extra: Of ``atrous-zoo``, that installs them; `None` where they always are.
        proof: What its parity was measured with, where that is not the runtime itself.
    """

    name: str
    shape: Shape
    writer: str | None = None
    artifact: str | None = None
    runner: str | None = None
    probe: str | None = None
    check: str | None = None
    options: tuple[Option, ...] = ()
    quantizations: tuple[str, ...] = ()
    layouts: tuple[str, ...] = ("nhwc",)
    static_size: bool = False
    multiplies_padding: bool = False
    runtime: str | None = None
    packages: tuple[str, ...] = ()
    extra: str | None = None
    proof: str | None = None

    def load(self, part: str) -> Callable[..., Any]:
        """One of the parts, such as ``"writer"``.

        Raises:
            InputError: The format has no such part, or a package of it is not installed.
        """
        location = getattr(self, part)
        if location is None:
            raise InputError(f"{article(self.name)} artifact has no {part}")
        try:
            return imported(location)
        except ModuleNotFoundError as error:
            install = f"atrous-zoo[{self.extra}]" if self.extra else " ".join(self.packages)
            raise InputError(f"{self.name} needs {error.name}: pip install '{install}'") from error

    def option(self, name: str) -> Option | None:
        """One of the writer's own settings; `None` where it has no such."""
        return next((option for option in self.options if option.name == name), None)


def imported(location: str) -> Callable[..., Any]:
    """What stands at ``"module:name"``."""
    module, name = location.split(":")
    return getattr(importlib.import_module(module), name)
