"""The daemon as a process: it starts, says what is wrong, and stops."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.http.deploy.plane import ENVIRONMENT, TOKENS
from tests.support.real import free_port, process, wait_until

ARGV = (sys.executable, "-m", "daemons.deploy")
ROOT = Path(__file__).parents[3]
MOST_RESIDENT_KB = 120 * 1024


def environment(folder: Path, port: int, **changes: str) -> Mapping[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    mine = {"DEPLOY_PORT": str(port), "DEPLOY_DB_URL": f"sqlite:///{folder}/deploy.db", "PYTHONPATH": str(ROOT)}
    return {**kept, **{name: str(value) for name, value in ENVIRONMENT.items()}, **mine, **changes}


def refusal(folder: Path, port: int, **changes: str) -> str:
    done = subprocess.run(
        ARGV,
        env=environment(folder, port, **changes),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 78, done.stderr
    return done.stderr


def test_it_serves_stays_small_keeps_its_data_and_stops_on_a_signal(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    body = {"type": "BUILD_AND_DEPLOY", "payload": {"userId": 1, "appId": "20001"}}
    proof = {"X-DEPLOY-SECRET": str(ENVIRONMENT["DEPLOY_PROXY_AUTH_SHARED_SECRET"])}

    def ready() -> bool:
        try:
            return httpx.get(f"{url}/internal/ready", trust_env=False, verify=False).status_code == 200
        except httpx.TransportError:
            return False

    for start in range(2):
        with process(ARGV, tmp_path / "log", env=environment(tmp_path, port), cwd=tmp_path) as child:
            wait_until(ready, "the control plane's readiness")
            if start == 0:
                assert (
                    httpx.post(
                        f"{url}/deploy/jobs", json=body, headers=proof, trust_env=False, verify=False
                    ).status_code
                    == 200
                )
            status = Path(f"/proc/{child.pid}/status").read_text()
            resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
            assert resident < MOST_RESIDENT_KB
            assert (
                len(httpx.get(f"{url}/deploy/jobs", headers=proof, trust_env=False, verify=False).json()["data"]) == 1
            )
            in_the_way = refusal(tmp_path, port) if start == 0 else ""
            assert start or f"127.0.0.1:{port}" in in_the_way
            child.send_signal(signal.SIGTERM)
            assert child.wait(90) == 0
    for secret in TOKENS.values():
        assert secret not in (tmp_path / "log").read_text()


def test_a_placeholder_secret_stops_the_start_and_says_what_to_set(tmp_path: Path) -> None:
    text = refusal(tmp_path, free_port(), DEPLOY_ADMIN_TOKEN="CHANGE_ME_STRONG_ADMIN_TOKEN")
    assert "DEPLOY_ADMIN_TOKEN" in text and "CHANGE_ME_STRONG" not in text


def test_a_database_address_that_makes_no_sense_stops_the_start(tmp_path: Path) -> None:
    assert "cannot start" in refusal(tmp_path, free_port(), DEPLOY_DB_URL="oracle://x")
