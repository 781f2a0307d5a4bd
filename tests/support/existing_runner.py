"""A runner that speaks exactly the contract of the existing one and knows nothing newer.

No runner token, no lease token, no fence, no parked claims; a heartbeat thread beside the work, git and docker as
programs, answers judged by the envelope's code, and of the agent's answer only that it is an object.
"""

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx


class Failed(Exception):
    """What it would report as the job's error."""


@dataclass
class ExistingRunner:
    """One process of it: a single job at a time."""

    deploy_url: str
    agent_token: str
    docker_url: str
    workdir: Path
    git_key: Path
    known_hosts: Path
    registry: str
    runner_id: str = "runner-01"
    lease_seconds: int = 30
    beats: list[Mapping[str, Any]] = field(default_factory=list)

    def once(self) -> str | None:
        """Claim and carry out one job; its id, or None when there is nothing to do."""
        job = self._call("/deploy/jobs/claim", {"runnerId": self.runner_id, "leaseSeconds": self.lease_seconds})
        if job is None:
            return None
        stop = threading.Event()
        beating = threading.Thread(target=self._beat, args=(job["id"], stop), daemon=True)
        beating.start()
        try:
            image = self._carry_out(job)
        except Failed as error:
            self._report(job["id"], {"status": "FAILED", "errorMessage": str(error)})
        else:
            self._report(job["id"], {"status": "SUCCEEDED"})
            self._run("docker", "rmi", image, check=False)
        finally:
            stop.set()
            beating.join()
        return str(job["id"])

    def _carry_out(self, job: Mapping[str, Any]) -> str:
        payload = job["payload"]
        app_id, user_id = str(payload["appId"]), str(payload["userId"])
        image = payload.get("image") or self._build(job["id"], payload, f"u{user_id}-app{app_id}")
        node = job.get("runtimeNode") or {}
        if not node.get("agentBaseUrl"):
            raise Failed("runtimeNode.agentBaseUrl missing")
        self._phase(job["id"], "DEPLOY")
        body = {
            "userId": user_id,
            "appId": app_id,
            "image": image,
            "containerPort": int(payload.get("containerPort", 3000)),
            "basePath": payload.get("basePath", f"/apps/{app_id}"),
        }
        headers = {"X-Runtime-Token": self.agent_token, "Content-Type": "application/json"}
        url = f"{node['agentBaseUrl']}/agent/apps/deploy"
        answer = httpx.post(url, json=body, headers=headers, timeout=120, trust_env=False, verify=False)
        if not answer.is_success or not isinstance(answer.json(), dict):
            raise Failed(f"{answer.status_code} for {url}")
        return str(image)

    def _build(self, job_id: str, payload: Mapping[str, Any], name: str) -> str:
        registry = payload.get("acrRegistry") or self.registry
        namespace = payload.get("acrNamespace") or "funaistudio"
        image = f"{registry}/{namespace}/{name}:{payload.get('imageTag', 'latest')}"
        source = self.workdir / f"app-{payload['appId']}"
        shutil.rmtree(source, ignore_errors=True)
        self._phase(job_id, "CLONE")
        ref = payload.get("gitRef", "main")
        self._run("git", "clone", "--depth", "1", "--branch", ref, payload["repoSshUrl"], str(source))
        self._phase(job_id, "BUILD")
        self._run("docker", "build", "-t", image, "-f", "Dockerfile", ".", cwd=source)
        self._phase(job_id, "PUSH")
        self._run("docker", "push", image)
        return image

    def _run(self, *argv: str, cwd: Path | None = None, check: bool = True) -> None:
        ssh = f"ssh -i {self.git_key} -o IdentitiesOnly=yes -o StrictHostKeyChecking=yes"
        environment = {
            **os.environ,
            "DOCKER_HOST": self.docker_url,
            "DOCKER_BUILDKIT": "0",
            "GIT_SSH_COMMAND": f"{ssh} -o UserKnownHostsFile={self.known_hosts}",
        }
        done = subprocess.run(
            argv, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if check and done.returncode:
            raise Failed(f"{' '.join(argv)} failed with {done.returncode}: {done.stdout}")

    def _beat(self, job_id: str, stop: threading.Event) -> None:
        while not stop.wait(max(5, self.lease_seconds / 2)):
            try:
                self._extend(job_id, {})
            except Failed:
                # It reports before it stops beating: a beat that comes after its report is refused.
                return

    def _phase(self, job_id: str, phase: str) -> None:
        self._extend(job_id, {"phase": phase, "phaseMessage": phase.lower()})

    def _extend(self, job_id: str, more: Mapping[str, object]) -> None:
        body = {"runnerId": self.runner_id, "extendSeconds": self.lease_seconds, **more}
        self.beats.append(self._call(f"/deploy/jobs/{job_id}/heartbeat", body))

    def _report(self, job_id: str, end: Mapping[str, object]) -> None:
        self._call(f"/deploy/jobs/{job_id}/report", {"runnerId": self.runner_id, **end})

    def _call(self, path: str, body: Mapping[str, object]) -> Any:
        answer = httpx.post(
            f"{self.deploy_url}{path}", json=dict(body), timeout=120, trust_env=False, verify=False
        ).json()
        if answer["code"] != 200:
            raise Failed(f"{path}: {answer['message']}")
        return answer["data"]
