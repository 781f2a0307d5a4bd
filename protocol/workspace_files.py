"""Files of an app in a workspace, as the node tells and takes them. Paths are relative to the app; times are
milliseconds since 1970."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from protocol.base import Wire
from protocol.names import AppId, UserId
from protocol.workspaces import AppRef

#: Longer than any that is taken, so that the rules of paths say why.
FilePath = Annotated[str, Field(max_length=16_384)]


class NodeType(StrEnum):
    """What an entry of a tree is; whatever is no folder is a FILE."""

    FILE = "FILE"
    DIR = "DIR"


class AppDirView(Wire):
    """Where an app's files are, on the node and in the container."""

    user_id: UserId
    app_id: AppId
    host_app_dir: str
    container_app_dir: str


class TreeQuery(AppRef):
    """Which part of a tree is asked for, and how much of it."""

    path: FilePath = ""
    max_depth: int = 6
    max_entries: int = 5000


class TreeNode(Wire):
    """One entry. `link` marks a symbolic link, which is not followed."""

    name: str
    path: str
    type: NodeType
    size: int
    last_modified_ms: int
    link: bool = False
    children: tuple["TreeNode", ...] = ()


class TreeView(Wire):
    """Part of a tree; `truncated` when it has more entries than were asked for."""

    user_id: UserId
    app_id: AppId
    root_path: str
    max_depth: int
    max_entries: int
    nodes: tuple[TreeNode, ...]
    truncated: bool = False


class FileRef(AppRef):
    """One file."""

    path: FilePath


class FileView(Wire):
    """A file. `content` is null in answers to writes of texts, and of uploads that are no text of at most 2 MiB."""

    user_id: UserId
    app_id: AppId
    path: str
    content: str | None = None
    size: int
    last_modified_ms: int
    etag: str = ""


class WriteFile(FileRef):
    """A text to be written. `expected_last_modified_ms`: what the file must have now; 0 or -1: it must not exist; null:
    whatever is there. `force_write` skips that check."""

    content: str
    create_parents: bool = True
    force_write: bool = False
    expected_last_modified_ms: int | None = None


class MakeFolder(FileRef):
    """A folder to be made."""

    create_parents: bool = True


class DeleteFile(FileRef):
    """A file or folder to be removed, with all that is in it."""


class MoveFile(AppRef):
    """Something to be renamed; with `overwrite`, over what lies at the target."""

    from_path: FilePath
    to_path: FilePath
    overwrite: bool = False


class UploadFile(FileRef):
    """Where the file goes that a body carries."""

    overwrite: bool = True
    create_parents: bool = True


class UploadArchive(AppRef):
    """What the archive that a body carries becomes: the app's content, over what is there or in an empty app."""

    overwrite: bool = True


class DownloadArchive(AppRef):
    """An app as an archive."""

    include_node_modules: bool = False


class SearchQuery(AppRef):
    """A text that is looked for, as it is, in names and contents below a folder."""

    query: Annotated[str, Field(min_length=1, max_length=256)]
    path: FilePath = ""
    case_sensitive: bool = False
    names: bool = True
    contents: bool = True
    max_results: int = 200


class SearchMatch(Wire):
    """A name that matches (without a line), or a line with the column of its first match; both count from 1."""

    path: str
    line: int | None = None
    column: int | None = None
    text: str | None = None


class SearchView(Wire):
    """What was found; `truncated` when a limit of results, bytes or time ended the search."""

    matches: tuple[SearchMatch, ...]
    searched_files: int
    truncated: bool = False


class ChangeView(Wire):
    """What became of a path: CREATED, MODIFIED or DELETED."""

    path: str
    change: str


class FilesChanged(Wire):
    """Changes that were seen together."""

    changes: tuple[ChangeView, ...]
