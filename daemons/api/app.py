"""Composition root of the API entry: what it is made of, and which exception is which answer."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from daemons.api import ports
from daemons.api.adapters.access_file import DiskGitAccess
from daemons.api.adapters.app_databases import HttpAppDatabases
from daemons.api.adapters.deploy_operations import HttpDeployOperations, NoDeployOperations
from daemons.api.adapters.deploy_plane import HttpDeployPlane
from daemons.api.adapters.dns_proofs import DnsProofs
from daemons.api.adapters.git_loans import FolderLoans
from daemons.api.adapters.git_orders import FolderHost
from daemons.api.adapters.gitea import Bot, GiteaHost, GiteaPolicy
from daemons.api.adapters.gitea_calls import gitea_transport
from daemons.api.adapters.gitea_keys import GiteaKeys
from daemons.api.adapters.node_moves import HttpMovingNodes
from daemons.api.adapters.sql.results import SqlResults
from daemons.api.adapters.sql.stores import COMPONENT, MIGRATIONS, QUERIES, SqlApps, SqlKeys, SqlUsers
from daemons.api.adapters.templates import template_files
from daemons.api.adapters.workspace_calls import HttpNodeCalls
from daemons.api.composition.accounts import ACCOUNT_PROBLEMS, AccountParts, AccountsOfApi, account_parts
from daemons.api.composition.addresses import ADDRESS_PROBLEMS, AddressHolders, add_addresses
from daemons.api.composition.deletions import PartHolders, add_deletions
from daemons.api.composition.details import add_details
from daemons.api.composition.repositories import REPOSITORY_PROBLEMS, Around, RepositoriesOfApi, RepositoryParts
from daemons.api.composition.workspaces import (
    WORKSPACE_PROBLEMS,
    Known,
    NodeTokens,
    WorkspaceParts,
    add_workspaces,
    workspace_gates,
)
from daemons.api.domain.access import NotFound, WrongUser
from daemons.api.domain.apps import AppLimit, NameTaken
from daemons.api.domain.deployments import Hosting, InvalidDeployment
from daemons.api.domain.keys import InvalidPublicKey
from daemons.api.domain.workspaces import PlacementPolicy
from daemons.api.http.app_operators import AppOperatorRoutes
from daemons.api.http.apps import AppRoutes
from daemons.api.http.callers import admin_gate, user_gates
from daemons.api.http.cors import Origins
from daemons.api.http.databases import DatabaseRoutes
from daemons.api.http.deploy_nodes import DeployNodeRoutes
from daemons.api.http.deployments import DeploymentRoutes
from daemons.api.http.doors import Gates, check_routes
from daemons.api.http.keys import KeyRoutes
from daemons.api.http.logs import LogRoutes, TooManyLogs
from daemons.api.http.pages import PageRoutes
from daemons.api.http.results import ResultRoutes
from daemons.api.http.users import UserRoutes
from daemons.api.ports.databases import AppDatabases
from daemons.api.ports.deploy_operations import DeployOperations
from daemons.api.ports.domains import DomainProofs
from daemons.api.services.apps import Apps
from daemons.api.services.databases import Databases
from daemons.api.services.deletions import ANSWER_MS
from daemons.api.services.deployments import Deployments
from daemons.api.services.keys import KeyRing
from daemons.api.services.logs import Logs
from daemons.api.services.moving import Pace
from daemons.api.services.ownership import Ownership
from daemons.api.services.places import Places
from daemons.api.services.results import Results
from daemons.api.settings import DEMO_USER, ApiSettings
from daemons.kit.auth import AUTH_PROBLEMS, Access, Gate, Network
from daemons.kit.clock import Clock, SystemClock
from daemons.kit.daemon import MAX_BODY_BYTES
from daemons.kit.endless import break_off_at_shutdown
from daemons.kit.health import HealthRoutes
from daemons.kit.metrics import Metrics
from daemons.kit.mongo.problems import MONGO_PROBLEMS
from daemons.kit.openapi import ContractRoutes
from daemons.kit.problems import Problems, problem_middleware
from daemons.kit.seats import NoSeat
from daemons.kit.settings import Misconfigured, revealed
from daemons.kit.sql import Database, DatabaseUnavailable, migrate, open_database
from daemons.kit.tasks import background, every
from protocol import headers
from protocol.api import GitAccess, GitGrant
from protocol.client.deploy import JobsClient
from protocol.client.transport import Transport
from protocol.errors import ErrorReason
from protocol.jobs import JobPayload
from protocol.webhooks import SignatureRefused

_REPUBLISH_SECONDS: Final = 30.0
_PLANE_SECONDS: Final = 8.0
_FORGET_SECONDS: Final = 600.0

PROBLEMS: Final[Problems] = {
    **AUTH_PROBLEMS,
    **WORKSPACE_PROBLEMS,
    **ACCOUNT_PROBLEMS,
    **REPOSITORY_PROBLEMS,
    **ADDRESS_PROBLEMS,
    **MONGO_PROBLEMS,
    SignatureRefused: (401, ErrorReason.UNAUTHORIZED),
    WrongUser: (403, ErrorReason.FORBIDDEN),
    NotFound: (404, ErrorReason.NOT_FOUND),
    AppLimit: (409, ErrorReason.APP_LIMIT),
    NameTaken: (409, ErrorReason.ALREADY_EXISTS),
    InvalidDeployment: (400, ErrorReason.INVALID_REQUEST),
    InvalidPublicKey: (400, ErrorReason.INVALID_REQUEST),
    ports.KeyTaken: (409, ErrorReason.ALREADY_EXISTS),
    ports.KeyLimit: (409, ErrorReason.ALREADY_EXISTS),
    ports.AccessUnwritten: (503, ErrorReason.UNAVAILABLE),
    ports.PlaneUnreachable: (503, ErrorReason.UNAVAILABLE),
    ports.PlaneInvalid: (400, ErrorReason.INVALID_REQUEST),
    ports.PlaneNotFound: (404, ErrorReason.NOT_FOUND),
    ports.AppBusy: (409, ErrorReason.APP_BUSY),
    ports.KeyUsed: (409, ErrorReason.IDEMPOTENCY_MISMATCH),
    ports.TooLate: (409, ErrorReason.TOO_LATE),
    ports.JobEnded: (409, ErrorReason.ILLEGAL_TRANSITION),
    ports.ImageGone: (409, ErrorReason.IMAGE_GONE),
    ports.TooManyReaders: (429, ErrorReason.RATE_LIMITED),
    TooManyLogs: (429, ErrorReason.RATE_LIMITED),
    NoSeat: (429, ErrorReason.RATE_LIMITED),
    ports.NodeRefused: (409, ErrorReason.NO_NODE),
    ports.AgentFailed: (502, ErrorReason.PEER_FAILED),
    ports.PlaneRefused: (409, ErrorReason.DEPLOY_FAILED),
    DatabaseUnavailable: (503, ErrorReason.UNAVAILABLE),
}

#: Whoever calls may be anybody: where databases are, and as whom, is for the log.
_VEILED: Final[Mapping[type[Exception], str]] = {
    DatabaseUnavailable: "the database does not answer now, try again in a moment; operators: the log of this API says "
    "why"
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What an application is made of; tests exchange the control plane and the clock."""

    database: Database
    plane: ports.DeployPlane
    databases: AppDatabases
    access: ports.GitAccess
    hosting: Hosting
    workspaces: WorkspaceParts
    user_tokens: Mapping[int, Sequence[str]] = field(repr=False)
    admin_tokens: Sequence[str] = field(repr=False)
    operations: DeployOperations = field(default_factory=NoDeployOperations)
    webhook_secrets: Sequence[str] = field(default=(), repr=False)
    repositories: RepositoryParts = field(default_factory=RepositoryParts)
    admin_networks: Sequence[Network] = ()
    trusted_proxies: Sequence[Network] = ()
    proofs: DomainProofs = field(default_factory=DnsProofs)
    accounts: AccountParts = field(default_factory=AccountParts)
    deletion_wait_ms: int = ANSWER_MS
    clock: Clock = field(default_factory=SystemClock)


