"""One full value of every wire model of workspaces, their runs and their terminals."""

from protocol import (
    workspace_databases,
    workspace_previews,
    workspace_runs,
    workspace_terminals,
    workspace_upkeep,
    workspaces,
)
from protocol.base import Wire

WORKSPACE_SAMPLES: tuple[Wire, ...] = (
    workspaces.UserRef(user_id="7", epoch=3),
    workspaces.AppRef(user_id="7", app_id="20001", epoch=3),
    workspaces.PreviewRef(user_id="7", app_id="20001"),
    workspaces.WorkspaceView(
        user_id="7",
        container_name="ws-u-7",
        container_status=workspaces.ContainerStatus.FROZEN,
        image="registry:5000/funshion/base-node:1",
        host_port=20007,
        container_port=5173,
        host_workspace_dir="/data/funai/workspaces/7",
        host_apps_dir="/data/funai/workspaces/7/apps",
        container_workspace_dir="/workspace",
        container_apps_dir="/workspace/apps",
        epoch=3,
        message="the engine could not start it",
        caches=workspaces.CachesView(
            npm_bytes=1048576,
            npm_limit_bytes=2147483648,
            pip_bytes=4096,
            pip_limit_bytes=1073741824,
            pruned_bytes=8192,
            measured_at_ms=1767323045678,
        ),
    ),
    workspaces.CachesView(
        npm_bytes=1048576,
        npm_limit_bytes=2147483648,
        pip_bytes=4096,
        pip_limit_bytes=1073741824,
        pruned_bytes=8192,
        measured_at_ms=1767323045678,
    ),
    workspaces.Heartbeat(user_id="7", server_time_ms=1767323045678),
    workspace_previews.SetPreviewAccess(
        user_id="7", app_id="20001", epoch=3, visibility=workspace_previews.Visibility.PRIVATE
    ),
    workspace_previews.PreviewAccess(
        user_id="7", app_id="20001", visibility=workspace_previews.Visibility.PRIVATE, generation=2
    ),
    workspace_previews.PreviewLink(
        user_id="7",
        app_id="20001",
        url="https://studio.example/preview/20001/.funai/enter?ticket=of-the-tests",
        expires_at_ms=1767323045678,
    ),
    workspace_runs.LogRef(user_id="7", app_id="20001", epoch=3, type="BUILD"),
    workspace_runs.RunLog(log="added 3 packages\n", is_finish=True),
    workspace_runs.RunView(
        user_id="7",
        state=workspace_runs.RunState.RUNNING,
        type=workspace_runs.RunType.START,
        app_id="20001",
        host_port=20007,
        container_port=5173,
        pid=41,
        exit_code=1,
        port_listen_pid=42,
        preview_url="https://studio.example/preview/20001/",
        log_path="/workspace/run/run-start-20001-1767323045678.log",
        started_at_ms=1767323045678,
        finished_at_ms=1767323046789,
        listening=(5173,),
        framework="vite",
        message="already running",
    ),
    workspace_terminals.TerminalRef(
        user_id="7", app_id="20001", epoch=3, session="00112233445566ff", offset=4096, cols=120, rows=40
    ),
    workspace_terminals.FormerOrder(type="exec", data="npm test", cols=120, rows=40),
    workspace_terminals.TerminalOrder(type="resize", cols=120, rows=40, offset=4096),
    workspace_runs.TryApi(
        user_id="7", app_id="20001", epoch=3, curl_command="curl http://127.0.0.1:5173/", timeout_seconds=30
    ),
    workspace_runs.ApiTried(
        user_id="7",
        app_id="20001",
        success=False,
        stdout="curl: (7) Failed to connect",
        exit_code=7,
        execution_time_ms=41,
        error_type=workspace_runs.TriedError.EXECUTION_ERROR,
        message="curl ended with exit status 7",
        stdout_original_size=27,
    ),
    workspace_upkeep.BusyCount(busy_count=3, user_busy=True),
    workspace_upkeep.ActivityView(
        server_time_ms=1767323046789,
        user_id="7",
        last_active_at_ms=1767323045678,
        idle_ms=1111,
        idle_ms_monotonic=1111,
        idle_stop_run_minutes=15,
        idle_stop_container_minutes=30,
    ),
    workspace_upkeep.AppCleared(
        user_id="7",
        app_id="20001",
        complete=False,
        removed_folders=1,
        removed_run_logs=4,
        removed_uploads=1,
        removed_keys=1,
        removed_databases=1,
        quarantined=("7/apps/20001.deleted-1767323045678",),
        problems=("apps/20001.deleted-1767323045678 of user 7 could not be removed: path: its mode keeps it",),
        message="something is left; repeat the call",
    ),
    workspace_upkeep.CleanOrphans(existing_app_ids=("20001", "20002"), as_of_ms=1767323045678, confirmed=True),
    workspace_upkeep.OrphanKept(user_id="7", app_id="20003", reason="a terminal is open in it"),
    workspace_upkeep.OrphansCleaned(
        cleaned_app_dirs=2,
        cleaned_run_logs=5,
        cleaned_databases=1,
        kept=(workspace_upkeep.OrphanKept(user_id="7", app_id="20003", reason="its dev runs"),),
        quarantined=("7/apps/20001.deleted-1767323045678",),
        problems=("user 8: the files of user 8 cannot be reached",),
        message="something is left; repeat the call",
    ),
    workspace_databases.DatabaseOrder(op=workspace_databases.Operation.INSERT_ONE),
    workspace_databases.DocumentInserted(
        user_id="7",
        app_id="20001",
        db_name="db_20001",
        collection="things",
        inserted_id="0123456789abcdef01234567",
    ),
    workspace_databases.DocumentUpdated(
        user_id="7",
        app_id="20001",
        db_name="db_20001",
        collection="things",
        matched_count=0,
        modified_count=0,
        upserted_id="a",
    ),
    workspace_databases.DocumentDeleted(
        user_id="7", app_id="20001", db_name="db_20001", collection="things", deleted_count=1
    ),
    workspace_databases.CollectionCreated(
        user_id="7", app_id="20001", db_name="db_20001", collection="things", created=True, message="ok"
    ),
)
