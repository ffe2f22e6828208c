"""Web: asks a web server, through proxies and redirects, and says in plain words why no answer came."""

from __future__ import annotations

import re
from base64 import b64encode
from typing import NamedTuple
from urllib.parse import SplitResult, unquote_to_bytes, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

from urllib3 import BaseHTTPResponse, PoolManager, ProxyManager, Timeout
from urllib3 import exceptions as http
from urllib3.util import Retry

from core.assets import AssetError

_TIMEOUT = Timeout(connect=15, read=30)
_ONE_TRY = Retry(total=None, connect=0, read=0, redirect=0, status=0, other=0)
_REDIRECTS, _MOST_REDIRECTS = (301, 302, 303, 307, 308), 5
_LONGEST_REASON = 100  # characters of a server's own words
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_REFUSED_BY_PROXY = re.compile(r"Tunnel connection failed: (4\d\d .*|501 .*)")
_WORDS = {
    http.NameResolutionError: "no server of this name is known",
    http.NewConnectionError: "the server cannot be reached",
    http.ConnectTimeoutError: f"no connection within {_TIMEOUT.connect_timeout} s",
    http.ReadTimeoutError: f"nothing came for {_TIMEOUT.read_timeout} s",
    http.ProxyError: "the proxy that the environment names cannot be reached",
    http.IncompleteRead: "the connection broke off",
}
"""What the kinds of errors mean; the first that fits counts."""


class Answer(NamedTuple):
    """What a server answers."""

    response: BaseHTTPResponse
    """Its head; the body is still to be read."""
    source: str
    """The address that answered, without a query, which may be a key that is another one each time."""


class _Proxy(NamedTuple):
    """A proxy."""

    variable: str
    """The variable that names it."""
    address: str
    """Its address, which may hold a password."""


class Connections:
    """Connections to servers, each through the proxy that the environment names for its address."""

    def __init__(self) -> None:
        self._managers: dict[_Proxy | None, PoolManager] = {}

    def __enter__(self) -> Connections:
        return self

    def __exit__(self, *_: object) -> None:
        for manager in self._managers.values():
            manager.clear()

    def ask(self, url: str, headers: dict[str, str]) -> Answer:
        """Ask a server, and the one to which it leads; never without encryption where the first address has it.

        Raises:
            AssetError: The address, one to which it leads, or its proxy cannot be used.
            HTTPError: No answer comes.
        """
        address = url
        for _ in range(_MOST_REDIRECTS + 1):
            manager = self._manager(address)
            try:
                response = manager.request(
                    *("GET", address), headers=headers, preload_content=False, retries=_ONE_TRY, redirect=False
                )
            except (ValueError, UnicodeError) as error:  # http.client checks names and headers by itself
                raise AssetError(address, f"cannot be asked ({error})") from error
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                return Answer(response, urlsplit(address)._replace(query="", fragment="").geturl())
            response.close()
            try:
                address = urljoin(address, target)
                check_address(address)
            except (AssetError, ValueError) as error:
                raise AssetError(url, "leads to what is not an address of the web") from error
            if urlsplit(url).scheme == "https" and urlsplit(address).scheme != "https":
                raise AssetError(url, "leads to an address that is not secure (http)")
        raise AssetError(url, "too many redirects")

    def _manager(self, address: str) -> PoolManager:
        proxy = _proxy_of(urlsplit(address))
        if proxy not in self._managers:
            self._managers[proxy] = PoolManager(timeout=_TIMEOUT) if proxy is None else _through(proxy)
        return self._managers[proxy]


def check_address(url: str, *, expected: str = "http://SERVER/... or https://SERVER/...") -> None:
    """Raise `AssetError`, with what is expected, for an address that is not one of a web server."""
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        is_address = False
    if not is_address:
        shown = url.rpartition("@")[2]  # without a password
        raise AssetError(shown, "is not the address of a file on the web", expected=expected)
    if parts.username is not None:
        found = "addresses with a user's name or password are not supported"
        raise AssetError(str(parts.hostname), found, advice="name a server that needs none")


def _proxy_of(address: SplitResult) -> _Proxy | None:
    """Return the proxy that the environment names for an address."""
    proxies = getproxies()
    kind = next((kind for kind in (address.scheme, "all") if proxies.get(kind)), None)
    return None if kind is None or proxy_bypass(address.netloc) else _Proxy(f"{kind}_proxy", proxies[kind])


def _through(proxy: _Proxy) -> ProxyManager:
    """Return the connections through a proxy; raise `AssetError` for a wrong one, without its address and password."""
    try:
        address = urlsplit(proxy.address if "://" in proxy.address else f"http://{proxy.address}")
        beyond = address.path.strip("/"), address.query, address.fragment  # a / ? or # of a password begins them
        if not address.hostname or " " in address.netloc or address.port == 0 or any(beyond):
            raise ValueError("no address of a server")
        headers = {}
        if address.username is not None:
            user = unquote_to_bytes(f"{address.username}:{address.password or ''}")
            headers["proxy-authorization"] = f"Basic {b64encode(user).decode()}"
        server = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
        return ProxyManager(server, proxy_headers=headers, timeout=_TIMEOUT)
    except (http.HTTPError, ValueError) as error:
        found = "this variable names a proxy that cannot be used"
        expected = "http://SERVER:PORT or http://USER:PASSWORD@SERVER:PORT"
        advice = "correct or unset it; in a password, write @ as %40, : as %3A, / as %2F and # as %23"
        raise AssetError(proxy.variable, found, expected=expected, advice=advice) from error


def status_of(response: BaseHTTPResponse) -> str:
    """Return the status of a response with the server's words for it: `404 Not Found`."""
    return f"{response.status} {(response.reason or '')[:_LONGEST_REASON]}".rstrip()


def describe(cause: BaseException) -> str:
    """Say in plain words why a server's answer did not come."""
    if _UNTRUSTED in str(cause):
        return "the server cannot prove its name: its certificate is not trusted here"
    if refused := _REFUSED_BY_PROXY.search(str(cause)):
        return f"the proxy refuses: {refused[1][:_LONGEST_REASON]}"
    if isinstance(cause, http.ProtocolError) and len(cause.args) > 1:  # it wraps an error of the connection
        return "the connection broke off"
    return next((words for kind, words in _WORDS.items() if isinstance(cause, kind)), str(cause))


def range_of(response: BaseHTTPResponse) -> tuple[int, int]:
    """Return where the body of a response begins in the file, -1 if it does not say, and the file's length, or 0."""
    content_range = response.headers.get("Content-Range", "").strip()
    match = re.fullmatch(r"bytes (?:(\d{1,15})-(\d{1,15})|\*)/(?:(\d{1,15})|\*)", content_range)
    start, last, length = (-1 if each is None else int(each) for each in match.groups()) if match else (-1, -1, -1)
    if last < start or last >= length >= 0:  # no range of a file
        return -1, 0
    return start, max(0, length)


def is_final(cause: BaseException) -> bool:
    """Tell whether asking again would give the same."""
    return _UNTRUSTED in str(cause) or _REFUSED_BY_PROXY.search(str(cause)) is not None


def is_unreachable(cause: BaseException) -> bool:
    """Tell whether there was no connection: the server, or the proxy before it, refuses it, or its name is unknown."""
    return isinstance(cause.original_error if isinstance(cause, http.ProxyError) else cause, http.NewConnectionError)
