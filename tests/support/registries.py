"""Registries for tests: a twin in memory, and a real one filled over its API."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx

from daemons.deploy.domain.images import PushedImage
from daemons.deploy.ports import RegistryFailed

LOGIN = ("robot-of-tests", "password-of-tests")
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@dataclass
class RegistryTwin:
    """Digests by repository in the order of their pushes, each with its tags; `problem` makes every call fail."""

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

    async def pushed(self, repository: str) -> Sequence[PushedImage]:
        self._called("pushed", repository)
        there = self.images.get(repository, {})
        return [PushedImage(digest, tuple(sorted(tags))) for digest, tags in reversed(there.items())]

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
        tags[digest] = tags.pop(digest, set()) | {tag}
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
