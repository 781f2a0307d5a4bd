"""Routes of uploads in parts: tus 1.0.0 (https://tus.io/protocols/resumable-upload), below the files' prefix.

A part counts once all of it was received and proven: clients send parts of the size that they are willing to repeat.
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from aiohttp import web

from daemons.kit.bodies import InvalidRequest
from daemons.kit.openapi import Answers
from daemons.workspace.domain.uploads import ALGORITHMS, Checksum, Upload
from daemons.workspace.http.callers import named
from daemons.workspace.http.files import PREFIX, asked_name
from daemons.workspace.http.files_bodies import Carriers
from daemons.workspace.services.uploads import Uploads
from protocol.workspace_files import UploadFile
from protocol.workspaces import AppRef

_VERSION: Final = "1.0.0"
_ONE: Final = f"{PREFIX}/uploads/{{upload}}"
_PART: Final = "application/offset+octet-stream"


class UploadPartRoutes:
    """Creation, state, addition, termination."""

    def __init__(self, uploads: Uploads, carriers: Carriers) -> None:
        self._uploads = uploads
        self._carriers = carriers

    def table(self) -> list[web.RouteDef]:
        """Routes without long bodies."""
        return [
            web.options(f"{PREFIX}/uploads", self.options),
            web.post(f"{PREFIX}/uploads", self.create),
            web.head(_ONE, self.state),
            web.delete(_ONE, self.remove),
        ]

    def body_table(self) -> list[web.RouteDef]:
        """Routes that read a body to its end before they act."""
        return [web.patch(_ONE, self.add)]

    @Answers(status=204)
    async def options(self, _request: web.Request) -> web.Response:
        """What is understood."""
        headers = {
            "Tus-Version": _VERSION,
            "Tus-Extension": "creation,checksum,expiration,termination",
            "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
            "Tus-Max-Size": str(self._uploads.most),
        }
        return _answer(204, headers)

    @Answers("begun: its address is the Location", status=201, refuses=(403, 404, 409, 412, 413, 507))
    async def create(self, request: web.Request) -> web.Response:
        """A new upload; its address is the answer's Location, with the same query to follow."""
        _understood(request)
        ref = named(request, UploadFile)
        path, length = asked_name(ref.path), _count(request, "Upload-Length")
        upload = await self._uploads.begin(
            ref.user_id, ref.app_id, path, length, overwrite=ref.overwrite, parents=ref.create_parents
        )
        location = f"{PREFIX}/uploads/{upload.id}?userId={ref.user_id}&appId={ref.app_id}"
        return _answer(201, {"Location": location} | _state(upload))

    @Answers("how far it is", refuses=(404, 412))
    async def state(self, request: web.Request) -> web.Response:
        """Where the upload goes on."""
        _understood(request)
        upload = await self._uploads.find(*_who(request))
        return _answer(200, {"Cache-Control": "no-store"} | _state(upload))

    @Answers(status=204, body="application/offset+octet-stream", refuses=(403, 404, 409, 412, 413, 415, 460, 507))
    async def add(self, request: web.Request) -> web.Response:
        """The next bytes."""
        _understood(request)
        if request.content_type != _PART:
            raise web.HTTPUnsupportedMediaType
        offset = _count(request, "Upload-Offset")
        header = request.headers.get("Upload-Checksum")
        try:
            checksum = Checksum.of(header) if header is not None else None
        except ValueError as error:
            raise InvalidRequest(f"Upload-Checksum: {error}", ["Upload-Checksum"]) from None
        pieces = self._carriers.file(request).pieces
        return _answer(204, _state(await self._uploads.add(*_who(request), offset, pieces, checksum)))

    @Answers(status=204, refuses=(404, 409, 412))
    async def remove(self, request: web.Request) -> web.Response:
        """Given up."""
        _understood(request)
        await self._uploads.give_up(*_who(request))
        return _answer(204, {})


def _who(request: web.Request) -> tuple[str, str, str]:
    """User, app and upload."""
    ref = named(request, AppRef)
    return ref.user_id, ref.app_id, request.match_info["upload"]


def _understood(request: web.Request) -> None:
    if request.headers.get("Tus-Resumable", _VERSION) != _VERSION:
        raise web.HTTPPreconditionFailed(headers={"Tus-Version": _VERSION})


def _count(request: web.Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) <= 15):
        raise InvalidRequest(f"{name}: must be a number of bytes", [name])
    return int(text)


def _state(upload: Upload) -> dict[str, str]:
    expires = datetime.fromtimestamp(upload.expires_ms / 1000, UTC)
    return {
        "Upload-Offset": str(upload.offset),
        "Upload-Length": str(upload.length),
        "Upload-Expires": format_datetime(expires, usegmt=True),
    }


def _answer(status: int, headers: dict[str, str]) -> web.Response:
    return web.Response(status=status, headers={"Tus-Resumable": _VERSION} | headers)
