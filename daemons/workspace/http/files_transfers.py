"""Routes of files and archives of any size."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Final, Literal
from urllib.parse import quote

from aiohttp import web

from daemons.kit.bodies import reply
from daemons.kit.openapi import BYTES, FORM, Answers
from daemons.workspace.domain.files import Entry, Guard
from daemons.workspace.http.callers import named
from daemons.workspace.http.files import PREFIX, asked_name, file_reply, if_match
from daemons.workspace.http.files_bodies import Carriers
from daemons.workspace.ports.files import Source
from daemons.workspace.services.transfers import Transfers
from protocol.workspace_files import DownloadArchive, FileRef, FileView, UploadArchive, UploadFile
from protocol.workspaces import AppRef

logger = logging.getLogger(__name__)

_PIECE_BYTES: Final = 256 * 1024
#: A reader that takes nothing for so long is cut off: it keeps the user's disk from being unmounted.
_WRITE_SECONDS: Final = 60.0


class UploadRoutes:
    """What comes. These routes act on a body after it has ended and proven itself."""

    def __init__(self, transfers: Transfers, carriers: Carriers) -> None:
        self._transfers = transfers
        self._carriers = carriers

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post(f"{PREFIX}/upload-file", self.upload_file),
            web.post(f"{PREFIX}/upload-zip", self.upload_archive),
        ]

    @Answers(FileView, body=(BYTES, FORM), headers=("Content-Type",), refuses=(403, 404, 409, 412, 413, 507))
    async def upload_file(self, request: web.Request) -> web.Response:
        """A file; its content is in the answer when editors can read it."""
        ref = named(request, UploadFile)
        path, guard = asked_name(ref.path), Guard(tags=if_match(request), overwrite=ref.overwrite)
        carried = self._carriers.file(request)
        entry, text = await self._transfers.upload(
            ref.user_id, ref.app_id, path, carried.pieces, guard, parents=ref.create_parents, most=carried.most
        )
        return file_reply(ref, path, entry, text)

    @Answers(Literal["ok"], body=(BYTES, FORM), refuses=(403, 404, 409, 413, 507))
    async def upload_archive(self, request: web.Request) -> web.Response:
        """An app's content."""
        ref = named(request, UploadArchive)
        carried = self._carriers.file(request)
        await self._transfers.upload_archive(
            ref.user_id, ref.app_id, carried.pieces, overwrite=ref.overwrite, most=carried.most
        )
        return reply("ok")


class DownloadRoutes:
    """What goes."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.get(f"{PREFIX}/download-file", self.download_file, allow_head=False),
            web.get(f"{PREFIX}/download-zip", self.download_zip, allow_head=False),
            web.get(f"{PREFIX}/download-dist", self.download_dist, allow_head=False),
        ]

    @Answers(media=BYTES, also={206: "a part", 416: "no such part"}, headers=("Range",), refuses=(403, 404))
    async def download_file(self, request: web.Request) -> web.StreamResponse:
        """A file or a range of it."""
        ref = named(request, FileRef)
        path = asked_name(ref.path)
        async with self._transfers.download(ref.user_id, ref.app_id, path) as source:
            entry = source.entry
            part = _asked_range(request, entry)
            headers = _headers(path[-1], "application/octet-stream") | {"ETag": entry.tag, "Accept-Ranges": "bytes"}
            if part is None:
                return web.Response(status=416, headers={"Content-Range": f"bytes */{entry.size}"})
            partial = len(part) != entry.size
            if partial:
                headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{entry.size}"
            response = web.StreamResponse(status=206 if partial else 200, headers=headers)
            response.content_length = len(part)
            return await _sent(request, response, _read(source, part))

    @Answers(media="application/zip", refuses=(403, 404))
    async def download_zip(self, request: web.Request) -> web.StreamResponse:
        """The app."""
        ref = named(request, DownloadArchive)
        async with self._transfers.download_archive(
            ref.user_id, ref.app_id, node_modules=ref.include_node_modules
        ) as pieces:
            response = web.StreamResponse(headers=_headers(f"app_{ref.app_id}.zip", "application/zip"))
            return await _sent(request, response, pieces)

    @Answers(media="application/zip", refuses=(403, 404))
    async def download_dist(self, request: web.Request) -> web.StreamResponse:
        """What the app's build made."""
        ref = named(request, AppRef)
        async with self._transfers.download_dist(ref.user_id, ref.app_id) as pieces:
            response = web.StreamResponse(headers=_headers("dist.zip", "application/zip"))
            return await _sent(request, response, pieces)


async def _sent(request: web.Request, response: web.StreamResponse, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    """Send the pieces. Before the first one an error is answered as any; after it the connection is cut: half a file
    must not look like a whole one."""
    first = await anext(pieces, b"")
    await response.prepare(request)
    try:
        await _write(response, first)
        async for piece in pieces:
            await _write(response, piece)
        await response.write_eof()
    except BaseException as error:
        if request.transport is not None:
            request.transport.abort()
        if not isinstance(error, Exception):
            raise
        logger.warning("a download was cut off", extra={"path": request.path, "error": repr(error)})
    return response


async def _write(response: web.StreamResponse, piece: bytes) -> None:
    async with asyncio.timeout(_WRITE_SECONDS):
        await response.write(piece)


async def _read(source: Source, part: range) -> AsyncIterator[bytes]:
    at = part.start
    while at < part.stop:
        piece = await source.read_at(at, min(_PIECE_BYTES, part.stop - at))
        if not piece:
            raise EOFError("the file became shorter while it was sent")
        yield piece
        at += len(piece)


def _asked_range(request: web.Request, entry: Entry) -> range | None:
    """The bytes that are asked for; None for those that are not there. What is no range of bytes asks for all."""
    whole = range(entry.size)
    condition = request.headers.get("If-Range")
    try:
        asked = request.http_range
    except ValueError:
        return whole
    if (asked.start is None and asked.stop is None) or (condition is not None and condition != entry.tag):
        return whole
    part = whole[asked.start : asked.stop]
    return part if len(part) else None


def _headers(name: str, kind: str) -> dict[str, str]:
    return {
        "Content-Type": kind,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
