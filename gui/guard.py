"""The doorkeeper in front of every route of the page: who may ask, from where, and with what login.

A page on 127.0.0.1 is within reach of every web site that its user has open: by a name that resolves to 127.0.0.1 (DNS
rebinding), by requests sent across origins, by a frame around the page. Gradio checks none of this.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
WILDCARD_HOSTS = ("0.0.0.0", "::")


class Guard:
    """ASGI middleware that answers 403 to a request of another site and 401 to one without the login.

    host: what the page is served on. login: "USER:PASSWORD", or "" for none.
    The port of the Host header is free: through `ssh -L 9000:localhost:7860` an honest browser says localhost:9000.
    """

    def __init__(self, app: ASGIApp, *, host: str, login: str = "") -> None:
        self.app = app
        self.host = host
        self.login = login

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self.app(scope, receive, _forbid_frames(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})  # before the accept: the client sees a 403
        else:
            await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        reason = refusal_reason(headers, host=self.host, is_page_visit=_is_page_visit(scope, headers))
        if reason:
            return PlainTextResponse(f"Refused: {reason}\n", status_code=403)
        if self.login and not has_login(headers.get("authorization", ""), self.login):
            challenge = {"WWW-Authenticate": 'Basic realm="LoRA Loom", charset="UTF-8"'}
            return PlainTextResponse("This page needs its user and password.\n", status_code=401, headers=challenge)
        return None


def is_loopback(host: str) -> bool:
    """Whether the address or name reaches this machine only."""
    if host.lower() in LOOPBACK_NAMES:
        return True
    return _is_address(host) and ip_address(host).is_loopback


def refusal_reason(headers: Headers, *, host: str, is_page_visit: bool = False) -> str:
    """Why the request is none of the page's own, in words; "" if nothing speaks against it.

    host: what the page is served on. is_page_visit: a person follows a link to the page; other sites may have one.
    """
    hosts = headers.getlist("host")
    if len(hosts) != 1 or not _is_served_name(_name_and_port(hosts[0])[0], host):
        return f"the page is not served under the name {', '.join(hosts) or '(none)'}; start it with --host NAME"
    origin = headers.get("origin")
    if origin is not None and not _is_same_origin(origin, hosts[0]):
        return f"the request comes from another site, {origin}"
    # Only sent by browsers, and only to https and loopback; a script or curl sends none.
    if headers.get("sec-fetch-site", "none") not in ("same-origin", "none") and not is_page_visit:
        return "the request comes from another site"
    return ""


def has_login(authorization: str, login: str) -> bool:
    """Whether an Authorization header carries this "USER:PASSWORD" (HTTP Basic, RFC 7617); in constant time."""
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() != "basic":
        return False
    try:
        given = base64.b64decode(credentials.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(given, login.encode())


def _is_served_name(name: str, host: str) -> bool:
    if is_loopback(name) or name == host.lower():
        return True
    # Beyond the loopback there is a login. An address cannot be rebound; on all interfaces any name may be honest.
    return host in WILDCARD_HOSTS or (not is_loopback(host) and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _is_same_origin(origin: str, host: str) -> bool:
    parts = urlsplit(origin)
    default_port = {"http": "80", "https": "443"}.get(parts.scheme)
    if default_port is None:  # "null", file:, chrome-extension:
        return False
    origin_name, origin_port = _name_and_port(parts.netloc)
    host_name, host_port = _name_and_port(host)
    return (origin_name, origin_port or default_port) == (host_name, host_port or default_port)


def _name_and_port(netloc: str) -> tuple[str, str]:
    """`[::1]:7860` -> ("::1", "7860"); the port is "" where none is given."""
    name, _, port = netloc.rpartition(":") if not netloc.endswith("]") else (netloc, "", "")
    if not name:
        name, port = port, ""
    return name.strip("[]").lower(), port


def _is_page_visit(scope: Scope, headers: Headers) -> bool:
    return (
        scope.get("method") == "GET"
        and scope["path"] == "/"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _forbid_frames(send: Send) -> Send:
    """Only the page itself may frame the page; browsers that do not send Sec-Fetch-Site need to be told."""

    async def send_with_header(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("X-Frame-Options", "SAMEORIGIN")
        await send(message)

    return send_with_header
