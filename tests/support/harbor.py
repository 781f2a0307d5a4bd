"""A server that plays Harbor's recorded contract, `harbor_contract.json`, over images, projects and robots in memory.

The file says which requests there are, to the letter of path, query, headers and body, and what each may be answered
with; what is in memory decides which of the answers it is. A request that is not in the file is remembered in `refused`
and answered with 501, so that an adapter that asks otherwise than Harbor understands fails its tests.
"""

import base64
import json
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from tests.support.registries import LOGIN, RegistryTwin

CONTRACT: Final = json.loads(Path(__file__).with_name("harbor_contract.json").read_text())
_HOLE: Final = re.compile(r"\{(\w+)\}")
Holes = dict[str, object]
Chosen = tuple[str, Holes]


@dataclass
class HarborTwin:
    """What Harbor knows. Images tagged `protected` cannot be removed; `per_page` is the most that a page has."""

    images: RegistryTwin = field(default_factory=RegistryTwin)
    per_page: int = 100
    projects: dict[str, dict[str, str]] = field(default_factory=dict)
    robots: dict[int, dict[str, object]] = field(default_factory=dict)
    garbage: tuple[str, str] | None = None
    calls: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def secret_of(self, login: str) -> object:
        """The secret an account has now."""
        return next(robot["secret"] for robot in self.robots.values() if robot["name"] == login)

    def answer(self, call: str, holes: Holes) -> Chosen:
        """Which of the recorded answers it is, and what is in it."""
        self.calls.append(call)
        chosen: Callable[[Holes], Chosen] = getattr(self, f"_{call}")
        return chosen(holes)

    def _repository(self, holes: Holes) -> tuple[str, dict[str, set[str]] | None]:
        # Harbor decodes the repository's segment twice: once as a path, once more by itself.
        name = f"{holes['project']}/{unquote(unquote(str(holes['repository'])))}"
        assert "/" not in unquote(str(holes["repository"])), "a slash of the repository's name must be encoded twice"
        return name, self.images.images.get(name)

    def _artifact(self, holes: Holes) -> Chosen:
        _, found = self._repository(holes)
        if found is None or holes["digest"] not in found:
            return "absent", {}
        return "found", _artifact(str(holes["digest"]), found[str(holes["digest"])])

    def _delete_artifact(self, holes: Holes) -> Chosen:
        _, found = self._repository(holes)
        digest = str(holes["digest"])
        if found is None or digest not in found:
            return "absent", {}
        if "protected" in found[digest]:
            return "protected", {}
        del found[digest]
        return "deleted", {}

    def _delete_repository(self, holes: Holes) -> Chosen:
        name, found = self._repository(holes)
        if found is None:
            return "absent", {}
        del self.images.images[name]
        return "deleted", {}

    def _artifacts(self, holes: Holes) -> Chosen:
        _, found = self._repository(holes)
        if found is None:
            return "absent", {}
        entries = [_artifact(digest, tags) for digest, tags in reversed(found.items())]
        return self._page(entries, holes)

    def _make_project(self, holes: Holes) -> Chosen:
        if holes["project"] in self.projects:
            return "conflict", {}
        self.projects[str(holes["project"])] = {"public": "false"}
        return "made", {"project_id": len(self.projects)}

    def _project(self, holes: Holes) -> Chosen:
        metadata = self.projects.get(str(holes["project"]))
        if metadata is None:
            return "absent", {}
        return "found", {"project_id": [*self.projects].index(str(holes["project"])) + 1, "metadata": metadata}

    def _robots(self, holes: Holes) -> Chosen:
        project = [*self.projects][int(str(holes["project_id"])) - 1]
        mine = [robot for robot in self.robots.values() if robot["project"] == project]
        shown = [{key: value for key, value in robot.items() if key not in ("secret", "project")} for robot in mine]
        return self._page(shown, holes)

    def _make_robot(self, holes: Holes) -> Chosen:
        login = f"robot${holes['project']}+{holes['name']}"
        if any(robot["name"] == login for robot in self.robots.values()):
            return "conflict", {}
        number, secret = len(self.robots) + 1, _secret()
        self.robots[number] = {
            "id": number,
            "name": login,
            "project": str(holes["project"]),
            "level": "project",
            "disable": False,
            "editable": True,
            "expires_at": -1,
            "permissions": _permissions(holes),
            "secret": secret,
        }
        return "made", {"id": number, "login": login, "secret": secret}

    def _mend_robot(self, holes: Holes) -> Chosen:
        robot = self.robots.get(int(str(holes["id"])))
        if robot is None:
            return "absent", {}
        if robot["name"] != holes["login"]:
            return "other_name", {}
        robot |= {"permissions": _permissions(holes), "disable": False, "expires_at": -1}
        return "changed", {}

    def _renew_secret(self, holes: Holes) -> Chosen:
        robot = self.robots.get(int(str(holes["id"])))
        if robot is None:
            return "absent", {}
        robot["secret"] = _secret()
        return "renewed", {"secret": robot["secret"]}

    def _gc_schedule(self, _holes: Holes) -> Chosen:
        if self.garbage is None:
            return "none", {}
        return "scheduled", {"cron": self.garbage[0], "parameters": self.garbage[1]}

    def _schedule_gc(self, holes: Holes) -> Chosen:
        parameters = {"delete_untagged": holes["delete_untagged"], "redis_url_reg": "redis://redis:6379/1"}
        self.garbage = str(holes["cron"]), json.dumps(parameters)
        return "made", {}

    def _page(self, entries: list[Holes], holes: Holes) -> Chosen:
        page, size = int(str(holes["page"])), min(int(str(holes["page_size"])), self.per_page)
        shown = entries[(page - 1) * size : page * size]
        values: Holes = {"entries": shown, "total": str(len(entries))}
        if page * size >= len(entries):
            return "page", values
        return "page_and_more", {**values, "next": str(holes["_url"]).replace(f"page={page}&", f"page={page + 1}&", 1)}


