"""
The door of the page that ``sigmax explore`` serves: who may come in.

marimo's server answers whoever reaches its port, and in edit mode runs the code that it is sent. Other users of the machine reach it, and so does
any website that its visitor's browser lets speak to this machine. Every request and WebSocket is therefore asked three things:

- the host that it asks for, which is this one: a website whose name was made to lead here (DNS rebinding) asks for its own name;
- the origin that a browser names, which is this page;
- a random token: in the address at first, which is opened and printed, then in a cookie. A browser sends that to no other path, and the path is random too:
  cookies do not tell ports apart, and another user's server at another port of this machine would be sent those of the root.

marimo has a token of its own and is given the same one, so that nothing stands open should this door not be asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import runpy
import secrets
import socket
import sys
import tempfile
import webbrowser
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

__all__ = ["Door", "address", "is_loopback", "main"]

PARAMETER = "access_token"  # as marimo calls it


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine as itself alone reaches it."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def address(host: str, port: int) -> str:
    """Return the address that answers when a server listens at `host`."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 - everywhere, so that it is named as others know it
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Door:
    """
    An ASGI application before another.

    Parameters
    ----------
    app : ASGI application
        What lies behind.
    host, port : str, int
        Where the server listens.
    token : str
        What lets in.
    base : str
        The path below which the page lies, as /random.
    opened : callable
        Called with the whole address when the server has begun.
    """

    def __init__(self, app: Any, host: str, port: int, token: str, base: str, opened: Callable[[str], None]) -> None:
        self._app, self._host, self._port, self._opened = app, host, port, opened
        self._token, self._base = token, base
        self._cookie = f"sigmax-{port}"

    def __getattr__(self, name: str) -> Any:  # `app.state` and the like
        return getattr(self._app, name)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Let in, or refuse."""
        if scope["type"] == "lifespan":
            with contextlib.suppress(asyncio.CancelledError):  # the server is ended by an interrupt
                await self._app(scope, receive, self._announcing(send))
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get(PARAMETER, [""])[0]
        if not self._is_ours(headers) or not (self._is_token(given) or self._is_token(self._kept(headers))):
            await self._refuse(scope, send)
            return
        begun: list[Message] = []
        try:
            await self._app(scope, receive, self._sending(send, begun, lets_in=self._is_token(given)))
        except asyncio.CancelledError:  # the server is ended by an interrupt, with a request on its way
            if scope["type"] == "http" and not begun:
                await self._answer(send, 503, b"The page has been closed.\n")

    def _is_token(self, word: str) -> bool:
        return secrets.compare_digest(word.encode(), self._token.encode())

    def _kept(self, headers: dict[str, str]) -> str:
        with contextlib.suppress(CookieError):
            found = SimpleCookie(headers.get("cookie", "")).get(self._cookie)
            return "" if found is None else found.value
        return ""

    def _is_ours(self, headers: dict[str, str]) -> bool:
        """Return whether a request is meant for this server, and comes from no other site's page."""
        asked = headers.get("host", "")
        host, _, port = asked.rpartition(":") if not asked.endswith("]") and ":" in asked else (asked, "", "80")
        named = {"localhost", self._host.lower(), socket.gethostname().lower()}
        known = host.lower() in named or (_is_number(host) and (not is_loopback(self._host) or is_loopback(host)))
        origin = headers.get("origin")
        return known and port == str(self._port) and (origin is None or origin == f"http://{asked}")

    async def _refuse(self, scope: Message, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not from this page"})
            return
        text = b"This page opens with the whole address that 'sigmax explore' printed, and from no other site.\n"
        await self._answer(send, 403, text)

    async def _answer(self, send: Send, status: int, text: bytes) -> None:
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(text)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    def _sending(self, send: Send, begun: list[Message], lets_in: bool) -> Send:
        """Keep the answer out of other sites' frames; give a visitor with the token a cookie that says so from now on."""
        more = [(b"content-security-policy", b"frame-ancestors 'self'"), (b"referrer-policy", b"no-referrer")]
        if lets_in:
            more.append(
                (b"set-cookie", f"{self._cookie}={self._token}; Path={self._base}; HttpOnly; SameSite=Lax".encode())
            )

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *more]
                begun.append(message)
            await send(message)

        return sending

    def _announcing(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.shutdown.failed" and "CancelledError" in message.get("message", ""):
                message = {"type": "lifespan.shutdown.complete"}  # an interrupt is no failure
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._opened(f"{address(self._host, self._port)}{self._base}/?{PARAMETER}={self._token}")

        return sending


def main(mode: str, page: str, host: str, port: str, browser: str, *rest: str) -> None:
    """Serve a page of marimo behind the door, in place of this process."""
    import uvicorn

    token, base = secrets.token_urlsafe(24), f"/{secrets.token_hex(12)}"

    def opened(url: str) -> None:
        print(f"The page is open at {url}", flush=True)
        if browser == "browser":
            webbrowser.open(url)

    class Config(uvicorn.Config):
        def __init__(self, app: Any, *args: Any, **options: Any) -> None:
            super().__init__(Door(app, host, int(port), token, base, opened), *args, **options)

    vars(uvicorn)["Config"] = Config  # what marimo's server is made with
    handle, path = tempfile.mkstemp(prefix="sigmax-")
    with os.fdopen(handle, "w") as file:
        file.write(token)
    try:
        options = ["--host", host, "--port", port, "--token-password-file", path, "--headless", "--base-url", base]
        sys.argv = ["marimo", "-q", mode, page, *options, *([] if mode == "edit" else ["--no-check"]), "--", *rest]
        runpy.run_module("marimo", run_name="__main__")
    finally:
        Path(path).unlink(missing_ok=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
