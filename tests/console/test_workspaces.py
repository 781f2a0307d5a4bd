"""`funai workspaces` as scripts see it, against a real API."""

import asyncio
import json
from pathlib import Path

import httpx

from protocol.headers import ADMIN_TOKEN
from tests.console.test_one_shot import funai
from tests.support.served_api import ADMIN, hear, served_api

NODES = "/api/fun-ai/admin/workspace-nodes"


async def test_nodes_and_who_lives_where(tmp_path: Path) -> None:
    async with (
        served_api(tmp_path, "secret-of-the-tests-1234567890", {7: "token-of-user-7-0123"}) as url,
        httpx.AsyncClient(base_url=url, headers={ADMIN_TOKEN: ADMIN}, trust_env=False, verify=False) as admin,
    ):
        await hear(url, "http://127.0.0.1:9", "ws-1")
        order = {"userId": 7, "targetNodeId": 1}
        (await admin.post(f"{NODES}/reassign", json=order)).raise_for_status()
        (await admin.post(f"{NODES}/set-enabled?nodeId=1&enabled=0")).raise_for_status()
        known = {"FUNAI_DEPLOY_URL": "http://127.0.0.1:9", "DEPLOY_ADMIN_TOKEN": "not asked for", "HOME": str(tmp_path)}
        where = {**known, "FUNAI_API_URL": url, "API_ADMIN_TOKEN": ADMIN}

        async def said(*words: str, **other: str) -> tuple[int, str, str]:
            done = await asyncio.to_thread(funai, {**where, **other}, "workspaces", *words)
            return done.returncode, done.stdout.decode(), done.stderr.decode()

        code, table, _ = await said("nodes")
        assert code == 0 and "ws-1" in table and "it is disabled" in table and "– DISABLED" in table
        (node,) = json.loads((await said("nodes", "-o", "json"))[1])
        assert (node["name"], node["assignedUsers"], node["enabled"]) == ("ws-1", 1, False)
        (placed,) = map(json.loads, (await said("ls", "-o", "ndjson"))[1].splitlines())
        assert (placed["userId"], placed["nodeId"], placed["epoch"]) == ("7", 1, 1)
        # Its node is nowhere: what is known is said, and why the rest is not.
        assert placed["containerStatus"] == "UNKNOWN" and "does not answer" in placed["reason"]
        code, text, _ = await said("ls", "--node", "ws-1", "-o", "csv")
        assert text.splitlines()[0] == "user,node,state,cpu,memory,disk,runs,idle,epoch,why"
        assert text.splitlines()[1].startswith("7,ws-1,UNKNOWN,")
        assert (await said("ls", "--node", "ws-9"))[0] == 2
        code, _, problem = await said("ls", API_ADMIN_TOKEN="")
        assert code == 2 and "API_ADMIN_TOKEN" in problem
        assert (await said("ls", API_ADMIN_TOKEN="wrong-token-0123456789"))[0] == 4


async def test_what_cannot_be_done_is_said_with_its_exit_code(tmp_path: Path) -> None:
    tokens = {7: "token-of-user-7-0123"}
    async with (
        served_api(tmp_path, "secret-of-the-tests-1234567890", tokens) as url,
        httpx.AsyncClient(base_url=url, headers={ADMIN_TOKEN: ADMIN}, trust_env=False, verify=False) as admin,
    ):
        await hear(url, "http://127.0.0.1:9", "ws-1")
        (await admin.post(f"{NODES}/reassign", json={"userId": 7, "targetNodeId": 1})).raise_for_status()
        known = {"FUNAI_DEPLOY_URL": "http://127.0.0.1:9", "DEPLOY_ADMIN_TOKEN": "not asked for", "HOME": str(tmp_path)}
        where = {**known, "FUNAI_API_URL": url, "API_ADMIN_TOKEN": ADMIN}
        for words, code, problem in (
            (("start", "7"), 3, "does not answer"),
            (("stop", "99"), 4, "user 99 has no workspace"),
            (("exec", "99", "--", "ls"), 4, "user 99 has no workspace"),
            (("cp", "here", "there"), 2, "USER:PATH"),
            (("migrate", "7", "--to", "ws-9"), 2, "there is no workspace node ws-9"),
        ):
            done = await asyncio.to_thread(funai, where, "workspaces", *words)
            assert (done.returncode, problem in done.stderr.decode()) == (code, True), done.stderr
