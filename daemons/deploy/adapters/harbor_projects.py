"""Harbor's projects, robot accounts and garbage collection, as one of its administrators."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

import orjson

from daemons.deploy.adapters.harbor import API, PAGE, pages
from daemons.deploy.adapters.registry_session import RegistrySession
from daemons.deploy.domain.robots import Access, Credentials, GarbageSchedule, RegistryProject, Robot, WantedRobot
from daemons.deploy.ports import RegistryFailed

_BY_NAME: Final = {"X-Is-Resource-Name": "true"}
_NEVER: Final = -1
_DESCRIPTION: Final = "made by python -m daemons.deploy registry prepare"


class HarborProjects:
    """The port `RegistryProjects`."""

    def __init__(self, base_url: str, login: tuple[str, str], timeout_seconds: float) -> None:
        self._session = RegistrySession(base_url, login, timeout_seconds, "the administrator's name and password")

    async def make_project(self, name: str) -> bool:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            body = {"project_name": name, "metadata": {"public": "false"}}
            response = await client.post(f"{API}/projects", json=body)
            if response.status_code == HTTPStatus.CONFLICT:
                return False
            self._session.require(response, "make a project")
            return True

    async def project(self, name: str) -> RegistryProject:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            response = await client.get(f"{API}/projects/{name}", headers=_BY_NAME)
            document = self._session.document(response, "show a project")
        number, metadata = document.get("project_id"), document.get("metadata") or {}
        if not isinstance(number, int) or not isinstance(metadata, dict):
            raise RegistryFailed("the registry did not show a project with its number and metadata")
        return RegistryProject(number, metadata.get("public") == "true", bool(metadata.get("retention_id")))

    async def robots(self, project: RegistryProject) -> Sequence[Robot]:
        """Raises RegistryFailed."""
        params = {"q": f"Level=project,ProjectID={project.project_id}", "page": "1", "page_size": str(PAGE)}
        async with self._session.opened() as client:
            found = await pages(self._session, client, f"{API}/robots", params, "list robot accounts")
        return [_robot(entry) for entry in found]

    async def make_robot(self, project: str, wanted: WantedRobot) -> Credentials | None:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            response = await client.post(f"{API}/robots", json=_document(project, wanted.name, wanted))
            if response.status_code == HTTPStatus.CONFLICT:
                return None
            document = self._session.document(response, "make a robot account")
        return _credentials(document.get("name"), document.get("secret"))

    async def mend_robot(self, project: str, robot: Robot, wanted: WantedRobot) -> None:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            document = {**_document(project, robot.login, wanted), "id": robot.robot_id, "disable": False}
            response = await client.put(f"{API}/robots/{robot.robot_id}", json=document)
            self._session.require(response, "change a robot account")

    async def renew_secret(self, robot: Robot) -> Credentials:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            # Without a secret of ours Harbor makes one.
            response = await client.patch(f"{API}/robots/{robot.robot_id}", json={"secret": ""})
            document = self._session.document(response, "renew the secret of a robot account")
        return _credentials(robot.login, document.get("secret"))

    async def collection(self) -> GarbageSchedule | None:
        """Raises RegistryFailed."""
        async with self._session.opened() as client:
            response = await client.get(f"{API}/system/gc/schedule")
            self._session.require(response, "show its garbage collection")
            # Harbor answers with nothing at all where there is no schedule.
            if not response.content.strip() or response.content.strip() == b"null":
                return None
            document = self._session.document(response, "show its garbage collection")
        schedule = document.get("schedule")
        if not isinstance(schedule, dict) or schedule.get("type") in (None, "", "None"):
            return None
        return GarbageSchedule(str(schedule.get("cron") or schedule["type"]), _removes_untagged(document))

    async def schedule_collection(self, collection: GarbageSchedule) -> None:
        """Raises RegistryFailed."""
        body = {
            "schedule": {"type": "Custom", "cron": collection.cron},
            "parameters": {"delete_untagged": collection.removes_untagged},
        }
        async with self._session.opened() as client:
            response = await client.post(f"{API}/system/gc/schedule", json=body)
            self._session.require(response, "schedule its garbage collection")


def _document(project: str, name: str, wanted: WantedRobot) -> dict[str, object]:
    access = [{"resource": each.resource, "action": each.action} for each in sorted(wanted.access)]
    return {
        "name": name,
        "description": _DESCRIPTION,
        "level": "project",
        "duration": _NEVER,
        "permissions": [{"kind": "project", "namespace": project, "access": access}],
    }


def _robot(entry: Mapping[str, object]) -> Robot:
    number, login, expires = entry.get("id"), entry.get("name"), entry.get("expires_at")
    if not isinstance(number, int) or not isinstance(login, str):
        raise RegistryFailed("the registry did not list robot accounts: one has no number or no name")
    known = expires if isinstance(expires, int) else 0
    return Robot(number, login, _access(entry.get("permissions")), bool(entry.get("disable")), known)


def _access(permissions: object) -> frozenset[Access] | None:
    """None for more than one project, which no account of ours has."""
    if not isinstance(permissions, list) or len(permissions) != 1 or not isinstance(permissions[0], dict):
        return None
    entries = permissions[0].get("access") or []
    return frozenset(
        Access(str(entry.get("resource")), str(entry.get("action"))) for entry in entries if isinstance(entry, dict)
    )


def _credentials(login: object, secret: object) -> Credentials:
    if not isinstance(login, str) or not isinstance(secret, str) or not secret or "\n" in f"{login}{secret}":
        raise RegistryFailed(
            "the registry made a robot account and did not tell its secret; give it a new one with --renew"
        )
    return Credentials(login, secret)


def _removes_untagged(document: Mapping[str, object]) -> bool:
    """What cannot be read may be anything, so it counts as the worse."""
    text = document.get("job_parameters")
    if text in (None, ""):
        return False
    try:
        parameters = orjson.loads(str(text))
    except orjson.JSONDecodeError:
        return True
    return not isinstance(parameters, dict) or bool(parameters.get("delete_untagged"))
