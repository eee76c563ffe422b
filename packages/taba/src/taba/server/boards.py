"""The boards that are kept as files: those in the folder of the setting `boards`, and those that Taba brings along.

    FOLDER/checkout.json        is the board "checkout"

A file in the folder takes the place of the board of the same name that comes with Taba. Files are read anew each time:
who changes one sees it at once. What lies outside the folder is never read, whatever is asked for.
"""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import polars as pl
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from taba.server import formats, parameters
from taba.server.answering import Answering
from taba.server.board import MAX_BYTES, Board, BoardError, parse
from taba.server.service import Service

BROUGHT_ALONG = Path(__file__).parent.parent / "dashboard" / "boards"
"""The boards that come with Taba."""
MAX_BOARDS = 500
"""Boards that are listed; of further files it is said how many there are."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_COLUMNS = {"name": pl.String, "title": pl.String, "charts": pl.Int64, "file": pl.String, "error": pl.String}


class NoBoard(ValueError):
    """There is no board of this name."""


@dataclass(frozen=True, slots=True)
class Found:
    """A board's file: the board, or why it is none."""

    name: str
    file: Path
    board: Board | None
    error: str = ""


def routes(service: Service, answering: Answering) -> list[BaseRoute]:
    """The calls about boards."""
    handlers = Boards(service, answering)
    return [
        Route("/v1/boards", handlers.listed, methods=["GET"]),
        Route("/v1/boards", handlers.checked, methods=["POST"]),
        Route("/v1/boards/{name}", handlers.one, methods=["GET"]),
    ]


class Boards:
    """One method for each call."""

    def __init__(self, service: Service, answering: Answering) -> None:
        self._service = service
        self._answering = answering

    @property
    def _folder(self) -> Path:
        return self._service.settings.boards

    async def listed(self, request: Request) -> Response:
        """GET /v1/boards"""
        parameters.known(request.query_params)

        def answer() -> tuple[bytes, str]:
            found = everything(self._folder)
            rows = [
                (one.name, one.board and one.board.title, one.board and len(one.board.charts), str(one.file), one.error)
                for one in found[:MAX_BOARDS]
            ]
            table = pl.DataFrame(rows, schema=_COLUMNS, orient="row").with_columns(pl.col("error").replace("", None))
            head: dict[str, object] = {"folder": str(self._folder)}
            if len(found) > MAX_BOARDS:
                head["left_out"] = len(found) - MAX_BOARDS
            form = formats.accepted(request.headers.get("accept", ""))
            return formats.rows(form, head, "boards", table), form

        return await self._answering.answered(answer)

    async def one(self, request: Request) -> Response:
        """GET /v1/boards/{name}"""
        parameters.known(request.query_params)
        name = request.path_params["name"]
        try:
            found = await self._answering.worked_out(lambda: named(self._folder, name))
        except NoBoard as error:
            return _json({"error": str(error)}, 404)
        if found.board is None:
            return _json({"error": f"{found.file}: {found.error}"}, 422)
        return _json({"name": found.name, "file": str(found.file), "board": found.board})

    async def checked(self, request: Request) -> Response:
        """POST /v1/boards: whether a body is a board; nothing is kept."""
        parameters.known(request.query_params)
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > MAX_BYTES:
                return _json({"error": f"the board has more than {MAX_BYTES >> 10} KB, which is the most"}, 413)
        try:
            return _json({"board": parse(body)})
        except BoardError as error:
            return _json({"error": str(error)}, 400)


def everything(folder: Path) -> list[Found]:
    """All boards by name; those that are none too, with the reason."""
    found = {one.name: one for place in (BROUGHT_ALONG, folder) for one in _in(place)}
    return [found[name] for name in sorted(found)]


def named(folder: Path, name: str) -> Found:
    """The board of a name; raises NoBoard."""
    if _NAME.fullmatch(name):
        for place in (folder, BROUGHT_ALONG):
            file = place / f"{name}.json"
            if _is_inside(place, file):
                return _read(file)
    known = [one.name for one in everything(folder)]
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"a file {folder}/NAME.json becomes the board NAME"
    raise NoBoard(f"there is no board {name[:100]!r}: {hint}")


def _in(folder: Path) -> Iterator[Found]:
    """The boards of a folder; none where it is missing."""
    try:
        files = sorted(folder.glob("*.json"))
    except OSError:
        return
    for file in files:
        if file.name.startswith("."):
            continue
        if not _NAME.fullmatch(file.stem):
            told = "a board's name has letters, digits and _ . - only: give the file another name"
            yield Found(file.stem, file, None, told)
        elif _is_inside(folder, file):
            yield _read(file)


def _is_inside(folder: Path, file: Path) -> bool:
    """Whether it is a plain file in the folder; a link may lead to one that is in the folder too."""
    try:
        real = file.resolve(strict=True)
        return real.is_relative_to(folder.resolve()) and stat.S_ISREG(real.stat().st_mode)
    except (OSError, RuntimeError, ValueError):
        return False


def _read(file: Path) -> Found:
    try:
        with file.open("rb") as opened:
            return Found(file.stem, file, parse(opened.read(MAX_BYTES + 1)))
    except OSError as error:
        return Found(file.stem, file, None, f"it cannot be read: {error.strerror or error}")
    except BoardError as error:
        return Found(file.stem, file, None, str(error))


def _json(content: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(content), status, media_type="application/json")
