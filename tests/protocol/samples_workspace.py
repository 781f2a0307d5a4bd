"""One full value of every wire model of workspaces, their runs and their terminals."""

from protocol import workspace_runs, workspace_terminals, workspaces
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
    ),
    workspaces.Heartbeat(user_id="7", server_time_ms=1767323045678),
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
    workspace_terminals.TerminalOrder(type="resize", cols=120, rows=40, offset=4096),
)
