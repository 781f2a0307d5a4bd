"""A Docker Swarm: every instance of an app is a service, placed by the swarm on any of its machines.

Routing stays ours: each task publishes its port on the machine it runs on, never through the swarm's own balancer,
which goes on sending to tasks that are being stopped. A service has no restart policy; the agent starts again what
ended.
"""

import asyncio
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal

from aiodocker import Docker
from aiodocker.exceptions import DockerError
from aiodocker.utils import compose_auth_header

from daemons.agent.adapters.docker import Credentials, DockerEngine
from daemons.agent.adapters.networks import AppNetworks
from daemons.agent.domain.apps import named_by_us
from daemons.agent.domain.containers import APP_ID, MANAGED, NODE, USER_ID, ContainerSpec
from daemons.agent.domain.probing import ContainerState, Listener
from daemons.agent.domain.services import service_spec, settled, task_state
from daemons.agent.ports import OwnContainer
from daemons.kit.engine.calls import absent, checked, checked_reference, words
from daemons.kit.engine.errors import EngineError, PortTaken

_QUICK_SECONDS: Final = 30.0
_SLOW_SECONDS: Final = 120.0
_PAUSE_SECONDS: Final = 0.05
_TRIES: Final = 10
_NOWHERE: Final = "no suitable node"
_PORT_TAKEN: Final = ("port is already allocated", "address already in use", "host-mode port already in use")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one task of a service answers."""

    address: str
    port: int


class SwarmEngine(DockerEngine):
    """Services of one swarm; images are this machine's, and reach others from the registry by digest."""

    def __init__(
        self,
        docker: Docker,
        node: str,
        networks: AppNetworks,
        credentials: Credentials | None = None,
        constraints: Collection[str] = (),
        replicas: int = 1,
        machines: Literal["own", "all"] = "all",
    ) -> None:
        """`own` keeps tasks on this machine, for a gateway that reaches no other."""
        super().__init__(docker, node, networks, credentials)
        self._constraints = tuple(constraints)
        self._replicas = replicas
        self._machines = machines

    async def create(self, spec: ContainerSpec) -> None:
        """A service without tasks yet. Raises EngineError."""
        async with words(f"create container {spec.name}", _SLOW_SECONDS):
            document = await self._docker.images.inspect(checked_reference(spec.image_id))
            labels = (document.get("Config") or {}).get("Labels") or {}
            image, here = await self._image(spec, document)
            network = spec.network or self._networks.name(spec)
            pinned = [f"node.id=={await self._machine()}"] if here or self._machines == "own" else []
            constraints = [*self._constraints, *pinned]
            config = service_spec(spec, image, network, labels, constraints, self._replicas)
            async with self._networks.turn(network):
                if not spec.network:
                    await self._networks.ensure(spec)
                await self._docker._query_json(
                    "services/create", method="POST", data=json.dumps(config), headers=self._login(image)
                )

    async def start(self, name: str) -> None:
        """Done once the swarm has started or failed every replica. Raises EngineError, PortTaken."""
        async with words(f"start container {name}", _SLOW_SECONDS):
            await self._networks.held()
            before = {task["ID"] for task in await self._tasks(name)}
            if any(task["Status"]["State"] == "running" for task in await self._tasks(name)):
                return
            await self._update(name, replicas=self._replicas)
            while not settled(tasks := [one for one in await self._tasks(name) if one["ID"] not in before]):
                self._refuse(name, tasks)
                await asyncio.sleep(_PAUSE_SECONDS)
            self._refuse(name, tasks)

    def _refuse(self, name: str, tasks: Sequence[Mapping[str, Any]]) -> None:
        for task in tasks:
            problem = str(task["Status"].get("Err") or "")
            if any(sign in problem for sign in _PORT_TAKEN):
                raise PortTaken(f"the engine could not start container {name}: {problem}")
            if task["Status"]["State"] == "rejected" or _NOWHERE in problem:
                raise EngineError(f"the engine could not start container {name}: {problem}")

    async def state(self, name: str) -> ContainerState | None:
        """Raises EngineError."""
        async with words(f"look at container {name}", _QUICK_SECONDS):
            if await self._service(name) is None:
                return None
            tasks = await self._tasks(name)
            local = await self._local(tasks[0]) if tasks else None
        return task_state(tasks, bool(local and local["State"].get("OOMKilled")))

    async def endpoints(self, name: str) -> Sequence[Endpoint]:
        """Where the service's running tasks answer. Raises EngineError."""
        async with words(f"look at container {name}", _QUICK_SECONDS):
            found = []
            for task in await self._tasks(name):
                ports = (task["Status"].get("PortStatus") or {}).get("Ports") or ()
                if task["Status"]["State"] == "running" and ports:
                    machine = await self._docker._query_json(f"nodes/{task['NodeID']}")
                    found.append(Endpoint(str(machine["Status"]["Addr"]), int(ports[0]["PublishedPort"])))
        return found

    async def leave_down(self, name: str) -> None:
        """Services of ours have no restart policy. Raises EngineError."""
        async with words(f"update container {name}", _QUICK_SECONDS):
            if await self._service(name) is None:
                raise EngineError(f"the engine could not update container {name}: there is none of that name")

    async def stop(self, name: str, grace_seconds: int) -> None:
        """Tasks of this machine are stopped where they run, so that their end can be read; others by the swarm."""
        async with words(f"stop container {name}", grace_seconds + _SLOW_SECONDS):
            if await self._service(name) is None:
                return
            for task in await self._tasks(name):
                if task["Status"]["State"] == "running" and (local := await self._local(task)) is not None:
                    await absent(self._docker.containers.container(local["Id"]).stop(t=grace_seconds))
            while any(task["Status"]["State"] == "running" for task in await self._tasks(name)):
                if not await self._ends_here(name):
                    await self._update(name, replicas=0)
                await asyncio.sleep(_PAUSE_SECONDS)

    async def _ends_here(self, name: str) -> bool:
        running = [task for task in await self._tasks(name) if task["Status"]["State"] == "running"]
        return all([await self._local(task) is not None for task in running])

    async def remove(self, name: str) -> None:
        """Done once the service and its containers on this machine are gone. Raises EngineError."""
        async with words(f"remove container {name}", _SLOW_SECONDS):
            service = await self._service(name)
            if service is None:
                return
            for task in await self._tasks(name):
                if (local := await self._local(task)) is not None and local["State"].get("Running"):
                    await _ended(self._docker.containers.container(local["Id"]).kill())
            await absent(self._docker.services.delete(checked(name)))
            filters = {"label": [f"com.docker.swarm.service.id={service['ID']}"]}
            while await self._docker.containers.list(all=True, filters=filters):  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(_PAUSE_SECONDS)
            for network in service["Spec"]["TaskTemplate"].get("Networks") or ():
                await self._leave(str(network["Target"]))

    async def _leave(self, network: str) -> None:
        document = await absent(self._docker._query_json(f"networks/{network}"))
        if document is not None:
            name = str(document["Name"])
            async with self._networks.turn(name):
                await self._networks.leave(name)

    async def logs(self, name: str, tail: int) -> str:
        """Of the newest task; read from its machine by the swarm when that is another one. Raises EngineError."""
        async with words(f"read the output of container {name}", _QUICK_SECONDS):
            tasks = await self._tasks(name)
            if not tasks:
                return ""
            if (local := await self._local(tasks[0])) is not None:
                return await super().logs(str(local["Id"]), tail)
            lines = await self._docker.services.logs(checked(name), stdout=True, stderr=True, tail=str(tail))  # type: ignore[misc]
            return "".join(lines)

    async def locate(self, name: str) -> str:
        """The container of the newest task, when it is on this machine. Raises EngineError."""
        async with words(f"look at container {name}", _QUICK_SECONDS):
            tasks = await self._tasks(name)
            local = await self._local(tasks[0]) if tasks else None
        return str(local["Id"]) if local is not None else name

    async def listeners(self, name: str) -> Sequence[Listener]:
        """Of the newest task, when it runs on this machine."""
        async with words(f"look at container {name}", _QUICK_SECONDS):
            tasks = await self._tasks(name)
            local = await self._local(tasks[0]) if tasks else None
        return await super().listeners(str(local["Id"])) if local is not None else ()

    async def own(self) -> Sequence[OwnContainer]:
        """Raises EngineError."""
        async with words("list its containers", _QUICK_SECONDS):
            filters = {"label": [f"{MANAGED}=1", f"{NODE}={self._node}"]}
            services = await self._docker.services.list(filters=filters)
            tasks = await self._docker.tasks.list(
                filters={"service": [one["ID"] for one in services]} if services else {}
            )
        running = {task["ServiceID"] for task in tasks if task["Status"]["State"] == "running"}
        found = []
        for service in services:
            name, labels = str(service["Spec"]["Name"]), service["Spec"].get("Labels") or {}
            user_id, app_id = str(labels.get(USER_ID, "")), str(labels.get(APP_ID, ""))
            if named_by_us(name, user_id, app_id):
                found.append(OwnContainer(name, user_id, app_id, service["ID"] in running))
        return found

    async def drain(self, machine: str) -> None:
        """Move every service of ours off a machine of the swarm, then close it. Raises EngineError.

        The swarm's own drain stops tasks before it starts others; so the machine takes no new tasks first, and each
        service is started elsewhere before its task here is stopped.
        """
        async with words(f"drain machine {machine}", _SLOW_SECONDS):
            machines = await self._docker.nodes.list()
            others = [one for one in machines if one["ID"] != machine and one["Spec"]["Availability"] == "active"]
            if not others:
                raise EngineError(f"machine {machine} cannot be drained: no other machine of the swarm takes tasks")
            await self._available(machine, "pause")
            for one in await self.own():
                tasks = await self._tasks(one.name)
                if any(task.get("NodeID") == machine and task["Status"]["State"] == "running" for task in tasks):
                    await self._update(one.name, replicas=self._replicas)
                    await self._moved(one.name, machine)
            await self._available(machine, "drain")

    async def _moved(self, name: str, machine: str) -> None:
        while any(task.get("NodeID") == machine for task in await self._running(name)):  # noqa: ASYNC110 - no event
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _running(self, name: str) -> Sequence[Mapping[str, Any]]:
        return [task for task in await self._tasks(name) if task["Status"]["State"] == "running"]

    async def _available(self, machine: str, availability: str) -> None:
        document = await self._docker._query_json(f"nodes/{checked(machine)}")
        spec = {**document["Spec"], "Availability": availability}
        params = {"version": document["Version"]["Index"]}
        async with self._docker._query(f"nodes/{machine}/update", method="POST", params=params, data=json.dumps(spec)):
            return

    async def _service(self, name: str) -> Mapping[str, Any] | None:
        found: Mapping[str, Any] | None = await absent(self._docker.services.inspect(checked(name)))
        return found

    async def _tasks(self, name: str) -> Sequence[Mapping[str, Any]]:
        """Newest first; none when there is no such service."""
        try:
            found = await self._docker.tasks.list(filters={"service": [checked(name)]})
        except DockerError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return ()
            raise
        return sorted(found, key=lambda task: str(task["CreatedAt"]), reverse=True)

    async def _local(self, task: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The task's container, if it is on this machine."""
        container = (task["Status"].get("ContainerStatus") or {}).get("ContainerID")
        if not container:
            return None
        found: Mapping[str, Any] | None = await absent(self._docker.containers.container(container).show())
        return found

    async def _update(self, name: str, replicas: int) -> None:
        """Start anew (the counter makes the swarm see a change) with so many replicas."""
        for attempt in range(1, _TRIES + 1):
            service = await self._docker.services.inspect(checked(name))
            spec = dict(service["Spec"])
            template = dict(spec["TaskTemplate"])
            template["ForceUpdate"] = int(template.get("ForceUpdate") or 0) + 1
            spec |= {"TaskTemplate": template, "Mode": {"Replicated": {"Replicas": replicas}}}
            params = {"version": str(service["Version"]["Index"]), "registryAuthFrom": "spec"}
            try:
                await self._docker._query_json(f"services/{name}/update", "POST", params=params, data=json.dumps(spec))
                return
            except DockerError as error:
                # The swarm itself writes to the service as well.
                if attempt == _TRIES or "out of sequence" not in error.message:
                    raise

    async def _machine(self) -> str:
        return str((await self._docker.system.info())["Swarm"]["NodeID"])

    async def _image(self, spec: ContainerSpec, document: Mapping[str, Any]) -> tuple[str, bool]:
        """How the service names the image, and whether only this machine has it."""
        repository = spec.image.partition("@")[0]
        head, _, tail = repository.rpartition("/")
        repository = f"{head}/{tail.partition(':')[0]}" if head else tail.partition(":")[0]
        for digest in document.get("RepoDigests") or ():
            if str(digest).startswith(f"{repository}@"):
                return str(digest), False
        return spec.image_id, True

    def _login(self, image: str) -> Mapping[str, str]:
        known = self._auth(image)
        return {} if known is None else {"X-Registry-Auth": compose_auth_header(dict(known))}


async def _ended(call: Any) -> None:
    """A kill of what has ended meanwhile is no failure."""
    try:
        await call
    except DockerError as error:
        if error.status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT):
            raise
