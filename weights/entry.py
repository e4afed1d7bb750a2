"""One published checkpoint: where it is, how to recognise it, what it scored, by which protocol."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from zoo.errors import InputError

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHA256_START = re.compile(r"[0-9a-f]{8,63}")
_SCHEMES = ("https://", "http://")


@dataclass(frozen=True, kw_only=True)
class WeightsEntry:
    """A checkpoint that the zoo can download, verify and convert.

    Attributes:
        model: Name of the model, such as ``"deeplabv3_aspp_mobilenet_v2"``.
        tag: Name of these weights within the model, such as ``"voc2012"``.
        file: File name, without a folder.
        urls: Addresses tried in order: the official one, then mirrors. Empty for a bundled file.
        bytes: Size in bytes, or ``None`` if it was never published.
        sha256: 64 lower-case hex digits. ``None`` means unpublished: loading then needs
            ``allow_unverified=True`` and the digest seen is recorded.
        sha256_start: The first digits, at least 8, where no more was published; they must match too, but do
            not stand for the whole. ``None`` where all or nothing is known.
        licence: Licence of the weights (SPDX name where there is one) and terms of their data.
        source: URL or citation of the publication.
        labels: Name of a label set, such as ``"voc21"``.
        metric: Name of the metric of `score`, such as ``"mIoU"``.
        score: Published or measured score, in the unit of `metric`.
        protocol: Data set, split, size, scales and flip behind `score`; a score needs one.
        name_map: Key of the name map that converts the file.
        settings: Builder arguments that the weights need; read-only.
        bundled: Whether the file ships inside the package.

    Raises:
        InputError: A field is malformed, or a score stands without its metric or protocol.
    """

    model: str
    tag: str
    file: str
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    sha256: str | None = None
    sha256_start: str | None = None
    licence: str
    source: str
    labels: str
    metric: str | None = None
    score: float | None = None
    protocol: str | None = None
    name_map: str
    settings: Mapping[str, object] = field(default_factory=dict, hash=False)
    bundled: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "urls", tuple(self.urls))
        object.__setattr__(self, "settings", MappingProxyType(dict(self.settings)))
        self._check_file()
        self._check_score()

    @property
    def key(self) -> str:
        """``model/tag``, as printed in messages and lists."""
        return f"{self.model}/{self.tag}"

    def _check_file(self) -> None:
        if not self.file or self.file.startswith(".") or re.search(r"[/\\:\0]", self.file):
            raise InputError(f"{self.key}: file must be a plain file name, got {self.file!r}")
        if self.sha256 is not None and not _SHA256.fullmatch(self.sha256):
            raise InputError(
                f"{self.key}: sha256 must be 64 lower-case hex digits or None, got {self.sha256!r}"
            )
        start = self.sha256_start
        if start is not None and (self.sha256 is not None or not _SHA256_START.fullmatch(start)):
            raise InputError(
                f"{self.key}: sha256_start must be 8 to 63 lower-case hex digits in place of sha256, or "
                f"None, got {start!r}"
            )
        if self.bytes is not None and self.bytes <= 0:
            raise InputError(f"{self.key}: bytes must be positive or None, got {self.bytes!r}")
        for url in self.urls:
            if not url.startswith(_SCHEMES):
                raise InputError(f"{self.key}: a url starts with https:// or http://, got {url!r}")
        if not self.urls and not self.bundled:
            raise InputError(f"{self.key}: an entry that is not bundled needs at least one url")

    def _check_score(self) -> None:
        if self.score is not None and not (self.metric and self.protocol):
            raise InputError(f"{self.key}: a score needs its metric and its protocol")
