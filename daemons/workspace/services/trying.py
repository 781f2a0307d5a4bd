"""Tries an app's own server with curl, from within its user's container."""

import asyncio
import secrets
from dataclasses import dataclass
from typing import Final

from daemons.workspace.domain.trying import curl_program
from daemons.workspace.ports import Use
from daemons.workspace.ports.git import Commands, Outcome, TooSlow
from daemons.workspace.ports.runs import ProjectFiles
from daemons.workspace.services.runs import NoApp
from daemons.workspace.services.workspaces import Workspaces

_NOT_FOUND: Final = 127


class NoCurl(Exception):
    """The image of workspaces has no curl."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of it (None: it took too long and was ended), and how long it took."""

    outcome: Outcome | None
    took_ms: int


@dataclass(frozen=True, slots=True)
class Trying:
    """The use case. `most_bytes` of what curl writes are kept."""

    workspaces: Workspaces
    projects: ProjectFiles
    commands: Commands
    most_bytes: int

    async def curl(self, user_id: str, app_id: str, text: str, seconds: float, epoch: int | None) -> Tried:
        """Raises as `Workspaces.ensure`; NotCurl, NoApp, NoCurl."""
        program = curl_program(text, app_id)
        if await self.projects.project(user_id, app_id) is None:
            raise NoApp("there is no folder of this app in the workspace; create or clone it first")
        self.workspaces.touch(user_id, Use.CALL)
        loop, tag = asyncio.get_running_loop(), f"curl{secrets.token_hex(8)}"
        async with self.workspaces.awake(user_id, epoch):
            began = loop.time()
            try:
                outcome = await self.commands.run(
                    user_id, program, given=b"", seconds=seconds, most_bytes=self.most_bytes, tag=tag
                )
            except TooSlow:
                return Tried(None, int((loop.time() - began) * 1000))
        if outcome.status == _NOT_FOUND and b"not found" in outcome.errors:
            raise NoCurl("the workspace's image has no curl; operators: put it into FUNAI_WORKSPACE_IMAGE's image")
        return Tried(outcome, int((loop.time() - began) * 1000))
