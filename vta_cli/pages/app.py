"""The server of the labelling page: routes, and nothing else; the session does the work.

Images are named by their content keys, which are looked up and never become paths. Static files
are read from a fixed list when the server starts.
"""

import functools
import json
import socket
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vta_cli.errors import UnreadableImageError, UsageError, VtaError
from vta_cli.pages.gate import Gate
from vta_cli.pages.wanted import CupsLike, LookerLike, SessionLike

MAX_JSON_BYTES = 4 * 2**20
MAX_IMAGE_BYTES = 128 * 2**20
"""Largest picture that can be dropped on the page."""
IMMUTABLE = "private, max-age=31536000, immutable"
"""A key is the digest of the content, so what it names never changes."""

STATIC = {
    "index.html": "text/html; charset=utf-8",
    "style.css": "text/css; charset=utf-8",
    "modes.css": "text/css; charset=utf-8",
    "app.js": "text/javascript; charset=utf-8",
    "api.js": "text/javascript; charset=utf-8",
    "panel.js": "text/javascript; charset=utf-8",
    "single.js": "text/javascript; charset=utf-8",
    "grid.js": "text/javascript; charset=utf-8",
    "review.js": "text/javascript; charset=utf-8",
    "tournament.js": "text/javascript; charset=utf-8",
    "pairs.js": "text/javascript; charset=utf-8",
    "drop.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


class Bad(Exception):  # noqa: N818 - a request that makes no sense
    """The body or the query is not what the route expects."""


def create_app(
    session: SessionLike, looker: LookerLike, cups: CupsLike, *, token: str, port: int
) -> Starlette:
    """Return the server's application.

    Parameters
    ----------
    token : str
        Without it nothing is answered.
    port : int
        Where the server will listen.
    """
    routes = [
        Route("/", _file("index.html")),
        Route("/favicon.ico", _file("icon.svg")),
        *(Route(f"/static/{name}", _file(name)) for name in STATIC if name != "index.html"),
        Route("/image/{key}/{size}", _picture(looker)),
        *_api(session, looker, cups),
    ]
    gate = Middleware(Gate, token=token, port=port)
    return Starlette(routes=routes, middleware=[gate])


def serve(app: Starlette, listener: socket.socket, on_start: Callable[[], None]) -> None:
    """Answer requests until Ctrl-C; returns then."""
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="off", server_header=False,
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    on_start()
    uvicorn.Server(config).run(sockets=[listener])


Handler = Callable[[Request], Awaitable[Response]]


def _file(name: str) -> Handler:
    content = resources.files("vta_cli.pages").joinpath("static", name).read_bytes()

    async def answer(_request: Request) -> Response:
        return Response(content, media_type=STATIC[name], headers={"Cache-Control": "no-cache"})

    return answer


def _picture(looker: LookerLike) -> Handler:
    async def answer(request: Request) -> Response:
        key, size = request.path_params["key"], request.path_params["size"]
        if size not in {"thumb", "screen", "full"}:
            return _problem(404, "no-such-size", "sizes are thumb, screen and full")
        try:
            data = await run_in_threadpool(looker.picture, key, size)
        except UsageError as error:
            return _problem(404, error.slug, error.message)
        except UnreadableImageError as error:
            return _problem(410, error.slug, error.message)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": IMMUTABLE})

    return answer


def _api(session: SessionLike, looker: LookerLike, cups: CupsLike) -> list[Route]:
    """Return the routes of the API; each that changes something answers with the new state."""

    def judge(body: Mapping[str, Any]) -> dict[str, Any]:
        verdicts = [(_key(item.get("key")), _label(item)) for item in _list(body, "verdicts")]
        batch = session.judge(verdicts, _word(body, "mode"), _page(body))
        return {"batch": batch, "next": _next(body), "state": session.state(_page(body))}

    def _next(body: Mapping[str, Any]) -> list[dict[str, Any]]:
        n = _number(body.get("next", 0))
        return session.next(n, [_key(key) for key in _list(body, "exclude")]) if n else []

    def following(body: Mapping[str, Any]) -> dict[str, Any]:
        return {"next": _next(body), "state": session.state(_page(body))}

    def undo(body: Mapping[str, Any]) -> dict[str, Any]:
        return {**session.undo(_page(body)), "state": session.state(_page(body))}

    def retrain(body: Mapping[str, Any]) -> dict[str, Any]:
        session.retrain()
        return {"state": session.state(_page(body))}

    def settings(body: Mapping[str, Any]) -> dict[str, Any]:
        session.configure(
            strategy=None if "strategy" not in body else _word(body, "strategy"),
            low=_share(body, "low"),
            high=_share(body, "high"),
            follow=None if "follow" not in body else body["follow"] is True,
            every=None if "every" not in body else _number(body["every"]),
        )
        return {"state": session.state(_page(body))}

    def prefer(body: Mapping[str, Any]) -> dict[str, Any]:
        session.prefer(_key(body.get("winner")), _key(body.get("loser")), _page(body))
        return {"items": session.pair(), "state": session.state(_page(body))}

    def begin(body: Mapping[str, Any]) -> dict[str, Any]:
        targets = [float(value) for value in _list(body, "targets", (int, float))]
        n_images, per_heat = _number(body.get("images")), _number(body.get("per_heat"))
        cups.begin(n_images, per_heat, targets, _page(body))
        return {"cup": cups.view(), "state": session.state(_page(body))}

    def advance(body: Mapping[str, Any]) -> dict[str, Any]:
        shown, winners = ([_key(key) for key in _list(body, name)] for name in ("shown", "winners"))
        cups.advance(shown, winners, _page(body))
        return {"cup": cups.view(), "state": session.state(_page(body))}

    def to_labels(body: Mapping[str, Any]) -> dict[str, Any]:
        return {"judged": cups.to_labels(_page(body)), "state": session.state(_page(body))}

    def grid(query: Mapping[str, Any]) -> dict[str, Any]:
        n, start = _number(query.get("n", 48)), _number(query.get("start", 0))
        return {"items": session.grid(_word(query, "order"), n, start)}

    def review(query: Mapping[str, Any]) -> dict[str, Any]:
        return session.review(
            show=_word(query, "show"), order=_word(query, "order"),
            start=_number(query.get("start", 0)), n=_number(query.get("n", 60)),
        )  # fmt: skip

    async def drop(request: Request) -> Response:
        content = await _body(request, MAX_IMAGE_BYTES)
        try:
            return JSONResponse(await run_in_threadpool(looker.drop, content))
        except (UsageError, UnreadableImageError) as error:
            return _problem(422, error.slug, error.message)

    gets: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "state": lambda query: session.state(_page(query)),
        "grid": grid,
        "review": review,
        "item": lambda query: session.item(session.row(_key(query.get("key")))),
        "pair": lambda _query: {"items": session.pair()},
        "tournament": lambda _query: cups.view(),
    }
    posts: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
        "next": following, "judge": judge, "undo": undo, "retrain": retrain,
        "settings": settings, "pair": prefer, "tournament/begin": begin,
        "tournament/advance": advance, "tournament/labels": to_labels,
    }  # fmt: skip
    return [
        *(Route(f"/api/{name}", _getter(work), methods=["GET"]) for name, work in gets.items()),
        *(Route(f"/api/{name}", _poster(work), methods=["POST"]) for name, work in posts.items()),
        Route("/api/drop", _guarded(drop), methods=["POST"]),
        Route("/api/tiers.csv", _table(cups.tiers_csv, "tiers.csv")),
        Route("/api/pairs.csv", _table(cups.pairs_csv, "pairs.csv")),
    ]


