"""Links of a page that lead out of `docs/`: documents of the repository become pages, other files text files.

The site so holds whatever it speaks of, wherever it is served from.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)\s#]+)(?=[)#])")
PROJECT = "project/"  # documents of the repository's root, as pages
SOURCE = "source/"  # its other files, as they are


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what the pages link to, and what is linked to from there."""
    waiting = [file for file in files if file.is_documentation_page()]
    while waiting:
        file = waiting.pop()
        for target in LINK.findall(file.content_string):
            uri = place(target, file.src_uri)
            if uri.startswith((PROJECT, SOURCE)) and files.get_file_from_path(uri) is None:
                added = _added(config, uri, file.src_uri)
                files.append(added)
                waiting += [added] * added.is_documentation_page()
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Leads the links to where those files are in the site."""
    here = posixpath.dirname(page.file.src_uri)
    return LINK.sub(lambda link: posixpath.relpath(place(link[1], page.file.src_uri), here), markdown)


def place(target: str, page: str) -> str:
    """Where the target of a page's link is in the site; both are told from the folder of pages."""
    home = "" if page.startswith(PROJECT) else posixpath.join("docs", posixpath.dirname(page))
    path = posixpath.normpath(posixpath.join(home, target))
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    if path == "README.md":
        return "index.md"
    if "/" not in path and path.endswith(".md"):
        return PROJECT + path
    return f"{SOURCE}{path}.txt"


def _added(config: MkDocsConfig, uri: str, page: str) -> File:
    path = REPOSITORY / uri.removeprefix(PROJECT).removeprefix(SOURCE)
    path = path.with_suffix("") if uri.startswith(SOURCE) else path
    if not path.is_file():
        raise PluginError(f"{page}: a link leads to {path.relative_to(REPOSITORY)}, which is no file")
    return File.generated(config, uri, content=path.read_text("utf-8"))
