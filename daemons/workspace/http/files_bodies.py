"""The file that a request carries: as the body itself, or as the field `file` of a form."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from aiohttp import web

from daemons.kit.bodies import InvalidRequest
from daemons.workspace.domain.files import TooLarge
from daemons.workspace.domain.multipart import Multipart, MultipartRefused, PartBegins
from daemons.workspace.http.signed import Body, Signer


@dataclass(frozen=True, slots=True)
class CarriedFile:
    """Its bytes, and how many there may be."""

    pieces: AsyncIterator[bytes]
    most: int


@dataclass(frozen=True, slots=True)
class Carriers:
    """Finds the file of a request. Limits in bytes."""

    signer: Signer
    form_bytes: int
    upload_bytes: int

    def file(self, request: web.Request) -> CarriedFile:
        """Its pieces prove themselves when they end. Raises TooLarge for a body that says so of itself, and
        InvalidRequest for a form that is none."""
        is_form = request.content_type.startswith("multipart/")
        most = self.form_bytes if is_form else self.upload_bytes
        # A form adds its boundaries and headers, and a stream its proof.
        if (request.content_length or 0) > most + 64 * 1024:
            raise TooLarge(f"at most {most} bytes may be uploaded this way")
        pieces = _arriving(Body(request, self.signer))
        if not is_form:
            return CarriedFile(pieces, most)
        try:
            form = Multipart(request.headers.get("Content-Type", ""))
        except MultipartRefused as error:
            raise InvalidRequest(str(error), ["body"]) from None
        return CarriedFile(_file_field(form, pieces), most)


async def _arriving(body: Body) -> AsyncIterator[bytes]:
    """The body's pieces. A caller who goes away has sent no request at all."""
    try:
        async for piece in body.pieces():
            yield piece
    except (ConnectionError, web.RequestPayloadError):
        raise InvalidRequest("body: ended early", ["body"]) from None


async def _file_field(form: Multipart, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The data of the only field `file`. Reads on to the body's end, which proves the rest."""
    found, inside = 0, False
    try:
        async for piece in pieces:
            for told in form.feed(piece):
                if isinstance(told, PartBegins):
                    inside = told.name == "file"
                    found += inside
                elif inside:
                    yield told
    except MultipartRefused as error:
        raise InvalidRequest(str(error), ["body"]) from None
    if found != 1 or not form.ended:
        raise InvalidRequest("file: must be in the form once, and the form must be whole", ["file"])
