"""Pictures of coverage: how often each input pixel reaches one output pixel, and which never do.

Colours are told apart with every common colour vision: counts run from light to dark blue, holes are
orange. Counts are shown relative to the largest, on a logarithmic scale.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from math import log10
from pathlib import Path
from typing import Any

import numpy as np

from zoo.dilation.coverage import coverage
from zoo.dilation.model import ModelCoverage, analyse
from zoo.dilation.rules import check, suggest
from zoo.errors import InputError
from zoo.files import check_local, written_whole

FORMATS = ("png", "svg", "pdf")
HOLE = "#E69F00"
GRID_LIMIT = 80  # pixels across, up to which single pixels can be outlined
FLOOR = -6  # decades below the largest count that still change the colour
ZOOM = 65
ZOOM_INSIDE = 33  # on a map inside the network, whose single positions matter


def plot(rates: Iterable[int], *, kernel: int = 3, path: str | os.PathLike) -> Path:
    """Draws the coverage of a stack beside that of the rates suggested in its place.

    A stack that passes the HDC rule and leaves no hole is drawn alone.

    Args:
        rates: As for `zoo.dilation.check`; the receptive field may be up to 2048 pixels across.
        kernel: As for `zoo.dilation.check`.
        path: File to write, ``.png``, ``.svg`` or ``.pdf``; it appears complete or not at all.

    Returns:
        The path written.

    Raises:
        InputError: Bad rates or kernel, an unknown suffix, or a folder that cannot be written to.
    """
    path = check_path(path)
    rates = check(rates, kernel=kernel).rates
    repaired = suggest(rates, kernel=kernel)
    panels = [_stack_panel(rates, kernel, "")]
    if repaired != rates:
        panels.append(_stack_panel(repaired, kernel, "suggested: "))
    return save(_figure([panels]), path)


def plot_model(
    model: Any,
    *,
    layer: str | None = None,
    source: str | None = None,
    beside: Any = None,
    path: str | os.PathLike,
) -> Path:
    """Draws what one output position of a model reads, whole and magnified at the centre.

    Args:
        model: A model, as for `zoo.dilation.analyse`, or what that returned.
        layer: As for `zoo.dilation.analyse`; it applies to both models.
        source: As for `zoo.dilation.analyse`; it applies to both models.
        beside: A second model, or its analysis, to draw next to the first.
        path: As for `plot`.

    Returns:
        The path written.

    Raises:
        InputError: As for `zoo.dilation.analyse`, or a path as in `plot`.
    """
    path = check_path(path)
    models = [model] if beside is None else [model, beside]
    found = [
        item if isinstance(item, ModelCoverage) else analyse(item, layer=layer, source=source)
        for item in models
    ]
    rows = [[_model_panel(item) for item in found], [_zoom_panel(item) for item in found]]
    return save(_figure(rows), path)


def check_path(path: str | os.PathLike) -> Path:
    """Returns `path` if a picture can be written there, or raises `InputError`."""
    path = check_local(path)
    if path.suffix.lower().lstrip(".") not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise InputError(f"a picture's suffix must be one of {allowed}; got {str(path)!r}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(f"cannot write to the folder {str(path.parent)!r}: missing or read-only")
    if path.is_dir():
        raise InputError(f"cannot write {str(path)!r}: it is a folder")
    return path


@dataclass(frozen=True)
class _Panel:
    """One map; `levels` are decades below the largest count, NaN at holes."""

    title: str
    lines: tuple[str, ...]
    levels: np.ndarray
    origin: tuple[int, int]
    unit: str = "output pixel"


def _stack_panel(rates: tuple[int, ...], kernel: int, prefix: str) -> _Panel:
    counts, report = coverage(rates, kernel=kernel), check(rates, kernel=kernel)
    verdict = "passes the HDC rule"
    if not report.passes:
        causes = [f"common factor {report.common_factor}"] if report.common_factor > 1 else []
        if report.m2 is not None and report.m2 > kernel:
            causes.append(f"M₂ = {report.m2} > {kernel}")
        verdict = f"fails the HDC rule: {', '.join(causes)}"
    elif report.m2 is not None:
        verdict = f"passes the HDC rule: M₂ = {report.m2} ≤ {kernel}"
    return _Panel(
        title=f"{prefix}{'rate' if len(rates) == 1 else 'rates'} {runs(rates)}, kernel {kernel}",
        lines=(_extent(counts), verdict),
        levels=_levels(counts),
        origin=(-(len(counts) // 2),) * 2,
    )


def _model_panel(found: ModelCoverage) -> _Panel:
    return _Panel(
        title=found.model,
        lines=(_extent(found.counts), *_stride_and_rates(found)),
        levels=_levels(found.counts),
        origin=found.origin,
        unit=_unit(found),
    )


def _zoom_panel(found: ModelCoverage) -> _Panel:
    """The middle of the receptive field, on its own scale: gridding is a matter of neighbours."""
    side = ZOOM if found.source is None else ZOOM_INSIDE
    cuts = [slice(max(0, (n - side) // 2), (n + side) // 2) for n in found.counts.shape]
    counts = found.counts[cuts[0], cuts[1]]
    ratio = counts.max() / max(counts.min(), 1)
    holes = counts.size - np.count_nonzero(counts)
    spread = f"most to least paths {ratio:.3g} : 1"
    if holes:
        spread = f"{100 * holes / counts.size:.0f} % of them holes"
    cells = "pixels" if found.source is None else "positions"
    return _Panel(
        title=f"its central {counts.shape[0]} × {counts.shape[1]} {cells}",
        lines=(f"{spread}",),
        levels=_levels(counts),
        origin=(found.origin[0] + cuts[0].start, found.origin[1] + cuts[1].start),
        unit=_unit(found),
    )


def _unit(found: ModelCoverage) -> str:
    return "output pixel" if found.source is None else "output position"


def _stride_and_rates(found: ModelCoverage) -> tuple[str, ...]:
    stride = " × ".join(str(step) for step in dict.fromkeys(found.output_stride))
    lines = (f"layer {found.layer}, output stride {stride}",)
    if found.source is not None:
        lines = (f"from {found.source}", f"to {found.layer}")
    if not found.rates:
        return lines
    others = f", and {len(found.rates) - 1} parallel" if len(found.rates) > 1 else ""
    return *lines, f"rates {runs(found.rates[0])}{others}"


def runs(rates: tuple[int, ...]) -> str:
    """``1-2-5``, with long runs of one rate as ``2 (×7)``."""
    parts = []
    for rate, run in groupby(rates):
        length = len(list(run))
        parts += [f"{rate} (×{length})"] if length > 3 else [str(rate)] * length
    return "-".join(parts if len(parts) <= 12 else [*parts[:8], "…", *parts[-3:]])


def _extent(counts: np.ndarray) -> str:
    share = np.count_nonzero(counts) / counts.size
    # Rounding must not turn a map with holes into a full one.
    text = "100 %" if share == 1 else f"{min(100 * share, 99.9):.1f} %"
    return f"receptive field {counts.shape[0]} × {counts.shape[1]}, {text} of it reached"


def _levels(counts: np.ndarray) -> np.ndarray:
    """Decades below the largest count, NaN at holes; integers may be beyond any float."""
    if counts.dtype == object:
        logs = np.array([log10(n) if n else np.nan for n in counts.ravel()]).reshape(counts.shape)
    else:
        with np.errstate(divide="ignore"):
            logs = np.where(counts > 0, np.log10(counts), np.nan)
    return logs - np.nanmax(logs)


def _figure(rows: list[list[_Panel]]) -> Any:
    """Lays the panels out as a grid with one colour bar and one legend."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    columns = len(rows[0])
    has_holes = any(np.isnan(panel.levels).any() for row in rows for panel in row)
    height = 5.8 * len(rows) + (0.5 if has_holes else 0)
    figure = Figure(figsize=(1.3 + 5.0 * columns, height), layout="constrained")
    axes = figure.subplots(len(rows), columns, squeeze=False)
    blues = ["#DCE9F6", "#6BAED6", "#2171B5", "#08204A"]
    colours = LinearSegmentedColormap.from_list("paths", blues).with_extremes(bad=HOLE)
    for row, panels in zip(axes, rows, strict=True):
        lowest = min(np.nanmin(panel.levels) for panel in panels)
        # At least one decade, so that small differences look small.
        norm = Normalize(max(min(lowest, -1), FLOOR), 0)
        for ax, panel in zip(row, panels, strict=True):
            image = _draw(ax, panel, colours, norm)
        row[0].set_ylabel(f"rows from the {panels[0].unit}")
        extend = "min" if lowest < FLOOR else "neither"
        _add_bar(figure, image, row, extend=extend, unit=panels[0].unit)
    if has_holes:
        handles = [Patch(facecolor=HOLE, label=f"hole: no path reaches the {rows[0][0].unit}")]
        figure.legend(handles=handles, loc="outside lower center", frameon=False, fontsize=11)
    return figure


