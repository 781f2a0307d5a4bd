"""Composition root of the supervisor: prepare the folder, find the engine, start the children, announce, wait, stop."""

import asyncio
import json
import logging
import os
import shutil
import signal
import sys
from typing import Final

from daemons.kit import gateway, gateway_following
from daemons.kit.gateway_following import Following
from daemons.kit.settings import Misconfigured
from daemons.supervisor.adapters import engine as engines
from daemons.supervisor.adapters import folder, packet_filter
from daemons.supervisor.adapters.demo_api import HttpDemoApi
from daemons.supervisor.adapters.demo_repository import WorkingCopy
from daemons.supervisor.adapters.engine import MachineLacks
from daemons.supervisor.adapters.output import Output, OutputHandler
from daemons.supervisor.adapters.probe import GatewayPage, NetworkProbe
from daemons.supervisor.adapters.processes import OsProcesses
from daemons.supervisor.adapters.ticker import MonotonicTicker
from daemons.supervisor.domain.backoff import EX_CONFIG
from daemons.supervisor.domain.network import HOST, InvalidPortBase, Ports, taken_message
from daemons.supervisor.services.children import Plan, public_gateway
from daemons.supervisor.services.demo import Demo, DemoFailed
from daemons.supervisor.services.hosts import Hosts
from daemons.supervisor.services.platform import NotReady, Platform
from daemons.supervisor.settings import Layout, SupervisorSettings

logger = logging.getLogger(__name__)

EX_MACHINE_LACKS: Final = 3
_PORT_TRIES: Final = 10


def run(settings: SupervisorSettings) -> int:
    """Run the platform until a signal. The exit code: 0 after one, 78 to mend a setting, 3 to install something."""
    # Databases, repositories, states and logs are for nobody else, also in a data folder that others may enter.
    os.umask(0o077)
    layout = Layout(settings.data_dir.resolve())
    try:
        with folder.locked(layout):
            layout.logs.mkdir(exist_ok=True)
            output = Output(layout.logs, sys.stderr.buffer)
            logging.getLogger().handlers[:] = [OutputHandler(output)]
            try:
                return asyncio.run(_supervise(settings, layout, output))
            finally:
                output.close()
    except Misconfigured as error:
        sys.stderr.write(f"{error}\n")
        return EX_CONFIG


async def _supervise(settings: SupervisorSettings, layout: Layout, output: Output) -> int:
    _cancel_on_signal()
    try:
        plan = await _prepare(settings, layout)
        return await _keep_running(settings, plan, output)
    except asyncio.CancelledError:
        logger.info("stopped")
        return 0
    except (Misconfigured, InvalidPortBase) as error:
        logger.error(str(error))  # noqa: TRY400 - the message says it all
        return EX_MACHINE_LACKS if isinstance(error, MachineLacks) else EX_CONFIG


def _cancel_on_signal() -> None:
    """The first SIGTERM, SIGINT or SIGHUP cancels the running task; later ones change nothing."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def once() -> None:
        for number in signals:
            loop.add_signal_handler(number, lambda: None)
        if task is not None:
            task.cancel()

    for number in signals:
        loop.add_signal_handler(number, once)


async def _keep_running(settings: SupervisorSettings, plan: Plan, output: Output) -> int:
    """Until cancelled, or 1 or 78 when the platform does not come up."""
    code, hosts = 0, None
    async with asyncio.TaskGroup() as group:
        processes = OsProcesses(plan.layout.root, output, group)
        platform = Platform(plan.children(), processes, NetworkProbe(), MonotonicTicker())
        try:
            await platform.start(group, ready_seconds=settings.ready_seconds)
            hosts = group.create_task(Hosts(_following(plan).once, MonotonicTicker()).run(), name="hosts of apps")
            await _announce(settings, plan)
            await asyncio.Event().wait()
        except NotReady as error:
            logger.error(str(error))  # noqa: TRY400 - the message says it all
            code = error.exit_code
        finally:
            if hosts is not None:
                hosts.cancel()
            logger.info("stopping; apps that run keep running, and the next start picks everything up")
            await platform.stop()
    return code


def _following(plan: Plan) -> Following:
    """The gateway's configuration stays; the list beside it is what changes."""
    entrance = public_gateway(plan.layout, plan.ports)
    config = plan.layout.gateway_config
    return Following(
        (HOST, plan.ports.api),
        entrance.domains_path,
        config,
        lambda: None,
        lambda: gateway_following.run((plan.haproxy, "-c", "-f", str(config))),
        lambda: gateway_following.reload_haproxy(entrance.master_path),
        plan.credentials["FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN"],
    )


