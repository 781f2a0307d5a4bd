"""The programs of runs: shell scripts that install, build and serve a project in its user's container.

A development server is told where it is seen from by its environment and its arguments, so that no project has to be
changed: Vite gets the public path as its base and serves below it, as react-scripts does; everything else is served
from its root, and the gateway takes the path away. None of it writes a file that could be committed: npm's
registry and cache are variables (domain/packages.py).
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from daemons.workspace.domain.addresses import Addresses
from daemons.workspace.domain.containers import WORKDIR
from daemons.workspace.domain.packages import Sources, npm_cache
from daemons.workspace.domain.programs import Program
from daemons.workspace.domain.projects import Framework, NotRunnable, Project, chosen_script, flask_module, framework
from protocol.workspace_runs import RunType

_INSTALL = (
    "npm install --include=dev --no-audit --no-fund || "
    "{ echo '[funai] trying again with --legacy-peer-deps'; npm install --include=dev --legacy-peer-deps; }"
)
_IF_NEEDED = "if [ ! -d node_modules ]; then {install} || exit $?; fi"
#: They serve below the public path by themselves.
_BELOW_THE_PATH = (Framework.VITE, Framework.REACT_SCRIPTS)
_VENV = "{workdir}/.venv/{app_id}"
#: Once for each text of the requirements: a server that wakes up does not wait for pip.
_PIP = (
    "[ -x {venv}/bin/python ] || python3 -m venv {venv} || exit $?; "
    "if ! cmp -s requirements.txt {venv}/.installed; then "
    "{venv}/bin/python -m pip install --disable-pip-version-check -r requirements.txt || exit $?; "
    "cp requirements.txt {venv}/.installed; fi"
)
#: Whichever of them the image has.
_STATIC = (
    "command -v busybox >/dev/null 2>&1 && exec busybox httpd -f -p 0.0.0.0:$PORT -h .; "
    "command -v python3 >/dev/null 2>&1 && exec python3 -m http.server $PORT --bind 0.0.0.0; "
    "echo '[funai] the image has neither busybox nor python3 to serve files with'; exit 127"
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every run of the node is told."""

    container_port: int
    sources: Sources = field(default_factory=Sources)
    #: Where visitors see it from.
    seen_at: Addresses = field(default_factory=Addresses)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Launch:
    """A program, what it is seen as, and whether it serves below the public path itself."""

    program: Program
    framework: Framework | None
    keeps_prefix: bool = False


def launch(kind: RunType, user_id: str, app_id: str, project: Project, around: Surroundings, log: str) -> Launch:
    """The program of a run. Raises NotRunnable."""
    match kind:
        case RunType.INSTALL:
            lines, served = _installing(project, app_id), None
        case RunType.BUILD:
            lines, served = _building(project), None
        case RunType.DEV:
            lines, served = _serving(project, app_id, around, "dev")
        case RunType.START:
            lines, served = _serving(project, app_id, around, "dev", "server")
        case _:
            assert_never(kind)
    folder = f"{WORKDIR}/apps/{app_id}" + (f"/{project.folder}" if project.folder else "")
    script = "\n".join(lines)
    variables = _variables(kind, user_id, app_id, served, around)
    return Launch(Program(("sh", "-c", script), folder, variables, log), served, keeps_prefix=_below(served, around))


def _below(served: Framework | None, around: Surroundings) -> bool:
    return served in _BELOW_THE_PATH and not around.seen_at.own


def _installing(project: Project, app_id: str) -> list[str]:
    if project.is_node:
        return [_INSTALL]
    if "requirements.txt" in project.files:
        venv = _VENV.format(workdir=WORKDIR, app_id=app_id)
        return [f"rm -f {venv}/.installed", _PIP.format(venv=venv)]
    raise NotRunnable("the project has neither a package.json nor a requirements.txt")


def _building(project: Project) -> list[str]:
    if not project.is_node:
        raise NotRunnable("the project has no package.json, so there is nothing to build")
    chosen_script(project, "build")
    return [_IF_NEEDED.format(install=_INSTALL), "exec npm run build"]


def _serving(project: Project, app_id: str, around: Surroundings, *scripts: str) -> tuple[list[str], Framework]:
    if not project.is_node:
        return _without_npm(project, app_id)
    script = chosen_script(project, *scripts)
    kind = framework(project, script)
    command = ["npm", "run", script]
    if kind is Framework.VITE:
        port = str(around.container_port)
        command += ["--", "--host", "0.0.0.0", "--port", port, "--strictPort", "--base", around.seen_at.path(app_id)]
    elif kind is Framework.NEXT:
        command += ["--", "--hostname", "0.0.0.0", "--port", str(around.container_port)]
    return [_IF_NEEDED.format(install=_INSTALL), f"exec {shlex.join(command)}"], kind


def _without_npm(project: Project, app_id: str) -> tuple[list[str], Framework]:
    kind = framework(project, "")
    if kind is Framework.FLASK:
        venv = _VENV.format(workdir=WORKDIR, app_id=app_id)
        start = f"exec {venv}/bin/python -m flask --app {flask_module(project)} run --debug --host 0.0.0.0 --port $PORT"
        return [_PIP.format(venv=venv), start], kind
    return [_STATIC], kind


def _variables(
    kind: RunType, user_id: str, app_id: str, served: Framework | None, around: Surroundings
) -> Mapping[str, str]:
    found = {
        "FUNAI_USER_ID": user_id,
        "FUNAI_APP_ID": app_id,
        **around.sources.variables,
        "npm_config_cache": npm_cache(app_id),
        **around.variables,
    }
    if kind in (RunType.DEV, RunType.START):
        found |= _seen_from(app_id, served, around)
    return found


def _seen_from(app_id: str, served: Framework | None, around: Surroundings) -> Mapping[str, str]:
    """How a server learns where it is seen from; each name is one that some framework reads."""
    path = around.seen_at.path(app_id)
    found = {
        "HOST": "0.0.0.0",
        "PORT": str(around.container_port),
        "BASE_PATH": path.rstrip("/"),
        # Changes of a folder that is mounted from elsewhere are not always told.
        "CHOKIDAR_USEPOLLING": "true",
        "WATCHPACK_POLLING": "true",
    }
    if around.seen_at.hosts:
        # Vite answers no host name that it does not know; releases before 7 take one.
        found["__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"] = ",".join(around.seen_at.hosts)
    if served is Framework.REACT_SCRIPTS:
        # With them it serves below the path, and its socket, too (webpackDevServer.config.js).
        found |= {"PUBLIC_URL": path.rstrip("/"), "WDS_SOCKET_PATH": f"{path}ws"}
    if served is Framework.FLASK:
        found["FLASK_RUN_PORT"] = str(around.container_port)
    return found
