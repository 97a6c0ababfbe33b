"""The web server behind the page: static files, and one offer answered at a time."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from srsdk.errors import InputError, SrsdkError, VideoError
from srsdk.live.sources import Source
from srsdk.live.web.models import Models
from srsdk.live.web.session import Session

_PAGE = Path(__file__).parent / "page"
_FILES = {
    "index.html": "text/html",
    "page.js": "text/javascript",
    "frames.js": "text/javascript",
    "glass.js": "text/javascript",
    "page.css": "text/css",
}
_MAX_OFFER = 64 * 1024  # bytes
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def run(
    models: Models,
    *,
    open_source: Callable[[], Source] | None,
    host: str,
    port: int,
    token: str | None,
    say: Callable[[str], object],
) -> None:
    """Serve until Ctrl-C; see `srsdk.live.web.serve`."""
    server = Server(models, host, token, say, open_source)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(port))


class Server:
    """Serves the page to one visitor at a time.

    Args:
        models: What can be chosen on the page.
        host: Address to listen on.
        token: What requests must carry; None only on this machine's own addresses.
        say: Told the page's URL, and who comes and goes.
        open_source: Opens what the page shows; None: it upscales its visitor's camera.

    Raises:
        InputError: Others can reach the address, and there is no token.
    """

    def __init__(
        self,
        models: Models,
        host: str,
        token: str | None,
        say: Callable[[str], object],
        open_source: Callable[[], Source] | None = None,
    ) -> None:
        if token is None and not _is_local(host):
            raise InputError(
                f"others can reach {host}: give a token, for instance "
                f'token="{secrets.token_urlsafe(12)}"'
            )
        self._models, self._host, self._token, self._say = models, host, token, say
        self._open_source = open_source
        self._session: Session | None = None
        self.app = web.Application(client_max_size=_MAX_OFFER, middlewares=[self._guard])
        self.app.router.add_get("/", self._file)
        self.app.router.add_get("/config", self._config)
        self.app.router.add_post("/offer", self._offer)
        self.app.router.add_get("/{name}", self._file)
        self.app.on_shutdown.append(self._hang_up)

    async def serve(self, port: int) -> None:
        """Listen until cancelled.

        Raises:
            VideoError: The port is taken or the address is not this machine's.
        """
        runner = web.AppRunner(self.app, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, port)
            try:
                await site.start()
            except OSError as error:
                raise VideoError(
                    f"cannot listen on {self._host}:{port} ({error.strerror}); give another port"
                ) from error
            number = runner.addresses[0][1]
            host = f"[{self._host}]" if ":" in self._host else self._host
            query = "" if self._token is None else f"/?token={quote(self._token)}"
            self._say(f"open http://{host}:{number}{query} in a browser; Ctrl-C ends")
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuse requests without the token, or from another site; add the security headers."""
        given = request.query.get("token", "") or request.headers.get("X-Token", "")
        if self._token is not None:
            secret = request.path in ("/", "/config", "/offer")
            if secret and not secrets.compare_digest(given.encode(), self._token.encode()):
                raise web.HTTPForbidden(text="the token is missing or wrong")
        elif not _is_local(request.url.host or ""):
            # Another site's name that was pointed at this machine (DNS rebinding).
            raise web.HTTPForbidden(text="open the page by the address that srsdk printed")
        response = await handler(request)
        response.headers.update(_HEADERS)
        return response

    async def _file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info.get("name", "index.html")
        if name not in _FILES:
            raise web.HTTPNotFound
        text = (_PAGE / name).read_text("utf-8")
        return web.Response(text=text, content_type=_FILES[name], charset="utf-8")

    async def _config(self, _: web.Request) -> web.StreamResponse:
        """What the page begins with: the first of its models, and how strong faces are."""
        models = [
            {"name": c.name, "scale": c.scale, "faces": c.faces is not None}
            for c in self._models.choices.values()
        ]
        return web.json_response(
            {
                "camera": self._open_source is None,
                "models": models,
                "strength": self._models.strength,
            }
        )

    async def _offer(self, request: web.Request) -> web.StreamResponse:
        """Answer a page's WebRTC offer."""
        if request.content_type != "application/json":  # what a form of another site cannot send
            raise _refusal(web.HTTPUnsupportedMediaType, "expected JSON")
        try:
            offer: Any = json.loads(await request.text())
            if offer["type"] != "offer" or not isinstance(offer["sdp"], str):
                raise ValueError
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise _refusal(web.HTTPBadRequest, "expected a WebRTC offer") from error
        if self._session is not None:
            raise _refusal(
                web.HTTPConflict, "somebody else is connected; one visitor at a time is served"
            )
        session = self._session = Session(self._models, self._ended, self._open_source)
        try:
            answer = await session.answer(offer["sdp"])
        except SrsdkError as error:
            await session.close()
            raise _refusal(web.HTTPBadRequest, str(error)) from error
        self._say(f"{request.remote} is connected")
        return web.json_response({"type": "answer", "sdp": answer})

    def _ended(self) -> None:
        if self._session is not None:
            self._say(f"the connection is over: {self._session.live.stats}")
        self._session = None

    async def _hang_up(self, _: web.Application) -> None:
        if self._session is not None:
            await self._session.close()


def _refusal(kind: type[web.HTTPError], text: str) -> web.HTTPError:
    return kind(text=json.dumps({"error": text}), content_type="application/json")


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
