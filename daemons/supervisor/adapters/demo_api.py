"""The API entry, called over HTTP with the demo user's bearer."""

from types import TracebackType
from typing import Self

from pydantic import TypeAdapter

from daemons.supervisor.services.demo import DemoFailed
from protocol import headers
from protocol.base import Wire
from protocol.client.transport import ClientError, Transport
from protocol.jobs import JobView


class _App(Wire):
    id: str | int


class _Key(Wire):
    public_key: str


class HttpDemoApi:
    """See ports.DemoApi. Every refusal is a DemoFailed in the API's words."""

    def __init__(self, api_url: str, token: str, user_id: str) -> None:
        self._transport = Transport(api_url, {headers.AUTHORIZATION: f"Bearer {token}"})
        self._user_id = user_id

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    async def ensure_app(self) -> str:
        """The user's first app, made if there is none."""
        user = {"userId": self._user_id}
        try:
            apps = await self._transport.call("GET", "/api/fun-ai/app/list", TypeAdapter(tuple[_App, ...]), query=user)
            app = apps[0] if apps else await self._transport.call("GET", "/api/fun-ai/app/create", _App, query=user)
        except ClientError as error:
            raise DemoFailed(f"the API gives no app: {error}") from error
        return str(app.id)

    async def register_key(self, public_key: str) -> None:
        """Let this key push to the user's repositories."""
        body = _Key(public_key=public_key.strip())
        try:
            await self._transport.send("POST", "/api/fun-ai/git/keys", body=body)
        except ClientError as error:
            raise DemoFailed(f"the API does not take the demo user's key: {error}") from error

    async def deploy(self, app_id: str) -> str:
        """Start a deployment of main."""
        query = {"userId": self._user_id, "appId": app_id}
        try:
            job = await self._transport.call("POST", "/api/fun-ai/deploy/job/create", JobView, query=query)
        except ClientError as error:
            raise DemoFailed(f"the API does not start a deployment: {error}") from error
        return job.id

    async def outcome(self, job_id: str) -> tuple[str, str | None]:
        """Status, and why it waits or failed."""
        try:
            job = await self._transport.call("GET", "/api/fun-ai/deploy/job/info", JobView, query={"jobId": job_id})
        except ClientError as error:
            raise DemoFailed(f"the API does not tell of job {job_id}: {error}") from error
        return job.status.value, job.error_message or (job.waiting_for.message if job.waiting_for else None)
