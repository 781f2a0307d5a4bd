"""One full value of every wire model of files in workspaces."""

from protocol import workspace_files as files
from protocol.base import Wire

_MAIN = files.TreeNode(
    name="main.ts", path="src/main.ts", type=files.NodeType.FILE, size=7, last_modified_ms=1767323045678, link=True
)

FILE_SAMPLES: tuple[Wire, ...] = (
    files.AppDirView(
        user_id="7", app_id="20001", host_app_dir="/data/7/apps/20001", container_app_dir="/workspace/apps/20001"
    ),
    files.TreeQuery(user_id="7", app_id="20001", epoch=3, path="src", max_depth=2, max_entries=10),
    _MAIN,
    files.TreeView(
        user_id="7",
        app_id="20001",
        root_path="",
        max_depth=6,
        max_entries=5000,
        nodes=(
            files.TreeNode(
                name="src",
                path="src",
                type=files.NodeType.DIR,
                size=0,
                last_modified_ms=1767323045678,
                children=(_MAIN,),
            ),
        ),
        truncated=True,
    ),
    files.FileRef(user_id="7", app_id="20001", path="src/main.ts"),
    files.FileView(
        user_id="7",
        app_id="20001",
        path="src/main.ts",
        content="main()\n",
        size=7,
        last_modified_ms=1767323045678,
        etag='"1-7-a-b"',
    ),
    files.WriteFile(
        user_id="7",
        app_id="20001",
        path="src/main.ts",
        content="main()\n",
        create_parents=False,
        force_write=True,
        expected_last_modified_ms=1767323045678,
    ),
    files.MakeFolder(user_id="7", app_id="20001", path="src", create_parents=False),
    files.DeleteFile(user_id="7", app_id="20001", path="src"),
    files.MoveFile(user_id="7", app_id="20001", from_path="a", to_path="b", overwrite=True),
    files.UploadFile(user_id="7", app_id="20001", path="logo.png", overwrite=False, create_parents=False),
    files.UploadArchive(user_id="7", app_id="20001", overwrite=False),
    files.DownloadArchive(user_id="7", app_id="20001", include_node_modules=True),
    files.SearchQuery(
        user_id="7",
        app_id="20001",
        query="main",
        path="src",
        case_sensitive=True,
        names=False,
        contents=True,
        max_results=10,
    ),
    files.SearchMatch(path="src/main.ts", line=1, column=3, text="a main"),
    files.SearchView(matches=(files.SearchMatch(path="src/main.ts"),), searched_files=2, truncated=True),
    files.ChangeView(path="src/main.ts", change="MODIFIED"),
    files.FilesChanged(changes=(files.ChangeView(path="src", change="CREATED"),)),
)
