"""What servers are told, so that they find themselves below the public path."""

import pytest

from daemons.workspace.domain.addresses import Addresses
from daemons.workspace.domain.launch import Launch, Surroundings, launch
from daemons.workspace.domain.packages import Sources
from daemons.workspace.domain.projects import Framework, Project
from protocol.workspace_runs import RunType


def _started(script: str, seen_at: Addresses = Addresses()) -> Launch:  # noqa: B008 - it is frozen
    project = Project(files={"package.json": f'{{"scripts": {{"dev": "{script}"}}}}'})
    around = Surroundings(5173, seen_at=seen_at)
    return launch(RunType.START, "7", "5", project, around, "/workspace/run/x.log")


def test_vite_serves_below_the_path_for_the_hosts_of_previews() -> None:
    found = _started("vite", Addresses("https://studio.example/preview"))
    assert (found.framework, found.keeps_prefix) == (Framework.VITE, True)
    assert found.program.variables["__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"] == "studio.example"
    assert "--base /preview/5/" in found.program.command[-1]


def test_on_a_host_of_its_own_a_preview_is_seen_from_the_root() -> None:
    at = Addresses("https://studio.example/preview", "https://preview.example:8443")
    assert (at.url("5"), at.path("5"), at.secure) == ("https://5.preview.example:8443/", "/", True)
    found = _started("vite", at)
    assert (found.framework, found.keeps_prefix) == (Framework.VITE, False)
    assert found.program.variables["__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS"] == ".preview.example"
    assert found.program.command[-1].endswith("--base /")
    react = _started("react-scripts start", at)
    assert (react.keeps_prefix, react.program.variables["WDS_SOCKET_PATH"]) == (False, "/ws")


def test_no_host_is_allowed_that_nobody_named() -> None:
    assert "__VITE_ADDITIONAL_SERVER_ALLOWED_HOSTS" not in _started("vite").program.variables


def test_react_scripts_alone_is_told_the_path_as_its_own() -> None:
    found = _started("react-scripts start")
    assert (found.framework, found.keeps_prefix) == (Framework.REACT_SCRIPTS, True)
    told = found.program.variables
    assert (told["PUBLIC_URL"], told["WDS_SOCKET_PATH"]) == ("/preview/5", "/preview/5/ws")
    other = _started("node server.js")
    assert (other.framework, other.keeps_prefix) == (Framework.NODE, False)
    assert not {"PUBLIC_URL", "WDS_SOCKET_PATH"} & set(other.program.variables)


def test_what_flask_needs_is_installed_once() -> None:
    project = Project(files={"requirements.txt": "flask\n", "app.py": ""})
    around = Surroundings(5173)
    script = launch(RunType.START, "7", "5", project, around, "/workspace/run/x.log").program.command[-1]
    assert "if ! cmp -s requirements.txt /workspace/.venv/5/.installed; then" in script
    wanted = launch(RunType.INSTALL, "7", "5", project, around, "/workspace/run/x.log").program.command[-1]
    assert wanted.index("rm -f /workspace/.venv/5/.installed") < wanted.index("cmp -s")


def test_a_build_installs_what_is_missing_only() -> None:
    project = Project("", {"package.json": '{"scripts": {"build": "esbuild a.js"}}'})
    script = launch(RunType.BUILD, "7", "5", project, Surroundings(5173), "/x.log").program.command[-1]
    before, _, after = script.partition("if [ ! -d node_modules ]; then ")
    assert "npm install" not in before and after.count("npm install") == script.count("npm install") == 2
    assert "; fi\nexec npm run build" in after


@pytest.mark.parametrize("kind", RunType)
def test_no_run_writes_an_npmrc(kind: RunType) -> None:
    """The registry is a variable: a file would be committed with the app."""
    project = Project("", {"package.json": '{"scripts": {"dev": "vite", "build": "vite build"}}'})
    around = Surroundings(5173, sources=Sources(npm_registry="http://registry.inside:4873"))
    program = launch(kind, "7", "5", project, around, "/x.log").program
    assert "npmrc" not in program.command[-1] and "npm config" not in program.command[-1]
    assert program.variables["npm_config_registry"] == "http://registry.inside:4873"