async def build_app(parts: Parts) -> web.Application:
    """The application over its parts. The access file is written before the first request is served."""
    apps, users = SqlApps(parts.database), SqlUsers(parts.database)
    await _users_of_settings(users, parts.user_tokens)
    keys = KeyRing(SqlKeys(parts.database), apps, parts.access, parts.hosting)
    ownership = Ownership(apps, parts.plane)
    places, told = Places(apps, parts.plane), SqlResults(parts.database)
    deployments = Deployments(apps, parts.plane, ownership, places, parts.hosting)
    who = AccountsOfApi(parts.database, parts.accounts, parts.clock)
    repositories = RepositoriesOfApi(parts.database, parts.repositories, parts.hosting)
    owned = Apps(apps, parts.plane, ownership, keys, told, repositories.service)
    app_routes = AppRoutes(owned, parts.hosting)
    await keys.publish()

    metrics, admin = Metrics(), admin_gate(parts.admin_tokens, parts.admin_networks)
    app = _behind_doors(parts, who, metrics, admin)
    health = _health(parts)
    results, logs = Results(told, apps, places), LogRoutes(Logs(parts.plane, ownership))
    told_of = ResultRoutes(results, parts.webhook_secrets, parts.clock)
    databases = DatabaseRoutes(Databases(parts.databases, ownership))
    of_apps = (app_routes, DeploymentRoutes(deployments), logs, databases)
    for routes in (UserRoutes(users), *of_apps, KeyRoutes(keys), who, told_of):
        app.add_routes(routes.table())
    app.on_shutdown.append(logs.close)
    break_off_at_shutdown(app)
    for of_operators in (AppOperatorRoutes(deployments, ownership), DeployNodeRoutes(parts.operations), PageRoutes()):
        app.add_routes(of_operators.table())
    open_to_all = (*health.table(), *metrics.table(), *ContractRoutes("daemons.api").table())
    app.add_routes([*app_routes.admin_table(), *open_to_all])
    add_workspaces(app, Known(parts.database, users, apps, ownership, owned, app_routes, admin), parts.workspaces)
    calls, wait_ms = parts.workspaces.calls, parts.deletion_wait_ms
    holders = PartHolders(keys, parts.plane, calls, parts.hosting, repositories.host, wait_ms)
    add_deletions(app, parts.database, holders)
    add_details(app, parts.database, owned, app_routes)
    repositories.add_to(app, Around(apps, ownership, deployments))
    # The last of all: a slug takes what no other route does.
    add_addresses(app, AddressHolders(parts.database, apps, owned, ownership, parts.proofs), parts.clock)
    check_routes(app.router)
    app.cleanup_ctx.append(_upkeep(keys, results, who))
    return app


