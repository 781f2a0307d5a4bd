"""Registries for tests: a twin in memory, a real one filled over its API, and a server that answers like Harbor.

The answers of the Harbor server are those of its API 2.0 (`DELETE` of an artifact or repository is 200, an unknown one
404 with a list of errors, a wrong login 401, one that a rule protects 412).
"""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import unquote

import httpx
from aiohttp import web

from daemons.deploy.ports import RegistryFailed

LOGIN = ("robot-of-tests", "password-of-tests")
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class RegistryTwin:
    """Digests by repository, each with its tags; `problem` makes every call fail."""

    images: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    problem: str | None = None
    calls: list[tuple[str, ...]] = field(default_factory=list)

    async def has(self, repository: str, digest: str) -> bool:
        self._called("has", repository, digest)
        return digest in self.images.get(repository, {})

    async def delete(self, repository: str, digest: str) -> None:
        self._called("delete", repository, digest)
        self.images.get(repository, {}).pop(digest, None)

    async def delete_repository(self, repository: str) -> None:
        self._called("delete_repository", repository)
        self.images.pop(repository, None)

    def _called(self, *call: str) -> None:
        self.calls.append(call)
        if self.problem is not None:
            raise RegistryFailed(self.problem)

    async def put(self, repository: str, tag: str, text: str) -> str:
        """Push; the digest."""
        digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        tags = self.images.setdefault(repository, {})
        for other in tags.values():
            other.discard(tag)
        tags.setdefault(digest, set()).add(tag)
        return digest


async def push(host: str, repository: str, tag: str, text: str) -> str:
    """Push an image whose configuration is this text to a real registry; its digest."""
    async with httpx.AsyncClient(base_url=f"http://{host}", trust_env=False, verify=False) as client:
        blobs = []
        for content in (json.dumps({"text": text}).encode(), f"layer of {text}".encode()):
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            begun = await client.post(f"/v2/{repository}/blobs/uploads/")
            done = await client.put(
                httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest}), content=content
            )
            assert done.status_code == 201, done.text
            blobs.append({"mediaType": "application/octet-stream", "size": len(content), "digest": digest})
        document = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": blobs[0], "layers": blobs[1:]}
        kind = {"Content-Type": _MANIFEST}
        answer = await client.put(f"/v2/{repository}/manifests/{tag}", json=document, headers=kind)
        assert answer.status_code == 201, answer.text
        return answer.headers["Docker-Content-Digest"]


@asynccontextmanager
async def harbor(images: RegistryTwin) -> AsyncIterator[str]:
    """The URL of a server with Harbor's API over these images; digests in `protected` tags cannot be removed."""
    proof = "Basic " + base64.b64encode(":".join(LOGIN).encode()).decode()

    def errors(status: int, code: str) -> web.Response:
        return web.json_response(
            {"errors": [{"code": code, "message": f"{code} in the words of Harbor"}]}, status=status
        )

    async def handle(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != proof:
            return errors(401, "UNAUTHORIZED")
        # Harbor decodes the repository's name once more than the router does.
        repository = f"{request.match_info['project']}/{unquote(unquote(request.match_info['repository']))}"
        digest = request.match_info.get("digest")
        found = images.images.get(repository)
        if found is None or (digest is not None and digest not in found):
            return errors(404, "NOT_FOUND")
        if request.method == "GET":
            return web.json_response({"digest": digest, "type": "IMAGE"})
        if digest is None:
            del images.images[repository]
        elif "protected" in found[digest]:
            return errors(412, "PRECONDITION")
        else:
            del found[digest]
        return web.Response()

    app = web.Application()
    place = "/api/v2.0/projects/{project}/repositories/{repository}"
    app.add_routes(
        [web.get(f"{place}/artifacts/{{digest}}", handle), web.delete(f"{place}/artifacts/{{digest}}", handle)]
    )
    app.add_routes([web.delete(place, handle)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