def _add_bar(figure: Any, image: Any, row: Any, *, extend: str, unit: str) -> None:
    """Adds the colour bar of a row, with round numbers on its logarithmic scale."""
    bar = figure.colorbar(image, ax=row, shrink=0.8, pad=0.02, extend=extend)
    lowest = image.norm.vmin
    steps = (1,) if lowest < -3 else (1, 2, 5)
    ticks = [step * 10.0**decade for decade in range(FLOOR - 1, 1) for step in steps]
    ticks = [tick for tick in ticks if lowest - 1e-9 <= log10(tick) <= 0]
    bar.set_ticks(
        [log10(tick) for tick in ticks], labels=[f"{tick:.6f}".rstrip("0").rstrip(".") for tick in ticks]
    )
    bar.set_label(f"paths to the {unit}, relative to the most (log scale)")


def _draw(ax: Any, panel: _Panel, colours: Any, norm: Any) -> Any:
    """Draws one map with offsets from the output position on its axes."""
    rows, columns = panel.levels.shape
    top, left = panel.origin
    image = ax.imshow(
        np.ma.masked_invalid(panel.levels),
        cmap=colours,
        norm=norm,
        interpolation="nearest",
        extent=(left - 0.5, left + columns - 0.5, top + rows - 0.5, top - 0.5),
    )
    if max(rows, columns) <= GRID_LIMIT:
        width = 0.8 if max(rows, columns) <= 40 else 0.3
        ax.set_xticks(np.arange(left - 0.5, left + columns), minor=True)
        ax.set_yticks(np.arange(top - 0.5, top + rows), minor=True)
        ax.grid(which="minor", color="white", linewidth=width)
        ax.tick_params(which="minor", length=0)
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.get_major_locator().set_params(integer=True)
    ax.set_xlabel(f"columns from the {panel.unit}")
    ax.set_title(panel.title, fontsize=12, fontweight="bold", pad=10 + 13 * len(panel.lines))
    # Below the title, in the room that its padding keeps.
    ax.annotate(
        "\n".join(panel.lines),
        (0.5, 1.0),
        (0, 5),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        fontsize=10,
        color="#333333",
        in_layout=False,
    )
    return image


def save(figure: Any, path: Path) -> Path:
    """Writes a figure in the format of the path's suffix, whole or not at all."""
    with written_whole(path) as part:
        figure.savefig(part, format=path.suffix.lower().lstrip("."), dpi=150)
    return path
