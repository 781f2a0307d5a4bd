"""`python -m daemons.deploy registry prepare`, as an operator runs it, against Harbor's recorded contract."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemons.deploy.domain.robots import Access, Credentials
from tests.http.deploy.plane import ENVIRONMENT
from tests.support.harbor import HarborTwin, harbor

PASSWORD = "Password-of-the-administrator-1"


@dataclass
class Run:
    """How the command ended."""

    code: int
    out: list[str]
    err: str


@dataclass
class Operator:
    """Runs the command; nothing that it prints may have a secret in it."""

    twin: HarborTwin
    url: str
    folder: Path

    async def prepare(self, *arguments: str, said: str = f"{PASSWORD}\n", **environment: str) -> Run:
        argv = [sys.executable, "-m", "daemons.deploy", "registry", "prepare", "--secrets", str(self.folder)]
        given = {"DEPLOY_REGISTRY_CLEANUP_BASE_URL": self.url, "DEPLOY_REGISTRY_CLEANUP_KIND": "harbor", **environment}
        process = await asyncio.create_subprocess_exec(
            *argv,
            *arguments,
            env={**os.environ, **{name: str(value) for name, value in ENVIRONMENT.items()}, **given},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = (part.decode() for part in await process.communicate(said.encode()))
        assert process.returncode is not None
        for secret in (PASSWORD, *(str(robot["secret"]) for robot in self.twin.robots.values())):
            assert secret not in out + err
        return Run(process.returncode, out.splitlines(), err)

    def kept(self, name: str) -> dict[str, str]:
        """What the file of an account says."""
        path = self.folder / f"{name}.env"
        assert path.stat().st_mode & 0o777 == 0o600
        return dict(line.split("=", 1) for line in path.read_text().splitlines())

    def access(self, name: str) -> set[Access]:
        """What Harbor lets an account do."""
        robot = next(robot for robot in self.twin.robots.values() if str(robot["name"]).endswith(f"+{name}"))
        permissions = robot["permissions"]
        assert isinstance(permissions, list) and [each["namespace"] for each in permissions] == ["funaistudio"]
        return {Access(each["resource"], each["action"]) for each in permissions[0]["access"]}


@pytest.fixture
async def operator(tmp_path: Path) -> AsyncIterator[Operator]:
    twin = HarborTwin(per_page=2)
    async with harbor(twin, ("admin", PASSWORD)) as url:
        yield Operator(twin, url, tmp_path / "secrets")


async def test_an_empty_harbor_is_made_ready_and_the_second_time_nothing_is_changed(operator: Operator) -> None:
    first = await operator.prepare()
    assert first.code == 0, first.err
    assert first.out[0] == "project funaistudio: made, not public" and operator.twin.projects["funaistudio"]
    runner = operator.kept("runner")
    assert runner["REGISTRY_USERNAME"] == "robot$funaistudio+runner"
    assert runner["REGISTRY_PASSWORD"] == operator.twin.secret_of("robot$funaistudio+runner")
    assert operator.kept("control-plane").keys() == {
        "DEPLOY_REGISTRY_CLEANUP_USERNAME",
        "DEPLOY_REGISTRY_CLEANUP_PASSWORD",
    }
    assert operator.access("runner") == {Access("repository", "pull"), Access("repository", "push")}
    assert operator.access("runtime") == {Access("repository", "pull")}
    assert Access("artifact", "delete") in operator.access("control-plane") != operator.access("runner")
    assert operator.twin.garbage is not None and not json.loads(operator.twin.garbage[1])["delete_untagged"]
    operator.twin.calls.clear()
    (operator.folder / "runner.env").unlink()
    second = await operator.prepare()
    assert (second.code, second.err) == (0, "") and "its secret is as it was" in second.out[1]
    assert not (operator.folder / "runner.env").exists()
    assert operator.twin.calls == ["make_project", "project", "robots", "robots", "gc_schedule"]


async def test_more_accounts_and_a_new_secret_for_one_of_them(operator: Operator) -> None:
    names = ("--runner", "runner-01", "--runner", "runner-02", "--node", "node-01")
    assert (await operator.prepare(*names)).code == 0
    before = operator.kept("runner-01"), operator.kept("runner-02")
    assert (await operator.prepare(*names, "--renew", "runner-02")).code == 0
    assert operator.kept("runner-01") == before[0] and operator.kept("runner-02") != before[1]
    login = "robot$funaistudio+runner-02"
    assert operator.kept("runner-02")["REGISTRY_PASSWORD"] == operator.twin.secret_of(login)


async def test_an_account_that_may_more_than_it_should_may_no_longer(operator: Operator) -> None:
    assert (await operator.prepare()).code == 0
    robot = next(robot for robot in operator.twin.robots.values() if str(robot["name"]).endswith("+runtime"))
    access = [{"resource": "repository", "action": action} for action in ("pull", "push", "delete")]
    robot |= {"permissions": [{"kind": "project", "namespace": "funaistudio", "access": access}], "disable": True}
    again = await operator.prepare()
    assert again.code == 0 and any("is as it should be now" in line for line in again.out)
    assert operator.access("runtime") == {Access("repository", "pull")} and robot["disable"] is False


async def test_what_only_people_can_decide_is_told_and_left(operator: Operator) -> None:
    operator.twin.projects["funaistudio"] = {"public": "true", "retention_id": "4"}
    operator.twin.garbage = "0 0 0 * * *", json.dumps({"delete_untagged": True})
    ended = await operator.prepare()
    assert ended.code == 1 and ended.out[0] == "project funaistudio: is there"
    assert [words in ended.err for words in ("is public", "tag retention rule", "images without a tag")] == [True] * 3
    assert operator.twin.projects["funaistudio"] == {"public": "true", "retention_id": "4"}
    assert operator.twin.garbage[0] == "0 0 0 * * *" and len(operator.twin.robots) == 3


async def test_what_was_done_before_something_failed_is_told(operator: Operator) -> None:
    operator.folder.mkdir()
    (operator.folder / "runtime.env").mkdir()
    ended = await operator.prepare()
    assert ended.code == 1 and "--renew runtime" in ended.err
    assert [line.split(":")[0] for line in ended.out] == [
        "project funaistudio",
        "account robot$funaistudio+runner (runner)",
    ]


async def test_nothing_is_made_where_secrets_could_not_be_kept_or_the_account_is_wrong(operator: Operator) -> None:
    operator.folder.write_text("a file")
    refused = await operator.prepare()
    assert refused.code == 1 and "no secret can be written" in refused.err
    operator.folder.unlink()
    wrong = await operator.prepare(said="another password\n")
    assert wrong.code == 1 and "HTTP 401" in wrong.err and "administrator" in wrong.err
    assert "another password" not in wrong.err and operator.twin.calls == []


@pytest.mark.parametrize(
    ("arguments", "said", "environment", "words"),
    [
        ((), "CHANGE_ME\n", {}, "placeholder"),
        ((), "\n", {}, "empty"),
        ((), PASSWORD, {"DEPLOY_REGISTRY_CLEANUP_KIND": "registry"}, "DEPLOY_REGISTRY_CLEANUP_KIND"),
        ((), PASSWORD, {"DEPLOY_REGISTRY_CLEANUP_BASE_URL": ""}, "DEPLOY_REGISTRY_CLEANUP_BASE_URL is not set"),
        (("--node", "runner"), PASSWORD, {}, "the same name"),
        (("--renew", "nobody"), PASSWORD, {}, "nobody is none of the accounts"),
        (("--runner", "../x"), PASSWORD, {}, "lower-case"),
    ],
)
async def test_what_cannot_be_meant_is_refused_before_anything_is_asked(
    operator: Operator, arguments: tuple[str, ...], said: str, environment: dict[str, str], words: str
) -> None:
    ended = await operator.prepare(*arguments, said=said, **environment)
    assert ended.code != 0 and words in ended.err
    assert operator.twin.calls == []


async def test_a_password_is_no_argument(operator: Operator) -> None:
    ended = await operator.prepare(PASSWORD)
    assert ended.code == 2 and "never one" in ended.err


def test_credentials_do_not_show_their_secret() -> None:
    assert "hidden" not in f"{Credentials('robot', 'hidden')!r} {Credentials('robot', 'hidden')}"
