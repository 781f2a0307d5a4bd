"""Settings of the supervisor, and the map of its data folder."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field, SecretStr

from daemons.kit.settings import Settings

#: A Unix socket's path ends at 107 bytes; the longest that children make below the data folder needs 47 of them.
_LONGEST_SOCKET_FOLDER: Final = 60
_PLAIN: Final = re.compile(r"/[A-Za-z0-9._/+@=,-]*")


class SupervisorSettings(Settings):
    """What `funai up` may be told. Everything that children understand in their environment passes through as well."""

    service: ClassVar[str] = "supervisor"

    data_dir: Path = Field(Path("data"), alias="FUNAI_DATA_DIR")
    port_base: int | None = Field(None, alias="FUNAI_PORT_BASE")
    demo: bool = Field(True, alias="FUNAI_DEMO")
    database: SecretStr | None = Field(None, alias="DEPLOY_DB_URL")
    docker_host: str | None = Field(None, alias="DOCKER_HOST")
    ready_seconds: float = Field(120, alias="FUNAI_READY_SECONDS")


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies below the data folder."""

    root: Path

    @property
    def short(self) -> Path:
        """The data folder by a name that sockets and the gateway's configuration can hold: short and plain.

        It is the folder itself, or a link to it in the runtime folder.
        """
        if len(os.fsencode(self.root)) <= _LONGEST_SOCKET_FOLDER and _PLAIN.fullmatch(str(self.root)):
            return self.root
        digest = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return _runtime_folder() / f"funai-{digest}"

    @property
    def credentials(self) -> Path:
        return self.root / "credentials.env"

    @property
    def platform(self) -> Path:
        return self.root / "platform.json"

    @property
    def lock(self) -> Path:
        return self.root / "supervisor.lock"

    @property
    def keys(self) -> Path:
        return self.root / "keys"

    @property
    def git_host_key(self) -> Path:
        return self.keys / "git_host_ed25519"

    @property
    def runner_key(self) -> Path:
        return self.keys / "runner_bot_ed25519"

    @property
    def demo_key(self) -> Path:
        return self.keys / "demo_user_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.keys / "known_hosts"

    @property
    def git(self) -> Path:
        return self.root / "git"

    @property
    def gateway_config(self) -> Path:
        return self.root / "gateway" / "haproxy.cfg"

    @property
    def gateway_map(self) -> Path:
        return self.short / "gateway" / "routes.map"

    @property
    def gateway_socket(self) -> Path:
        return self.short / "gateway" / "admin.sock"

    @property
    def engine(self) -> Path:
        return self.short / "engine"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def folders(self) -> tuple[Path, ...]:
        """Every folder that must exist before the first child starts."""
        daemons = ("keys", "git/repositories", "runner/work", "agent", "workspaces", "workspace-node")
        below = (*daemons, "gateway", "engine", "logs")
        return (self.root, *(self.root / name for name in below))


def _runtime_folder() -> Path:
    if os.geteuid() == 0:
        return Path("/run")
    return Path(os.environ.get("XDG_RUNTIME_DIR", f"/tmp/funai-{os.geteuid()}"))  # noqa: S108 - made with mode 0700
