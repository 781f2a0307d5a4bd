"""Images that are made in memory and pushed to a real registry: a base, and one layer of any size of their own."""

import gzip
import hashlib
import io
import json
import secrets
import subprocess
import tarfile

import httpx

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_CONFIG = "application/vnd.docker.container.image.v1+json"


class Press:
    """Makes images that serve one page on port 3000; `base` is a layer with busybox in it."""

    def __init__(self, engine: str, host: str) -> None:
        self.host = host
        saved = subprocess.run(["docker", "-H", engine, "save", "busybox:1.36"], check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(saved)) as archive:
            manifest = archive.extractfile("manifest.json")
            assert manifest is not None
            layer = archive.extractfile(json.load(manifest)[0]["Layers"][0])
            assert layer is not None
            self._base = layer.read()
        self._client = httpx.Client(base_url=f"http://{host}", trust_env=False, verify=False, timeout=120)
        self._pushed: dict[str, str] = {}

    def image(self, repository: str, tag: str, page: str, *, filling: bytes | None = None, megabytes: int = 0) -> str:
        """The reference of a new image with so many random bytes in it, or with this filling."""
        content = filling if filling is not None else secrets.token_bytes(megabytes * 1024**2)
        layers = [self._base, _tar({"www/index.html": f"{page}\n".encode(), "filling": content})]
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["httpd", "-f", "-p", "3000", "-h", "/www"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer) for layer in layers]},
        }
        described = [self._put(repository, gzip.compress(layer, 1, mtime=0), _LAYER) for layer in layers]
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._put(repository, json.dumps(config).encode(), _CONFIG),
            "layers": described,
        }
        answer = self._client.put(
            f"/v2/{repository}/manifests/{tag}", json=manifest, headers={"Content-Type": _MANIFEST}
        )
        assert answer.status_code == 201, answer.text
        return f"{self.host}/{repository}:{tag}"

    def forget(self, reference: str) -> None:
        """Take an image out of the registry."""
        repository, _, tag = reference.removeprefix(f"{self.host}/").rpartition(":")
        head = self._client.head(f"/v2/{repository}/manifests/{tag}", headers={"Accept": _MANIFEST})
        self._client.delete(f"/v2/{repository}/manifests/{head.headers['Docker-Content-Digest']}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _put(self, repository: str, content: bytes, kind: str) -> dict[str, object]:
        digest = _digest(content)
        if self._pushed.get(digest) != repository:
            begun = self._client.post(f"/v2/{repository}/blobs/uploads/")
            place = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest})
            done = self._client.put(place, content=content)
            assert done.status_code == 201, done.text
            self._pushed[digest] = repository
        return {"mediaType": kind, "size": len(content), "digest": digest}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()
