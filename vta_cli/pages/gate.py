"""Who may speak to the labelling page: the browser that was given the token, from the page itself.

The server listens on the loopback address, but so can be reached by every page that the user's
browser has open. Against these stand: a random token, which the address carries once and a cookie
afterwards (HttpOnly, SameSite=Strict); the Host header, which a rebound name cannot match; the
Origin and Sec-Fetch-Site headers; and content types that a foreign form cannot send.
"""

import hmac
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
SITES = frozenset(("same-origin", "none"))
"""Values of Sec-Fetch-Site that a page of ours, or a typed address, sends."""
MEDIA = ("application/json", "image/", "application/octet-stream")

Next = Callable[[Request], Awaitable[Response]]


class Gate(BaseHTTPMiddleware):
    """Refuses what does not come from the page.

    Parameters
    ----------
    token : str
        Random; whoever has it may label.
    port : int
        Of the server: part of the Host header and of the cookie's name.
    """

    def __init__(self, app: ASGIApp, *, token: str, port: int) -> None:
        super().__init__(app)
        self._token = token
        self._cookie = f"vta_{port}"
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")}

    async def dispatch(self, request: Request, call_next: Next) -> Response:
        """Answer a request, or refuse it."""
        response = self._refusal(request) or await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    def _refusal(self, request: Request) -> Response | None:
        headers = request.headers
        host = headers.get("host", "")
        if host.lower() not in self._hosts:
            return _refused(400, "bad-host", "this name is not the page's")
        given = request.query_params.get("token")
        if request.method == "GET" and request.url.path == "/" and given is not None:
            if not hmac.compare_digest(given.encode(), self._token.encode()):
                return self._stranger(request)
            response = RedirectResponse("/", status_code=303)
            response.set_cookie(
                self._cookie, self._token, httponly=True, samesite="strict", path="/"
            )
            return response
        if not hmac.compare_digest(
            request.cookies.get(self._cookie, "").encode(), self._token.encode()
        ):
            return self._stranger(request)
        return self._foreign(request, headers, host)

    @staticmethod
    def _foreign(request: Request, headers: Headers, host: str) -> Response | None:
        origin = headers.get("origin")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            return _refused(403, "foreign-origin", "another page asked for this")
        if headers.get("sec-fetch-site", "none") not in SITES:
            return _refused(403, "foreign-origin", "another page asked for this")
        if request.method == "POST":
            if origin is None and headers.get("sec-fetch-site") is None:
                return _refused(403, "foreign-origin", "the request does not say where it is from")
            if not headers.get("content-type", "").lower().startswith(MEDIA):
                return _refused(415, "bad-media", "JSON or an image is expected")
        return None

    @staticmethod
    def _stranger(request: Request) -> Response:
        text = "This page needs the address that vta label printed, with its token."
        if request.url.path.startswith("/api"):
            return _refused(403, "no-token", text)
        return PlainTextResponse(text + "\n", status_code=403)


def _refused(status: int, slug: str, message: str) -> Response:
    return JSONResponse({"error": slug, "message": message}, status_code=status)