async def _users_of_settings(users: SqlUsers, ids: Iterable[int]) -> None:
    """Those who have tokens by the settings have rows like everybody else."""
    for user_id in ids:
        await users.ensure(user_id, "demo" if user_id == DEMO_USER else f"user{user_id}")


def _upkeep(keys: KeyRing, results: Results, who: AccountsOfApi) -> Callable[[web.Application], AsyncIterator[None]]:
    """What goes on beside the calls."""

    async def republish() -> None:
        """Also mends an access file that was deleted, or that could not be written at its time."""
        await every(_REPUBLISH_SECONDS, keys.publish, expected=(ports.AccessUnwritten, DatabaseUnavailable))

    async def forget() -> None:
        await every(_FORGET_SECONDS, results.tidy, expected=(DatabaseUnavailable,))

    return background(republish, forget, *who.loops())


def _health(parts: Parts) -> HealthRoutes:
    checks = {"database": parts.database.check, "deploy": parts.plane.check}
    return HealthRoutes("fun-ai-studio-api", parts.clock, checks)


def _behind_doors(parts: Parts, who: AccountsOfApi, metrics: Metrics, admin: Gate) -> web.Application:
    """An application without routes, that lets nobody in but by a rule."""
    nodes, gateways = workspace_gates(parts.workspaces)
    gates = Gates(user_gates(parts.user_tokens), admin, nodes, gateways)
    doors, origins = who.doors(Access(trusted_proxies=parts.trusted_proxies), gates), Origins(parts.accounts.origins)
    problems = problem_middleware(PROBLEMS, veiled=_VEILED)
    middlewares = [metrics.middleware(), problems, origins.middleware(), doors.middleware()]
    app = web.Application(middlewares=middlewares, client_max_size=MAX_BODY_BYTES)
    app.on_response_prepare.append(origins.mark)
    app.on_cleanup.append(who.close)
    return app


