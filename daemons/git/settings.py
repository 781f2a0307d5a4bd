"""Settings of the git server."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field

from daemons.kit.settings import OptionalTokens, Settings
from protocol.names import BaseUrl

Optional = BeforeValidator(lambda value: value or None)


class GitSettings(Settings):
    """Environment of `python -m daemons.git`."""

    service: ClassVar[str] = "git"

    host: str = Field("0.0.0.0", alias="GIT_HOST")
    port: int = Field(2222, alias="GIT_PORT", ge=0, le=65535)
    data_dir: Path = Field(Path("git/repositories"), alias="GIT_DATA_DIR")
    host_key_path: Path = Field(Path("keys/git_host_ed25519"), alias="GIT_HOST_KEY_PATH")
    access_file: Path = Field(Path("git/access.json"), alias="GIT_ACCESS_FILE")
    #: Keys that are lent for minutes, a file each; a workspace node writes them.
    loans_dir: Path = Field(Path("git/loans"), alias="GIT_LOANS_DIR")
    #: Orders to remove repositories, a file each; the API writes them.
    removals_dir: Path = Field(Path("git/removals"), alias="GIT_REMOVALS_DIR")
    #: Orders to make repositories, a file each; the API writes them.
    creations_dir: Path = Field(Path("git/creations"), alias="GIT_CREATIONS_DIR")
    #: Who is told of pushes, and what that is signed with; without an address nobody is.
    webhook_url: Annotated[BaseUrl | None, Optional] = Field(None, alias="GIT_WEBHOOK_URL")
    webhook_secrets: OptionalTokens = Field((), alias="GIT_WEBHOOK_SECRET")
    #: What was told of them, a file for each repository.
    pushes_dir: Path = Field(Path("git/pushes"), alias="GIT_PUSHES_DIR")
    max_connections: int = Field(64, alias="GIT_MAX_CONNECTIONS", ge=1, le=4096)
    login_seconds: float = Field(20.0, alias="GIT_LOGIN_SECONDS", gt=0, le=600)
    idle_seconds: float = Field(30.0, alias="GIT_IDLE_SECONDS", gt=0, le=3600)
    transfer_seconds: float = Field(3600.0, alias="GIT_TRANSFER_SECONDS", gt=0, le=86400)