async def _prepare(settings: SupervisorSettings, layout: Layout) -> Plan:
    ports = Ports() if settings.port_base is None else Ports.starting_at(settings.port_base)
    await _require_free(ports)
    secrets = await asyncio.to_thread(folder.prepare, layout, ports)
    haproxy = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if haproxy is None:
        raise MachineLacks("haproxy is not installed; install the package haproxy")
    engine = await _engine(settings, layout)
    how = await engines.ensure_base_image(engine)
    logger.info("the base image %s is %s", engines.BASE_IMAGE, how)
    entrance = public_gateway(layout, ports)
    await asyncio.to_thread(gateway.install, entrance, layout.gateway_config)
    filters_packets = await asyncio.to_thread(packet_filter.may_filter)
    if not filters_packets:
        logger.warning("apps can reach this machine: to fence them off, install iptables and start as root")
    return Plan(
        layout=layout,
        ports=ports,
        credentials=secrets,
        environment=dict(os.environ),
        engine_url=engine.url,
        python=sys.executable,
        haproxy=haproxy,
        filters_packets=filters_packets,
        base_image=engines.BASE_IMAGE,
        database_url=settings.database.get_secret_value() if settings.database else None,
    )


async def _require_free(ports: Ports) -> None:
    """Ports may stay taken for a moment after a supervisor was killed. Raises Misconfigured that names them."""
    taken: list[str] = []
    for _ in range(_PORT_TRIES):
        taken = folder.taken(ports)
        if not taken:
            return
        await asyncio.sleep(0.2)
    raise Misconfigured(taken_message(taken, ports))


async def _engine(settings: SupervisorSettings, layout: Layout) -> engines.Engine:
    """DOCKER_HOST's engine; else the one this folder already lives on; else the machine's; else one of our own."""
    named = settings.docker_host
    found = await engines.find(named) if named else None
    if named and found is None:
        logger.warning("the engine at DOCKER_HOST (%s) does not answer; using one in %s", named, layout.engine)
    if found is None and not named and not (layout.engine / "data").exists():
        found = await engines.find(None)
    if found is None:
        logger.info("starting a Docker engine in %s (it keeps running, with the apps in it)", layout.engine)
        found = await engines.own(layout.engine)
    logger.info("the Docker engine at %s answers", found.url)
    return found


async def _announce(settings: SupervisorSettings, plan: Plan) -> None:
    """Tell console and commands where everything is, bring up the demo, and say ready on standard output."""
    ports, layout = plan.ports, plan.layout
    urls = {role: ports.url(role) for role in ("deploy", "api", "gateway", "agent", "git", "workspace")}
    document = {**urls, "dataDir": str(layout.root), "engine": plan.engine_url, "pid": os.getpid()}
    await asyncio.to_thread(folder.publish, layout, document)
    app_id = await _demo(plan) if settings.demo else None
    ready = {"ready": True, **urls, "credentials": str(layout.credentials), "demoApp": app_id}
    logger.info("ready: %s/%s", ports.url("gateway"), f"runtime/{app_id}/" if app_id else "")
    try:
        sys.stdout.write(json.dumps(ready) + "\n")
        sys.stdout.flush()
    except OSError:
        logger.warning("nobody reads standard output; the ready line was lost")


async def _demo(plan: Plan) -> str | None:
    layout = plan.layout
    async with HttpDemoApi(plan.ports.url("api"), plan.credentials["API_USER_TOKEN"]) as api:
        demo = Demo(
            api=api,
            repository=WorkingCopy(
                layout.root / "demo",
                key=layout.demo_key,
                known_hosts=layout.known_hosts,
            ),
            page=GatewayPage(plan.ports.url("gateway")),
            ticker=MonotonicTicker(),
            public_key=layout.demo_key.with_name(f"{layout.demo_key.name}.pub").read_text,
        )
        try:
            return await demo.bring_up()
        except DemoFailed as error:
            logger.error("the platform is up, but the demo app is not: %s", error)  # noqa: TRY400
            return None
