"""Settings of the API entry."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr

from daemons.kit.settings import OptionalTokens, Settings, Tokens
from protocol.names import BaseUrl, GitRef, Namespace, RegistryHost

Optional = BeforeValidator(lambda value: value or None)


class ApiSettings(Settings):
    """Environment of `python -m daemons.api`."""

    service: ClassVar[str] = "api"

    host: str = Field("127.0.0.1", alias="API_HOST")
    port: int = Field(8080, alias="API_PORT", ge=0, le=65535)
    db_url: SecretStr = Field(SecretStr("sqlite:///api.db"), alias="API_DB_URL")
    admin_tokens: Tokens = Field(alias="API_ADMIN_TOKEN")
    user_tokens: Tokens = Field(alias="API_USER_TOKEN")

    deploy_url: BaseUrl = Field("http://127.0.0.1:7002", alias="DEPLOY_PROXY_BASE_URL")
    deploy_secret: Tokens = Field(
        validation_alias=AliasChoices("DEPLOY_PROXY_AUTH_SHARED_SECRET", "DEPLOY_PROXY_SHARED_SECRET")
    )

    #: What deliveries of job results are signed with, all of them while one replaces another; none: they are refused.
    webhook_secrets: OptionalTokens = Field(
        (), validation_alias=AliasChoices("API_DEPLOY_WEBHOOK_SECRET", "DEPLOY_WEBHOOK_SECRET")
    )

    git_host: str = Field("127.0.0.1", alias="DEPLOY_GIT_SSH_HOST")
    git_port: int = Field(2222, alias="DEPLOY_GIT_SSH_PORT", ge=1, le=65535)
    git_owner: str = Field("funai", alias="DEPLOY_GIT_REPO_OWNER")
    repository_template: str = Field("u{userId}-app{appId}", alias="DEPLOY_GIT_REPO_NAME_TEMPLATE")
    git_ref: GitRef = Field("main", alias="DEPLOY_GIT_DEFAULT_REF")
    access_file: Annotated[Path | None, Optional] = Field(None, alias="GIT_ACCESS_FILE")
    bot_key_path: Annotated[Path | None, Optional] = Field(None, alias="RUNNER_GIT_PUBLIC_KEY_PATH")

    registry: Annotated[RegistryHost | None, Optional] = Field(None, alias="DEPLOY_ACR_REGISTRY")
    namespace: Annotated[Namespace | None, Optional] = Field(None, alias="DEPLOY_ACR_NAMESPACE")
