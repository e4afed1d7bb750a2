"""Draws `docs/architecture.png`: the rooms of the package and who imports whom, from the imports themselves.

    python docs/draw_architecture.py

An arrow runs from a room to one that it imports. Left out are arrows that follow from others, those to the
ground, on which every room may stand, and those of the command line, which may import every room.
"""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from PIL import Image

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent / "tests"))

from support.imports import imports  # noqa: E402
from support.rooms import may_import, outer, room_of  # noqa: E402

GROUND = ("errors", "files", "labels", "remote")
# What each room does, and where it stands from left to right; how high, the imports decide.
ROOMS = {
    "graph": ("reads the graph of\na Keras model", 0.92),
    "layers": ("native dilation,\nresizing, padding", 0.0),
    "dilation": ("the rule, coverage,\npictures", 0.45),
    "sequence": ("WaveNet, ByteNet,\nstreams of sound", 1.5),
    "weights": ("catalog, download,\nreaders, name maps", 1.84),
    "models": ("backbones, heads,\narchitectures, loading", 0.9),
    "images": ("read, write,\noverlays", 2.76),
    "inference": ("scales, windows,\nmany images", 1.9),
    "evaluation": ("scores with\ntheir protocol", 2.2),
    "datasets": ("layouts, checks,\nbatches", 3.25),
    "metrics": ("confusion matrix,\nborders", 4.1),
    "export": ("formats, proof,\ntiming", 3.0),
    "training": ("losses, recipes,\nthe loop", 4.1),
    "ablation": ("the papers'\ncomparisons", 2.9),
    "demo": ("a web page\nof a model", 1.0),
    "hub": ("models to a hub,\nwith a card", 0.2),
    "compression": ("prune, cluster,\nquantize", 4.75),
}
COLORS = ("#e8eef7", "#dcebe3", "#f7efdc", "#f6e3dd", "#ece2f2")
WIDTH, HEIGHT, ACROSS, UP = 1.62, 0.86, 1.95, 1.4
Edges = dict[str, set[str]]


def edges() -> Edges:
    """Each room with the rooms that it imports, as far as the table of rooms allows it."""
    found: Edges = {}
    for importer, imported, _ in imports():
        a, b = room_of(importer), room_of(imported)
        if a and b and may_import(a, b) and {outer(a), outer(b)} <= set(ROOMS):
            found.setdefault(outer(b), set())
            found.setdefault(outer(a), set()).update({outer(b)} - {outer(a)})
    return found


def reachable(start: str, graph: Edges) -> set[str]:
    """Every room below a room."""
    return graph[start].union(*(reachable(room, graph) for room in graph[start]))


def reduced(graph: Edges) -> Edges:
    """The same order with the fewest arrows."""
    return {
        room: {b for b in below if not any(b in reachable(c, graph) for c in below if c != b)}
        for room, below in graph.items()
    }


def places(graph: Edges) -> dict[str, tuple[float, float]]:
    """Centres of the boxes; a room stands one step above the highest that it imports."""

    def depth(room: str) -> int:
        return 1 + max((depth(below) for below in graph[room]), default=0)

    return {room: (ROOMS[room][1] * ACROSS, depth(room) * UP) for room in graph}


def draw(path: Path) -> None:
    """Write the picture."""
    graph = reduced(edges())
    at = places(graph)
    right, top = (max(place[axis] for place in at.values()) for axis in range(2))
    figure = Figure(figsize=((right + 2.2) * 0.92, (top + 2.4) * 0.92))
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_xlim(-1.1, right + 1.1)
    ax.set_ylim(-0.6, top + UP + 0.6)
    ax.set_axis_off()
    for room, below in graph.items():
        for other in below:
            _arrow(ax, at[room], at[other])
    for room, (x, y) in at.items():
        color = COLORS[min(round(y / UP) - 1, len(COLORS) - 1)]
        _box(ax, x, y, WIDTH, color=color, title=room, text=ROOMS[room][0])
    wide = {"width": right + WIDTH, "color": "#eef0f2"}
    _box(ax, right / 2, 0.0, title=" · ".join(GROUND), text="every room may stand on these", **wide)
    _box(ax, right / 2, top + UP, title="cli", text="a command imports what it needs when it runs", **wide)
    figure.savefig(path, dpi=110)
    with Image.open(path) as image:
        image.convert("RGB").quantize(64).save(path, optimize=True)


def _arrow(ax, start: tuple[float, float], end: tuple[float, float]) -> None:
    (x, y), (u, v) = start, end
    lean = 0.25 * (u - x) * UP / (y - v)
    lean = max(-0.5, min(0.5, lean))
    arrow = FancyArrowPatch(
        (x + lean, y - HEIGHT / 2),
        (u - lean, v + HEIGHT / 2),
        arrowstyle="-|>",
        mutation_scale=11,
        shrinkA=0,
        shrinkB=1,
        color="#8792a0",
        linewidth=1.1,
    )
    ax.add_patch(arrow)


def _box(ax, x: float, y: float, width: float, *, color: str, title: str, text: str) -> None:
    corner = (x - width / 2, y - HEIGHT / 2)
    style = "round,pad=0,rounding_size=0.12"
    patch = FancyBboxPatch(corner, width, HEIGHT, boxstyle=style, facecolor=color, edgecolor="#9aa5b1")
    ax.add_patch(patch)
    ax.text(x, y + 0.2, title, ha="center", va="center", fontsize=11, weight="bold", color="#1f2933")
    ax.text(x, y - 0.15, text, ha="center", va="center", fontsize=8, color="#52606d")


if __name__ == "__main__":
    draw(DOCS / "architecture.png")
