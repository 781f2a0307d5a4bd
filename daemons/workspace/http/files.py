"""Routes of files that are small enough to be handled whole."""

import asyncio
from typing import Final, Literal

from aiohttp import web

from daemons.kit.bodies import InvalidRequest, reply
from daemons.kit.openapi import Answers
from daemons.workspace.domain.files import Entry, Guard, Kind, tags_of
from daemons.workspace.domain.paths import Parts, PathRefused, joined, named_parts, parts_of
from daemons.workspace.domain.tree import Listing, Node, TreeLimits, nested
from daemons.workspace.http.callers import named, ordered
from daemons.workspace.services.files import Files
from protocol.workspace_files import (
    AppDirView,
    DeleteFile,
    FileRef,
    FileView,
    MakeFolder,
    MoveFile,
    NodeType,
    TreeNode,
    TreeQuery,
    TreeView,
    WriteFile,
)
from protocol.workspaces import AppRef

PREFIX: Final = "/api/fun-ai/workspace/files"


class FileRoutes:
    """The tree, texts, folders, moving and removing. `host_root` is only told, never opened here."""

    def __init__(self, files: Files, host_root: str) -> None:
        self._files = files
        self._host_root = host_root

    def table(self) -> list[web.RouteDef]:
        """The routes."""
        return [
            web.post(f"{PREFIX}/ensure-dir", self.ensure_dir),
            web.get(f"{PREFIX}/tree", self.tree),
            web.get(f"{PREFIX}/content", self.content),
            web.post(f"{PREFIX}/content", self.write),
            web.post(f"{PREFIX}/mkdir", self.mkdir),
            web.post(f"{PREFIX}/delete", self.delete),
            web.post(f"{PREFIX}/move", self.move),
        ]

    @Answers(AppDirView, refuses=(403, 404, 409, 507))
    async def ensure_dir(self, request: web.Request) -> web.Response:
        """The app's folder and its user's container."""
        ref = named(request, AppRef)
        await self._files.ensure_app(ref.user_id, ref.app_id)
        return reply(
            AppDirView(
                user_id=ref.user_id,
                app_id=ref.app_id,
                host_app_dir=f"{self._host_root}/{ref.user_id}/apps/{ref.app_id}",
                container_app_dir=f"/workspace/apps/{ref.app_id}",
            )
        )

    @Answers(TreeView, refuses=(403, 404))
    async def tree(self, request: web.Request) -> web.Response:
        """Part of the tree."""
        ref = named(request, TreeQuery)
        limits, root = TreeLimits.clamped(ref.max_depth, ref.max_entries), asked(ref.path)
        listing = await self._files.listing(ref.user_id, ref.app_id, root, limits)
        # Twenty thousand entries take long enough to hold up everybody else.
        return await asyncio.to_thread(_tree, ref, root, limits, listing)

    @Answers(FileView, also={304: "as it was"}, refuses=(403, 404, 413))
    async def content(self, request: web.Request) -> web.Response:
        """A text, or 304 for those who have it."""
        ref = named(request, FileRef)
        path = asked_name(ref.path)
        text, entry = await self._files.text(ref.user_id, ref.app_id, path)
        if {"*", entry.tag} & set(tags_of(request.headers.get("If-None-Match", ""))):
            return web.Response(status=304, headers={"ETag": entry.tag})
        return file_reply(ref, path, entry, text)

    @Answers(FileView, refuses=(403, 404, 409, 412, 413, 507))
    async def write(self, request: web.Request) -> web.Response:
        """A text in its file's place."""
        order = await ordered(request, WriteFile)
        path, expected = asked_name(order.path), order.expected_last_modified_ms
        guard = Guard(None if order.force_write else expected, if_match(request))
        entry = await self._files.write(
            order.user_id, order.app_id, path, order.content, guard, parents=order.create_parents
        )
        return file_reply(order, path, entry, None)

    @Answers(Literal["ok"], refuses=(403, 404, 409, 507))
    async def mkdir(self, request: web.Request) -> web.Response:
        """A folder."""
        order = await ordered(request, MakeFolder)
        path = asked_name(order.path)
        await self._files.make_folder(order.user_id, order.app_id, path, parents=order.create_parents)
        return reply("ok")

    @Answers(Literal["ok"], refuses=(403, 404, 409, 507))
    async def delete(self, request: web.Request) -> web.Response:
        """Gone, whether or not it was there."""
        order = await ordered(request, DeleteFile)
        await self._files.remove(order.user_id, order.app_id, asked_name(order.path))
        return reply("ok")

    @Answers(Literal["ok"], refuses=(403, 404, 409, 507))
    async def move(self, request: web.Request) -> web.Response:
        """Under another name."""
        order = await ordered(request, MoveFile)
        source, target = asked_name(order.from_path, "fromPath"), asked_name(order.to_path, "toPath")
        await self._files.move(order.user_id, order.app_id, source, target, overwrite=order.overwrite)
        return reply("ok")


def asked(path: str) -> Parts:
    """A path as a caller wrote it; empty for the app itself. Raises InvalidRequest."""
    try:
        return parts_of(path)
    except PathRefused as error:
        raise InvalidRequest(str(error), ["path"]) from None


def asked_name(path: str, field: str = "path") -> Parts:
    """The path of something in the app. Raises InvalidRequest."""
    try:
        return named_parts(path)
    except PathRefused as error:
        raise InvalidRequest(str(error).replace("path", field, 1), [field]) from None


def if_match(request: web.Request) -> tuple[str, ...] | None:
    """The entity tags that a change is for; None when the caller does not care."""
    header = request.headers.get("If-Match")
    return tags_of(header) if header is not None else None


def file_reply(ref: FileRef, path: Parts, entry: Entry, content: str | None) -> web.Response:
    """A file with its entity tag."""
    answer = reply(
        FileView(
            user_id=ref.user_id,
            app_id=ref.app_id,
            path=joined(path),
            content=content,
            size=entry.size,
            last_modified_ms=entry.modified_ms,
            etag=entry.tag,
        )
    )
    answer.headers["ETag"] = entry.tag
    return answer


def shown(path: str) -> str:
    """A name or path as JSON can hold it: names on a disk need not be UTF-8."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _tree(ref: TreeQuery, root: Parts, limits: TreeLimits, listing: Listing) -> web.Response:
    return reply(
        TreeView(
            user_id=ref.user_id,
            app_id=ref.app_id,
            root_path=joined(root),
            max_depth=limits.depth,
            max_entries=limits.entries,
            nodes=tuple(_view(node) for node in nested(listing.found, root)),
            truncated=not listing.whole,
        )
    )


def _view(node: Node) -> TreeNode:
    entry, path = node.listed.entry, node.listed.path
    return TreeNode(
        name=shown(path[-1]),
        path=shown(joined(path)),
        type=NodeType.DIR if entry.kind is Kind.FOLDER else NodeType.FILE,
        size=entry.size,
        last_modified_ms=entry.modified_ms,
        link=entry.kind is Kind.LINK,
        children=tuple(_view(child) for child in node.children),
    )