async def build(settings: ApiSettings) -> web.Application:
    """The application as `python -m daemons.api` runs it."""
    _distinct(settings)
    hosting = hosting_of(settings)
    stack = AsyncExitStack()
    try:
        url = settings.db_url.get_secret_value()
        database = await stack.enter_async_context(open_database(url, QUERIES))
        await migrate(database, COMPONENT, MIGRATIONS)
        secret = {headers.DEPLOY_SECRET: revealed(settings.deploy_secret)[0]}
        transport = await stack.enter_async_context(Transport(settings.deploy_url, secret, timeout=_PLANE_SECONDS))
        app = await build_app(
            Parts(
                database=database,
                plane=HttpDeployPlane(JobsClient(transport)),
                databases=HttpAppDatabases(await stack.enter_async_context(Transport(settings.deploy_url, secret))),
                operations=await _operations(settings, stack),
                access=DiskGitAccess(settings.access_file, settings.bot_key_path),
                hosting=hosting,
                workspaces=_workspaces(settings, stack),
                user_tokens={DEMO_USER: revealed(settings.user_tokens)},
                admin_tokens=revealed(settings.admin_tokens),
                webhook_secrets=revealed(settings.webhook_secrets),
                repositories=repository_parts(settings, stack),
                admin_networks=settings.admin_networks,
                trusted_proxies=settings.trusted_proxies,
                proofs=DnsProofs(settings.dns_servers),
                accounts=account_parts(settings),
                deletion_wait_ms=settings.deletion_wait_ms,
            )
        )
    except BaseException:
        await stack.aclose()
        raise
    app.on_cleanup.append(lambda _app: stack.aclose())
    return app


async def _operations(settings: ApiSettings, stack: AsyncExitStack) -> DeployOperations:
    """Connections of their own: what waits for operators holds up nobody's deployment."""
    tokens = revealed(settings.deploy_admin_tokens)
    if not tokens:
        return NoDeployOperations()
    proof = {headers.DEPLOY_SECRET: revealed(settings.deploy_secret)[0], headers.ADMIN_TOKEN: tokens[0]}
    return HttpDeployOperations(await stack.enter_async_context(Transport(settings.deploy_url, proof)))


def _distinct(settings: ApiSettings) -> None:
    settings.distinct(
        API_ADMIN_TOKEN=settings.admin_tokens,
        API_USER_TOKEN=settings.user_tokens,
        API_JWT_SECRET=settings.jwt_secrets,
        API_OIDC_CLIENT_SECRET=(settings.oidc_client_secret,),
        DEPLOY_PROXY_AUTH_SHARED_SECRET=settings.deploy_secret,
        API_DEPLOY_ADMIN_TOKEN=settings.deploy_admin_tokens,
        API_DEPLOY_WEBHOOK_SECRET=settings.webhook_secrets,
        API_GIT_WEBHOOK_SECRET=settings.push_secrets,
        GITEA_ADMIN_TOKEN=settings.gitea_tokens,
        WORKSPACE_NODE_INTERNAL_SHARED_SECRET=settings.workspace_secrets,
        FUNAI_WORKSPACE_NODE_REGISTRY_SHARED_SECRET=settings.workspace_node_tokens,
        FUNAI_WORKSPACE_NODE_REGISTRY_NODE_TOKENS=tuple(token for _, token in settings.workspace_own_tokens),
        FUNAI_WORKSPACE_NODE_REGISTRY_GATEWAY_TOKEN=settings.workspace_gateway_tokens,
    )


