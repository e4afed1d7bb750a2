"""The page as a folder of files for any web server."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from zoo.demo import runtimes
from zoo.errors import InputError
from zoo.export.core.artifact import Artifact
from zoo.files import check_local

STATIC = Path(__file__).with_name("static")
# Told from other folders by it.
MARKER = "models.json"
_HEADS = ("logits", "mask", "small_mask")
_MANIFEST = {
    "name": "Segmentation",
    "short_name": "Segmentation",
    "description": "Segments pictures and the camera in the browser.",
    "start_url": "./",
    "scope": "./",
    "display": "standalone",
    "background_color": "#f6f7f9",
    "theme_color": "#f6f7f9",
    "icons": [
        {"src": "icon.svg", "sizes": "any", "type": "image/svg+xml"},
        {"src": "icon-192.png", "sizes": "192x192", "type": "image/png"},
        {"src": "icon-512.png", "sizes": "512x512", "type": "image/png"},
    ],
}


def write_site(
    folder: str | os.PathLike, artifacts: Sequence[Artifact], *, runtime: Path | None = None
) -> int:
    """Write the page with its models and their runtimes.

    Args:
        folder: Made if missing; one that holds such a page is replaced.
        artifacts: ``.tflite`` and ``.onnx`` files, the first of which the page begins with.
        runtime: Folder of npm packages, see `zoo.demo.runtimes.files`.

    Returns:
        Bytes of all files.

    Raises:
        InputError: A folder that holds something else, an artifact that the page cannot show, or no runtime.
        DownloadError: A runtime that cannot be fetched.
    """
    folder = check_folder(folder)
    for artifact in artifacts:
        _check(artifact)
    with tempfile.TemporaryDirectory(prefix=".zoo-demo-", dir=_parent(folder)) as work:
        site = Path(work, "site")
        _fill(site, artifacts, runtime)
        old = Path(work, "old")
        if folder.exists():
            os.replace(folder, old)
        os.replace(site, folder)
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _parent(folder: Path) -> Path:
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {parent}: {error.strerror}") from error
    return parent


def check_folder(folder: str | os.PathLike) -> Path:
    """The folder, when such a page may be written there.

    Raises:
        InputError: It is not local, or holds something else.
    """
    folder = check_local(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise InputError(f"cannot write {folder}: the folder holds something other than such a page")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"cannot write {folder}: a file stands there, and a page is a folder")
    return folder


def _check(artifact: Artifact) -> None:
    if artifact.format not in runtimes.PACKAGES:
        raise InputError(f"{artifact.path}: the page runs .tflite and .onnx files")
    if artifact.metadata.head not in _HEADS:
        raise InputError(
            f"{artifact.path} gives {artifact.metadata.head!r}, smaller than the image;"
            " export it with head='logits' or 'mask'"
        )


def _fill(site: Path, artifacts: Sequence[Artifact], runtime: Path | None) -> None:
    shutil.copytree(STATIC, site)
    (site / "models").mkdir()
    models = [_model(site, artifact) for artifact in artifacts]
    formats = list(dict.fromkeys(artifact.format for artifact in artifacts))
    # A file that the person opens may be of the other format, whose runtime is then not there.
    folders = {runtimes.PACKAGES[name][0]: runtimes.folder_of(name) for name in formats}
    for name in formats:
        for place, content in runtimes.files(name, folder=runtime):
            (site / place).parent.mkdir(parents=True, exist_ok=True)
            (site / place).write_bytes(content)
    _write(site / MARKER, json.dumps({"models": models}, indent=1) + "\n")
    _write(site / "manifest.webmanifest", json.dumps(_MANIFEST, indent=1) + "\n")
    _write(
        site / "runtimes.js", f"// Where the runtimes are.\nexport const FOLDERS = {json.dumps(folders)};\n"
    )
    _write(site / "LICENCES.txt", _licences(formats))
    _write(site / "files.js", _list(site))


def _write(path: Path, text: str) -> None:
    path.write_text(text, "utf-8", newline="\n")


def _model(site: Path, artifact: Artifact) -> dict[str, object]:
    content = artifact.path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:12]
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", artifact.path.stem) or "model"
    path = f"models/{plain}-{digest}{artifact.path.suffix}"
    (site / path).write_bytes(content)
    return {"title": _title(artifact), "path": path}


def _title(artifact: Artifact) -> str:
    """``deeplabv3_aspp_mobilenet_v2 camvid, 360×480, float16 (TFLite)``."""
    metadata = artifact.metadata
    source = metadata.source or {}
    name = " ".join(filter(None, (source.get("model") or metadata.model, source.get("weights"))))
    size = "{}×{}".format(*metadata.input_size) if metadata.input_size else "any size"
    kind = (metadata.quantization or {}).get("kind", "float32")
    return f"{name}, {size}, {kind} ({'TFLite' if artifact.format == 'tflite' else 'ONNX'})"


def _licences(formats: Sequence[str]) -> str:
    lines = ["Software of others in the folder runtime, unchanged but for one import:", ""]
    for name in formats:
        lines += [f"{p.key} {p.version}, {p.licence}, {p.url}" for p in runtimes.packages(name)]
    return "\n".join([*lines, ""])


def _list(site: Path) -> str:
    """What the service worker keeps: the page itself at once, models and runtimes when they are used."""
    names = sorted(path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file())
    kept = [name for name in names if name.startswith(("models/", "runtime/"))]
    shell = ["./", *(name for name in names if name not in (*kept, "sw.js"))]
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + hashlib.sha256((site / name).read_bytes()).digest())
    listed = {"version": digest.hexdigest()[:16], "shell": shell, "kept": kept}
    return f"self.FILES = {json.dumps(listed, indent=1)};\n"
