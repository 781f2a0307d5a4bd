"""Puts git together: keys of the git server, programs in containers, routes."""

from dataclasses import dataclass
from typing import Final, Protocol

from daemons.kit.clock import Clock
from daemons.kit.tasks import every
from daemons.workspace.adapters.repository_keys import GitServer
from daemons.workspace.composition.wiring import Wiring
from daemons.workspace.http.git import GitRoutes
from daemons.workspace.ports.git import Commands, KeysUnavailable, Passages, RepositoryKeys
from daemons.workspace.ports.leavings import AppLoans
from daemons.workspace.services.git import Git
from daemons.workspace.services.git_conflicts import Merges
from daemons.workspace.services.git_work import Reach
from daemons.workspace.services.workspaces import Workspaces
from daemons.workspace.settings import WorkspaceSettings

_SWEEP_SECONDS: Final = 60.0


class Keys(RepositoryKeys, AppLoans, Protocol):
    """Keys of apps' repositories, for who uses them and for who clears up."""


@dataclass(frozen=True, slots=True)
class GitPorts:
    """What git works with."""

    commands: Commands
    passages: Passages
    keys: Keys | None
    clock: Clock


@dataclass(frozen=True, slots=True)
class GitServices:
    """What others need of git."""

    git: Git
    keys: Keys


def git_server(settings: WorkspaceSettings) -> GitServer:
    """Where repositories are."""
    return GitServer(
        settings.git_user,
        settings.git_host,
        settings.git_port,
        settings.git_owner,
        settings.git_template,
    )


def add_git(wiring: Wiring, workspaces: Workspaces, ports: GitPorts) -> GitServices | None:
    """The routes of git, where git is switched on."""
    settings, keys = wiring.settings, ports.keys
    if keys is None:
        return None
    reach = Reach(ports.commands, ports.passages, keys, settings.git_seconds)
    git = Git(workspaces, reach, ports.clock, settings.npm_registry)
    wiring.serve(GitRoutes(git, Merges(git)).table())

    async def sweep() -> None:
        await every(_SWEEP_SECONDS, keys.sweep, expected=(KeysUnavailable,))

    wiring.loop(sweep)
    return GitServices(git, keys)