@asynccontextmanager
async def harbor(twin: HarborTwin, login: tuple[str, str] = LOGIN) -> AsyncIterator[str]:
    """The URL of the server. What it was asked against the contract fails the test at the end."""
    proof = "Basic " + base64.b64encode(":".join(login).encode()).decode()

    async def handle(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != proof:
            return _answer({"status": 401, "error": "UNAUTHORIZED"}, {})
        body = await request.text()
        for exchange in CONTRACT["exchanges"]:
            holes = _holes(exchange["request"], request, json.loads(body) if body else None)
            if holes is not None:
                outcome, values = twin.answer(exchange["call"], holes)
                return _answer(exchange["answers"][outcome], {**holes, **values})
        twin.refused.append(f"{request.method} {request.raw_path} {body}")
        return web.Response(status=501, text="not in the recorded contract")

    app = web.Application()
    app.router.add_route("*", "/{anything:.*}", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
    assert not twin.refused, f"asked what Harbor's recorded contract does not have: {twin.refused}"


def _holes(wanted: Mapping[str, object], request: web.Request, body: object) -> Holes | None:
    """What fills the holes of a recorded request; None if this is another one."""
    path, _, query = request.raw_path.partition("?")
    holes: Holes = {"_url": request.raw_path}
    told = [
        (wanted["method"], request.method),
        (wanted["path"], path),
        (wanted.get("query", {}), dict(parse_qsl(query, keep_blank_values=True))),
        (wanted.get("body"), body),
    ]
    headers = wanted.get("headers", {})
    assert isinstance(headers, dict)
    told += [(value, request.headers.get(name)) for name, value in headers.items()]
    return holes if all(_fits(template, value, holes) for template, value in told) else None


def _fits(template: object, value: object, holes: Holes) -> bool:
    if isinstance(template, dict):
        if not isinstance(value, dict) or template.keys() != value.keys():
            return False
        return all(_fits(part, value[key], holes) for key, part in template.items())
    if isinstance(template, list):
        if not isinstance(value, list) or len(value) != len(template):
            return False
        return all(_fits(part, given, holes) for part, given in zip(template, value, strict=True))
    if not isinstance(template, str):
        return template == value and type(template) is type(value)
    if (whole := _HOLE.fullmatch(template)) is not None:
        holes[whole[1]] = value
        return value is not None
    parts = _HOLE.split(template)
    pattern = "".join(re.escape(part) if index % 2 == 0 else f"(?P<{part}>[^/]+)" for index, part in enumerate(parts))
    found = re.fullmatch(pattern, value) if isinstance(value, str) else None
    holes |= found.groupdict() if found else {}
    return found is not None


def _answer(recorded: Mapping[str, object], holes: Holes) -> web.Response:
    status, headers = recorded["status"], _filled(recorded.get("headers", {}), holes)
    assert isinstance(status, int) and isinstance(headers, dict)
    if "error" in recorded:
        words = {"code": recorded["error"], "message": f"{recorded['error']} in the words of Harbor"}
        return web.json_response(_filled(CONTRACT["errors"], words), status=status)
    if "body" not in recorded:
        return web.Response(status=status, headers=headers)
    return web.json_response(_filled(recorded["body"], holes), status=status, headers=headers)


def _filled(template: object, holes: Mapping[str, object]) -> object:
    if isinstance(template, dict):
        return {key: _filled(value, holes) for key, value in template.items()}
    if isinstance(template, list):
        return [_filled(value, holes) for value in template]
    if not isinstance(template, str):
        return template
    if (whole := _HOLE.fullmatch(template)) is not None:
        return holes[whole[1]]
    return _HOLE.sub(lambda found: str(holes[found[1]]), template)


def _artifact(digest: str, tags: set[str]) -> Holes:
    shown = [{"name": tag, "immutable": False} for tag in sorted(tags)] or None
    return {"digest": digest, "type": "IMAGE", "tags": shown, "push_time": "2026-11-22T12:00:00.000Z"}


def _permissions(holes: Holes) -> list[object]:
    return [{"kind": "project", "namespace": holes["project"], "access": holes["access"]}]


def _secret() -> str:
    return f"Aa1{secrets.token_urlsafe(24)}"
