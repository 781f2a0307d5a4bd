"""The registry of the settings, and the command that makes one ready."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from pydantic import SecretStr, TypeAdapter, ValidationError

from daemons.deploy.adapters.harbor import HarborRegistry
from daemons.deploy.adapters.harbor_projects import HarborProjects
from daemons.deploy.adapters.registry import OciRegistry
from daemons.deploy.adapters.secret_files import SecretFiles
from daemons.deploy.domain.images import RegistryPlace
from daemons.deploy.ports import ImageRegistry, RegistryFailed
from daemons.deploy.ports.projects import SecretsRefused
from daemons.deploy.services.preparation import Preparation, Told, Wanted, accounts
from daemons.deploy.settings import DeploySettings
from daemons.kit.settings import Password

_PASSWORD: Final = TypeAdapter[SecretStr](Password)


def image_registry(settings: DeploySettings) -> ImageRegistry | None:
    """What images are looked for and removed in; None without one."""
    if not settings.registry_base_url:
        return None
    kind = HarborRegistry if settings.registry_kind == "harbor" else OciRegistry
    return kind(settings.registry_base_url, settings.registry_login, settings.registry_timeout_seconds)


def registry_place(settings: DeploySettings) -> RegistryPlace | None:
    """Where the platform's own images are in it."""
    if not settings.registry_base_url:
        return None
    host = urlsplit(settings.registry_base_url).netloc
    return RegistryPlace(host, settings.registry_project, settings.registry_cleanup_enabled)


@dataclass(frozen=True, slots=True)
class Order:
    """What an operator wants of a registry; the password is the administrator's."""

    administrator: str
    password: str
    folder: Path
    runners: Sequence[str]
    nodes: Sequence[str]
    control_plane: str
    renew: Sequence[str]


def prepare_registry(settings: DeploySettings, order: Order) -> int:
    """Make project, accounts and garbage collection, and print what was found and done; the exit code: 0, 1 when
    something failed or is left to people."""
    told, problem = Told(), _unready(settings, order)
    if problem is None:
        problem = asyncio.run(_prepare(settings, order, told))
    for line in told.done:
        sys.stdout.write(f"{line}\n")
    for line in told.open:
        sys.stderr.write(f"still to do: {line}\n")
    if problem is not None:
        sys.stderr.write(f"the registry is not ready: {problem}\n")
    return 1 if problem is not None or told.open else 0


async def _prepare(settings: DeploySettings, order: Order, told: Told) -> str | None:
    login = order.administrator, order.password
    registry = HarborProjects(settings.registry_base_url, login, settings.registry_timeout_seconds)
    robots = accounts(order.runners, order.nodes, order.control_plane)
    try:
        await Preparation(registry, SecretFiles(order.folder), told).run(
            Wanted(settings.registry_project, robots, order.renew)
        )
    except (RegistryFailed, SecretsRefused) as error:
        return str(error)
    return None


def _unready(settings: DeploySettings, order: Order) -> str | None:
    if not settings.registry_base_url:
        return "DEPLOY_REGISTRY_CLEANUP_BASE_URL is not set; set it to the http(s)://host[:port] of Harbor"
    if settings.registry_kind != "harbor":
        return "DEPLOY_REGISTRY_CLEANUP_KIND is not harbor: other registries have no projects and no accounts to make"
    if not order.password or not _is_password(order.password):
        return "the administrator's password is empty or a placeholder; it is the first line of standard input"
    names = [*order.runners, *order.nodes, order.control_plane]
    if len(set(names)) != len(names):
        return "two accounts have the same name; each needs one of its own"
    if unknown := [name for name in order.renew if name not in names]:
        return f"--renew {unknown[0]} is none of the accounts: {', '.join(names)}"
    return None


def _is_password(text: str) -> bool:
    try:
        _PASSWORD.validate_python(text)
    except ValidationError:
        return False
    return True
