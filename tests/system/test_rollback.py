"""Back to an earlier release over real processes: the page of before again, and nothing is built for it."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import real
from tests.support.git_host import GitHost, git_host
from tests.support.runtime_node import docker
from tests.support.whole_path import REPOSITORY, SECRETS, Runner, WholePath, page, whole_path

pytestmark = [pytest.mark.real, pytest.mark.slow]
_RUN = secrets.token_hex(3)


@pytest.fixture(scope="module")
def git(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitHost]:
    with git_host(tmp_path_factory.mktemp("git"), REPOSITORY) as host:
        yield host


@pytest.fixture(scope="module")
def path(real_parts: Path, docker_url: str, git: GitHost, registry_host: str) -> Iterator[WholePath]:
    namespace = f"back-{_RUN}"
    deploy = {
        "DEPLOY_REGISTRY_CLEANUP_ENABLED": "true",
        "DEPLOY_REGISTRY_CLEANUP_KIND": "registry",
        "DEPLOY_REGISTRY_CLEANUP_BASE_URL": f"http://{registry_host}",
        "DEPLOY_REGISTRY_CLEANUP_PROJECT": namespace,
    }
    with whole_path(real_parts / "back", docker_url, git, namespace, deploy=deploy) as running:
        yield running


@pytest.fixture(scope="module")
def runner(path: WholePath) -> Iterator[Runner]:
    with path.running("runner-back") as running:
        yield running


def rollback(path: WholePath, app_id: str, **order: object) -> dict[str, Any]:
    job: dict[str, Any] = path.call("POST", f"/deploy/apps/{app_id}/rollback", {"userId": 7, **order})
    return job


def releases(path: WholePath, app_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = path.call("GET", f"/deploy/apps/{app_id}/releases")["items"]
    return items


def removed(path: WholePath, app_id: str) -> list[int]:
    return [item["number"] for item in releases(path, app_id) if item["imageRemovedAt"]]


def seen(path: WholePath, app_id: str, text: str) -> None:
    real.wait_until(lambda: path.node.page(f"/runtime/{app_id}/").text == text, f"the page {text!r}")


def test_without_a_registry_the_node_still_has_what_ran_before(path: WholePath, runner: Runner) -> None:
    first = path.succeeded(path.publish("61", page("v1")))
    path.succeeded(path.publish("61", page("v2")))
    seen(path, "61", "v2\n")
    job = rollback(path, "61")
    assert (job["release"], job["presentIn"], job["payload"]["image"]) == (1, "node", first["image"])
    done = path.succeeded(job["id"])
    seen(path, "61", "v1\n")
    log = path.log(done["id"])
    assert "[deploy]" in log and "[clone]" not in log and "[build]" not in log
    newest = releases(path, "61")[0]
    assert (newest["number"], newest["current"], newest["commit"]) == (3, True, first["commit"])
    assert newest["image"] == first["image"]


def test_with_a_registry_it_is_pulled_by_digest_and_only_the_newest_images_stay(
    path: WholePath, runner: Runner, registry_host: str
) -> None:
    jobs = [path.succeeded(path.publish("62", page(f"r{number}"), acrRegistry=registry_host)) for number in (1, 2, 3)]
    job = rollback(path, "62", release=1)
    assert (job["presentIn"], job["payload"]["image"]) == ("registry", jobs[0]["image"])
    path.succeeded(job["id"])
    seen(path, "62", "r1\n")
    jobs.append(path.succeeded(path.publish("62", page("r4"), acrRegistry=registry_host)))
    # Of four images the newest three stay: what r1 is was deployed again and is newer than r2.
    manifests = [
        f"http://{registry_host}/v2/{path.namespace}/u7-app62/manifests/{each['imageDigest']}" for each in jobs
    ]
    kind = {"Accept": "application/vnd.docker.distribution.manifest.v2+json"}

    def statuses() -> list[int]:
        return [httpx.head(url, headers=kind, trust_env=False, verify=False).status_code for url in manifests]

    real.wait_until(lambda: statuses() == [200, 404, 200, 200], "the removal of the one image that nobody needs")
    real.wait_until(lambda: removed(path, "62") == [2], "the record of it")
    gone = jobs[1]["imageDigest"]
    digests = ("images", "--digests", "--format", "{{.Digest}}")
    real.wait_until(lambda: gone not in docker(path.engine, *digests), "its removal from the node")
    headers = {"X-DEPLOY-SECRET": SECRETS["DEPLOY_PROXY_AUTH_SHARED_SECRET"]}
    order = {"userId": 7, "release": 2}
    url = f"{path.deploy_url}/deploy/apps/62/rollback"
    refused = httpx.post(url, json=order, headers=headers, trust_env=False, verify=False)
    assert (refused.status_code, refused.json()["reason"]) == (409, "image_gone")
    assert path.node.page("/runtime/62/").text == "r4\n"
