"""Why an address could not deliver: network errors nest five exceptions deep, and the innermost one knows."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from zoo.weights.addresses import shown

# Kinds that are said in few words; whatever matches none of them is told as it is.
_REASONS = (
    (r"NameResolution|getaddrinfo|Name or service|name resolution", "host name not found"),
    (r"[Cc]onnection refused|ConnectionRefusedError", "connection refused"),
    (r"unreachable", "network is unreachable"),
    (r"[Tt]imed? ?out", "timed out"),
    (r"IncompleteRead|InvalidChunkLength|reset|aborted|RemoteDisconnected", "connection lost"),
)
# What a machine behind a proxy sees that was not told of it.
_UNREACHED = ("host name not found", "network is unreachable", "timed out")
_TLS = r"certificate|SSL|X509|TLS"
_CERTIFICATES = r"certificate|crl|X509"
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_LONGEST = 200


def why(error: BaseException, *, url: str | None = None) -> str:
    """A reason in one line: the innermost cause, the proxy if one is between, and what may help.

    Args:
        error: As it was caught.
        url: What was asked for, where that was the network.
    """
    if url is None and isinstance(error, OSError) and error.strerror:
        return error.strerror
    chain = list(_chain(error))
    told = " ".join(f"{type(e).__name__}: {e}" for e in chain)
    cause = _text(chain[-1])
    if re.search(_TLS, told) and not _is_proxy_error(chain):
        hint = f"; {_bundle_hint()}" if re.search(_CERTIFICATES, told) else ""
        return f"the TLS connection failed: {cause}{_through(url)}{hint}"
    cause = next((words for pattern, words in _REASONS if re.search(pattern, told)), cause)
    if not _is_proxy_error(chain):
        return f"{cause}{_through(url) or _proxy_hint(cause, url)}"
    if "407" in cause:
        return f"{cause}{_through(url)}; {_LOGIN}"
    return f"{cause}{_through(url)}; HTTPS_PROXY chooses the proxy, NO_PROXY names hosts that need none"


_LOGIN = "name and password belong into the address of the proxy: HTTPS_PROXY=http://name:password@host:port"


def of_status(status: int, reason: str | None, *, url: str) -> str:
    """The same for an answer that is none: an HTTP status, which a proxy may have given."""
    line = " ".join(f"HTTP {status} {reason or ''}".split()) + _through(url)
    return f"{line}; {_LOGIN}" if status == 407 else line


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it wraps, the innermost last; each library has its own place for that."""
    seen: set[int] = set()
    inner: BaseException | None = error
    while inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        yield inner
        places = (getattr(inner, "reason", None), getattr(inner, "original_error", None), *inner.args)
        within = next((place for place in reversed(places) if isinstance(place, BaseException)), None)
        inner = within or inner.__cause__ or inner.__context__


def _text(error: BaseException) -> str:
    """The words of one error, without the place in OpenSSL's sources."""
    words = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    words = re.sub(r"^\[[\w: ]+\]\s*|\s*\(_ssl\.c:\d+\)", "", " ".join(words.split()))
    return (words or type(error).__name__)[:_LONGEST]


def _is_proxy_error(chain: list[BaseException]) -> bool:
    return any(type(error).__name__ in ("ProxyError", "InvalidProxyURL") for error in chain)


def _through(url: str | None) -> str:
    """Names the proxy that the environment puts before an address."""
    if url is None:
        return ""
    from requests.utils import get_environ_proxies, select_proxy

    proxy = select_proxy(url, get_environ_proxies(url, no_proxy=None))
    return f" (through the proxy {shown(proxy)})" if proxy else ""


def _proxy_hint(cause: str, url: str | None) -> str:
    if url is None or cause not in _UNREACHED:
        return ""
    return f" (no proxy is set; where one is needed, {url.partition(':')[0].upper()}_PROXY names it)"


def _bundle_hint() -> str:
    name = next((name for name in _BUNDLES if os.environ.get(name)), None)
    if name is None:
        return "where a proxy inspects TLS, REQUESTS_CA_BUNDLE must name the file with its certificate"
    return f"certificates are read from {name}={os.environ[name]}"