def repository_parts(settings: ApiSettings, stack: AsyncExitStack) -> RepositoryParts:
    """Who hosts repositories. Raises Misconfigured when that is Gitea and it is not said where, or by whose leave."""
    files, secrets = template_files(settings.template_image), revealed(settings.push_secrets)
    if not settings.gitea_enabled:
        host = FolderHost(settings.creations_dir, settings.removals_dir)
        loans = FolderLoans(settings.loans_dir) if settings.loans_dir is not None else None
        return RepositoryParts(host, files if settings.git_templates else {}, secrets, loans)
    settings.require(GITEA_ADMIN_TOKEN=settings.gitea_tokens)
    if settings.gitea_url is None:
        raise Misconfigured("GITEA_BASE_URL is not set; set it to Gitea's address, or GITEA_ENABLED to false")
    if settings.gitea_webhook_url is not None:
        settings.require(API_GIT_WEBHOOK_SECRET=settings.push_secrets)
    policy = GiteaPolicy(
        default_branch=settings.gitea_branch,
        auto_init=settings.gitea_auto_init,
        bots=(
            Bot(settings.gitea_runner_team, settings.gitea_runner_bot, "read"),
            Bot(settings.gitea_workspace_team, settings.gitea_workspace_bot, "write"),
        ),
        webhook_url=settings.gitea_webhook_url,
        webhook_secret=next(iter(secrets), ""),
    )
    transport = gitea_transport(settings.gitea_url, revealed(settings.gitea_tokens)[0])
    stack.push_async_callback(transport.close)
    begun = files if settings.gitea_auto_init else {}
    return RepositoryParts(GiteaHost(transport, policy), begun, secrets, GiteaKeys(transport))


def _workspaces(settings: ApiSettings, stack: AsyncExitStack) -> WorkspaceParts:
    calls = HttpNodeCalls(next(iter(revealed(settings.workspace_secrets)), ""))
    stack.push_async_callback(calls.close)
    own = {name: token.get_secret_value() for name, token in settings.workspace_own_tokens}
    return WorkspaceParts(
        calls=calls,
        holdings=calls,
        node_tokens=NodeTokens(revealed(settings.workspace_node_tokens), own, settings.workspace_node_networks),
        gateway_tokens=revealed(settings.workspace_gateway_tokens),
        policy=policy_of(settings),
        moving=HttpMovingNodes(calls),
        pace=Pace(settings.workspace_moves_at_once, settings.workspace_keep_seconds),
    )


def policy_of(settings: ApiSettings) -> PlacementPolicy:
    """What nodes take new users and new runs. Raises Misconfigured for a limit without a number."""
    if settings.limits_enabled and not settings.most_running:
        raise Misconfigured(
            "FUNAI_WORKSPACE_NODE_LIMITS_ENABLED is on: FUNAI_WORKSPACE_NODE_LIMITS_MAX_RUNNING_PER_NODE must say how "
            "many runs a node carries, at least 1"
        )
    most = settings.most_running if settings.limits_enabled else None
    return PlacementPolicy(settings.workspace_stale_seconds, settings.workspace_disk_min_pct, most)


def hosting_of(settings: ApiSettings) -> Hosting:
    """Where repositories and images live. Raises Misconfigured when the names do not make a repository's URL."""
    hosting = Hosting(
        git_host=settings.git_host,
        git_port=settings.git_port,
        git_owner=settings.git_owner,
        repository_template=settings.repository_template,
        git_ref=settings.git_ref,
        registry=settings.registry,
        namespace=settings.namespace,
    )
    names = {hosting.repository(user, app) for user in (1, 2) for app in (20001, 20002)}
    try:
        JobPayload(user_id="1", app_id="20001", repo_ssh_url=hosting.repository_url(1, 20001))
        grants = [GitGrant(repository=name, access=GitAccess.READ) for name in names]
    except ValueError:
        grants = []
    if len(grants) < 4:
        raise Misconfigured(
            "DEPLOY_GIT_SSH_HOST, DEPLOY_GIT_REPO_OWNER and DEPLOY_GIT_REPO_NAME_TEMPLATE must make "
            "ssh://git@HOST:PORT/OWNER/NAME.git in lower case, with {userId} and {appId} in the template"
        )
    return hosting