def _getter(work: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Handler:
    async def answer(request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(work, dict(request.query_params)))

    return _guarded(answer)


def _poster(work: Callable[[Mapping[str, Any]], dict[str, Any]]) -> Handler:
    async def answer(request: Request) -> Response:
        content = await _body(request, MAX_JSON_BYTES)
        try:
            body = json.loads(content or b"{}")
        except ValueError as error:
            raise Bad("the body is not JSON") from error
        if not isinstance(body, dict):
            raise Bad("the body is not a JSON object")
        return JSONResponse(await run_in_threadpool(work, body))

    return _guarded(answer)


def _table(work: Callable[[], str], name: str) -> Handler:
    async def answer(_request: Request) -> Response:
        text = await run_in_threadpool(work)
        attached = {"Content-Disposition": f'attachment; filename="{name}"'}
        content = text.encode("utf-8", "surrogateescape")
        return Response(content, media_type="text/csv; charset=utf-8", headers=attached)

    return _guarded(answer)


def _guarded(handler: Handler) -> Handler:
    @functools.wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except Bad as error:
            return _problem(400, "bad-request", str(error))
        except UsageError as error:
            return _problem(409, error.slug, error.message)
        except VtaError as error:
            return _problem(500, error.slug, str(error))

    return answer


async def _body(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    n_bytes = 0
    async for part in request.stream():
        n_bytes += len(part)
        if n_bytes > limit:
            raise Bad(f"more than {limit} bytes")
        parts.append(part)
    return b"".join(parts)


def _problem(status: int, slug: str, message: str) -> Response:
    return JSONResponse({"error": slug, "message": message}, status_code=status)


def _list(
    body: Mapping[str, Any], name: str, kind: type | tuple[type, ...] = (str, dict)
) -> list[Any]:
    found = body.get(name, [])
    if not isinstance(found, list) or len(found) > 10_000:
        raise Bad(f"{name} must be a list")
    if any(isinstance(item, bool) or not isinstance(item, kind) for item in found):
        raise Bad(f"{name} holds something else than expected")
    return found


def _key(value: object) -> str:
    if not isinstance(value, str) or len(value) != 64:
        raise Bad("a key has 64 hexadecimal digits")
    return value


def _label(item: object) -> int | None:
    label = item.get("label") if isinstance(item, dict) else "?"
    if label is None or (label in (0, 1) and not isinstance(label, bool)):
        return label
    raise Bad("a label is 1, 0 or null")


def _word(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value.isascii() or not 0 < len(value) <= 40:
        raise Bad(f"{name} is missing")
    return value


def _page(body: Mapping[str, Any]) -> str:
    """Return which browser page asks; those that do not say are one."""
    return _word(body, "page") if body.get("page") else ""


def _number(value: object) -> int:
    try:
        number = int(value)  # type: ignore[call-overload]
    except (TypeError, ValueError) as error:
        raise Bad("a number is expected") from error
    if not 0 <= number <= 1_000_000:
        raise Bad("a number is out of range")
    return int(number)


def _share(body: Mapping[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Bad(f"{name} must be a number")
    return float(value)
