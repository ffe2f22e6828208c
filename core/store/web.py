"""Web: asks a web server, through proxies and redirects, and says in plain words why no answer came."""

from __future__ import annotations

import re
from urllib.parse import unquote, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout
from urllib3 import exceptions as http
from urllib3.util import Retry, make_headers

from core.assets import AssetError

ADVICE = "check the network, or name another server with --mirror; what has come is kept, the same command goes on"
"""What the user can do when a file does not come."""
_TIMEOUT = Timeout(connect=15, read=30)
_ONE_TRY = Retry(total=None, connect=0, read=0, redirect=0, status=0, other=0)
_REDIRECTS, _MOST_REDIRECTS = (301, 302, 303, 307, 308), 5
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_WORDS = {
    http.NameResolutionError: "no server of this name is known",
    http.NewConnectionError: "the server cannot be reached",
    http.ConnectTimeoutError: f"no connection within {_TIMEOUT.connect_timeout} s",
    http.ReadTimeoutError: f"nothing came for {_TIMEOUT.read_timeout} s",
    http.ProxyError: "the proxy cannot be reached",
    http.IncompleteRead: "the connection broke off",
}
"""What the kinds of errors mean; the first that fits counts."""


def check_address(url: str) -> None:
    """Raise `AssetError` for an address that is not one of a web server."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address:
        raise AssetError(url, "is not the address of a file on the web", expected="https://SERVER/...")
    if parts.username is not None:
        found = "addresses with a user's name or password are not supported"
        raise AssetError(str(parts.hostname), found, advice="name a server that needs none")


def connections(url: str) -> PoolManager:
    """Return the connections to a server, through the proxy that the environment names."""
    parts, proxies = urlsplit(url), getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc):
        return PoolManager(timeout=_TIMEOUT)
    try:
        address = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
        headers = None
        if address.username is not None:
            user = f"{unquote(address.username)}:{unquote(address.password or '')}"
            headers = make_headers(proxy_basic_auth=user)
        server = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
        return ProxyManager(server, proxy_headers=headers, timeout=_TIMEOUT)
    except (http.HTTPError, ValueError) as error:
        found = "this variable names a proxy that cannot be used"
        raise AssetError(f"{parts.scheme}_proxy", found, advice="correct or unset it") from error


def describe(cause: BaseException) -> str:
    """Say in plain words why a server's answer did not come."""
    if _UNTRUSTED in str(cause):
        return "the server cannot prove its name: its certificate is not trusted here"
    if isinstance(cause, http.ProtocolError) and len(cause.args) > 1:  # it wraps an error of the connection
        return "the connection broke off"
    return next((words for kind, words in _WORDS.items() if isinstance(cause, kind)), str(cause))


def ask(connections: PoolManager, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
    """Ask a server, and the one to which it leads; never without encryption where the first address has it."""
    address = url
    for _ in range(_MOST_REDIRECTS + 1):
        try:
            response = connections.request(
                *("GET", address), headers=headers, preload_content=False, retries=_ONE_TRY, redirect=False
            )
        except (ValueError, UnicodeError) as error:  # http.client checks names and headers by itself
            raise AssetError(address, f"cannot be asked ({error})", advice=ADVICE) from error
        target = response.headers.get("Location")
        if response.status not in _REDIRECTS or not target:
            return response
        response.close()
        try:
            address = urljoin(address, target)
            check_address(address)
        except (AssetError, ValueError) as error:
            raise AssetError(url, "leads to what is not an address of the web", advice=ADVICE) from error
        if url.startswith("https:") and not address.startswith("https:"):
            raise AssetError(url, "leads to an address that is not secure (http)", advice=ADVICE)
    raise AssetError(url, "too many redirects", advice=ADVICE)


def range_of(response: BaseHTTPResponse) -> tuple[int, int]:
    """Return where the body of a response begins in the file, -1 if it does not say, and the file's length, or 0."""
    content_range = response.headers.get("Content-Range", "").strip()
    match = re.fullmatch(r"bytes (?:(\d{1,15})-\d{1,15}|\*)/(\d{1,15}|\*)", content_range)
    start, length = match.groups() if match else (None, None)
    return int(start or -1), int(length) if length and length != "*" else 0


def is_final(cause: BaseException) -> bool:
    """Tell whether asking again would give the same."""
    return _UNTRUSTED in str(cause) or isinstance(cause, http.LocationValueError)
