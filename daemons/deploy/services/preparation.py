"""Makes a registry ready for the platform: a project, an account for each kind of program, room that is freed.

Every step looks first and can be repeated. What it finds otherwise than it should be, and what only people can decide,
is told and left as it is.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from daemons.deploy.domain.robots import GarbageSchedule, RegistryProject, Robot, RobotRole, WantedRobot, found
from daemons.deploy.ports.projects import RegistryProjects, SecretKeeper

#: Seconds, minutes, hours, day of the month, month, day of the week: every night at three.
NIGHTLY: Final = GarbageSchedule("0 0 3 * * *", removes_untagged=False)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be there: a project, accounts in it, and the names of those that get a new secret."""

    project: str
    robots: Sequence[WantedRobot]
    renew: Collection[str] = ()


@dataclass(slots=True)
class Told:
    """What was found and done, and what is still to be done by people, a line each."""

    done: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)


def accounts(runners: Sequence[str], nodes: Sequence[str], control_plane: str) -> Sequence[WantedRobot]:
    """Accounts for these names, each of which stands once."""
    return [
        *(WantedRobot(name, RobotRole.RUNNER) for name in runners),
        *(WantedRobot(name, RobotRole.NODE) for name in nodes),
        WantedRobot(control_plane, RobotRole.CONTROL_PLANE),
    ]


class Preparation:
    """`run` tells as it goes, so that what was done is known when a later step fails."""

    def __init__(self, registry: RegistryProjects, secrets: SecretKeeper, told: Told) -> None:
        self._registry = registry
        self._secrets = secrets
        self._told = told

    async def run(self, wanted: Wanted) -> None:
        """Raises RegistryFailed and SecretsRefused."""
        self._secrets.prepare()
        made = await self._registry.make_project(wanted.project)
        self._told.done.append(f"project {wanted.project}: {'made, not public' if made else 'is there'}")
        project = await self._registry.project(wanted.project)
        self._look_at(wanted.project, project)
        robots = await self._registry.robots(project)
        for each in wanted.robots:
            await self._robot(wanted, each, found(robots, wanted.project, each.name))
        await self._collect()

    def _look_at(self, name: str, project: RegistryProject) -> None:
        if project.public:
            self._told.open.append(
                f"project {name} is public: whoever reaches the registry can pull every app's image. Make it private"
            )
        if project.retention:
            self._told.open.append(
                f"project {name} has a tag retention rule: it counts pushes and does not know which image a release "
                "needs. Remove it; the control plane removes what no app needs (DEPLOY_REGISTRY_CLEANUP_ENABLED=true)"
            )

    async def _robot(self, wanted: Wanted, robot: WantedRobot, there: Robot | None) -> None:
        if there is None:
            credentials = await self._registry.make_robot(wanted.project, robot)
            if credentials is None:
                self._told.open.append(f"account {robot.name}: somebody made it at this moment; run this once more")
                return
            self._keep(robot, credentials.login, self._secrets.keep(robot.name, robot.role, credentials), "made")
            return
        state = "is there"
        if not there.is_as(wanted=robot):
            await self._registry.mend_robot(wanted.project, there, robot)
            state = "was there with other rights, disabled or about to expire, and is as it should be now"
        if robot.name in wanted.renew:
            credentials = await self._registry.renew_secret(there)
            self._keep(robot, there.login, self._secrets.keep(robot.name, robot.role, credentials), "has a new secret")
            return
        self._told.done.append(f"account {there.login} ({robot.role}): {state}; its secret is as it was")

    def _keep(self, robot: WantedRobot, login: str, where: str, state: str) -> None:
        self._told.done.append(f"account {login} ({robot.role}): {state}; it is in {where}")

    async def _collect(self) -> None:
        there = await self._registry.collection()
        if there is None:
            await self._registry.schedule_collection(NIGHTLY)
            self._told.done.append(f"garbage collection: scheduled ({NIGHTLY.cron}), images without a tag stay")
        elif there.removes_untagged:
            self._told.open.append(
                "garbage collection removes images without a tag: releases are deployed by digest, and one whose tag "
                "moved on would be lost. Switch that off in the registry"
            )
        else:
            self._told.done.append(f"garbage collection: is scheduled ({there.cron}), images without a tag stay")
