"""The page for browsers: a few files beside this one, without anything from another host."""

from functools import partial
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

FOLDER = Path(__file__).with_name("page")
MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; media-src blob:; "
        "img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def list_page_paths() -> dict[str, Path]:
    """Return the page's files by their paths on the server."""
    files = {f"/page/{path.name}": path for path in FOLDER.iterdir() if path.suffix in (".js", ".css")}
    return {"/": FOLDER / "index.html", **files}


def make_page_router() -> APIRouter:
    """Return the routes of the page's files."""
    router = APIRouter()
    for route, path in list_page_paths().items():
        router.add_api_route(route, partial(_send, path.read_bytes(), MEDIA_TYPES[path.suffix]))
    return router


async def _send(content: bytes, media_type: str) -> Response:
    return Response(content, media_type=media_type, headers=HEADERS)
