"""The API entry, called over HTTP with the demo user's bearer."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from daemons.supervisor.ports import DemoApp
from daemons.supervisor.services.demo import DemoFailed
from protocol.api import AddGitKey, CreateApp
from protocol.client.api import ApiClient, bearer
from protocol.client.transport import ClientError, Transport


class HttpDemoApi:
    """See ports.DemoApi. Every refusal is a DemoFailed in the API's words."""

    def __init__(self, api_url: str, token: str) -> None:
        self._client = ApiClient(Transport(api_url, bearer(token)))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.transport.close()

    async def ensure_app(self) -> DemoApp:
        """The user's oldest app, made if there is none."""
        with _step("the API gives no app"):
            apps = await self._client.apps()
            app = (
                min(apps, key=lambda app: app.id) if apps else await self._client.create_app(CreateApp(app_name="Demo"))
            )
        return DemoApp(str(app.id), app.repo_ssh_url)

    async def register_key(self, public_key: str) -> None:
        """Let this key push to the user's repositories, unless it already may."""
        material = public_key.split()[1]
        with _step("the API does not take the demo user's key"):
            if not any(material in key.public_key for key in await self._client.keys()):
                await self._client.add_key(AddGitKey(title="demo", public_key=public_key.strip()))

    async def deploy(self, app_id: str) -> str:
        """Start a deployment of main, or join the one that is under way."""
        with _step("the API does not start a deployment"):
            active = [job for job in await self._client.history(app_id, limit=5) if not job.status.terminal]
            job = active[0] if active else await self._client.deploy(app_id)
        return job.id

    async def outcome(self, job_id: str) -> tuple[str, str | None]:
        """Status, and why it waits or failed."""
        with _step(f"the API does not tell of job {job_id}"):
            job = await self._client.job(job_id)
        return job.status.value, job.error_message or (job.waiting_for.message if job.waiting_for else None)


@contextmanager
def _step(failure: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise DemoFailed(f"{failure}: {error}") from error
