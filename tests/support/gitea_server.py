"""A server that answers as Gitea does, from exchanges that are written down in `gitea_contract.json`, and refuses what
is not among them.

It decides which of the written answers fits what was done before; it makes no answer of its own.
"""

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncssh
from aiohttp import web

TOKEN: Final = "gitea-admin-token-0123456789"
_CONTRACT: Final[Mapping[str, Any]] = json.loads((Path(__file__).parent / "gitea_contract.json").read_text())

Parts = Mapping[str, str]


@dataclass
class Repository:
    """What was done to one."""

    private: bool = True
    files: dict[str, str] = field(default_factory=lambda: {"README.md": "# new\n"})
    teams: set[str] = field(default_factory=set)
    collaborators: dict[str, str] = field(default_factory=dict)
    hooks: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    #: Deploy keys, by their ids.
    keys: dict[int, Mapping[str, Any]] = field(default_factory=dict)


@dataclass
class GiteaServer:
    """Its organization has these teams, by id, and its accounts are these. `failing` is how many calls of the next end
    in an error, `calls` what was asked. `strangers` are fingerprints of keys that accounts have; `told` is called
    before an answer to whatever changes who may enter."""

    url: str = ""
    organization: str = "funai"
    teams: dict[int, str] = field(default_factory=lambda: {7: "runner-readonly", 8: "workspace-write"})
    accounts: set[str] = field(default_factory=lambda: {"runner-bot", "workspace-bot"})
    repositories: dict[str, Repository] = field(default_factory=dict)
    failing: int = 0
    calls: list[str] = field(default_factory=list)
    played: set[str] = field(default_factory=set)
    outside: list[str] = field(default_factory=list)
    newest_key: int = 0
    #: Until when what was done is not answered.
    held: asyncio.Event | None = None
    strangers: set[str] = field(default_factory=set)
    told: Callable[["GiteaServer"], None] = lambda _server: None

    async def handle(self, request: web.Request) -> web.Response:
        """One request."""
        self.calls.append(f"{request.method} {request.path}")
        if request.headers.get("Authorization") != f"token {TOKEN}":
            return _answered(_CONTRACT["errors"]["unauthorized"], {})
        if self.failing:
            self.failing -= 1
            return _answered(_CONTRACT["errors"]["internal"], {})
        body = await request.json() if request.can_read_body else None
        for exchange in _CONTRACT["exchanges"]:
            found = _fits(exchange["request"], request, body)
            if found is not None:
                answer = self._play(exchange, found, body, request)
                if self.held is not None:
                    await self.held.wait()
                return answer
        said = f"{request.method} {request.path_qs} {json.dumps(body)} is not in the contract"
        self.outside.append(said)
        return web.Response(status=418, text=said)

    def _play(self, exchange: Mapping[str, Any], parts: Parts, body: Any, request: web.Request) -> web.Response:
        asked = exchange["request"]
        asked_for = f"{asked['method']} {asked['path']}"
        self.played.add(asked_for)
        name, shown = _STATES[asked_for](self, {**request.query, **parts}, body)
        if request.method != "GET":
            self.told(self)
        response = deepcopy(exchange["responses"][name])
        if isinstance(shown, list):
            page, limit = int(request.query.get("page", 1)), int(request.query.get("limit", 30))
            items = [_merged(response["item"], each) for each in shown]
            response["body"] = items[(page - 1) * limit : page * limit]
        elif shown is not None:
            response["body"] = _merged(response["body"], shown)
        return _answered(response, parts)

    def repository(self, parts: Parts) -> Repository | None:
        """The one that a path names."""
        return self.repositories.get(f"{parts['owner']}/{parts['repo']}")


State = tuple[str, Any]


def _show(server: GiteaServer, parts: Parts, _body: Any) -> State:
    found = server.repository(parts)
    return ("missing" if found is None else "found" if found.private else "public"), None


def _create(server: GiteaServer, parts: Parts, body: Any) -> State:
    name = f"{parts['owner']}/{body['name']}"
    if parts["owner"] != server.organization:
        return "missing", None
    if name in server.repositories:
        return "exists", None
    server.repositories[name] = Repository(private=body["private"])
    return "created", {"name": body["name"]}


def _delete(server: GiteaServer, parts: Parts, _body: Any) -> State:
    gone = server.repositories.pop(f"{parts['owner']}/{parts['repo']}", None)
    return ("missing" if gone is None else "deleted"), None


def _list_teams(server: GiteaServer, parts: Parts, _body: Any) -> State:
    if parts["owner"] != server.organization:
        return "missing", None
    return "listed", [{"id": number, "name": name} for number, name in server.teams.items()]


def _join(server: GiteaServer, parts: Parts, _body: Any) -> State:
    found, team = server.repository(parts), server.teams.get(int(parts["id"]))
    if found is None or team is None:
        return "missing", None
    found.teams.add(team)
    return "joined", None


def _admit(server: GiteaServer, parts: Parts, body: Any) -> State:
    found = server.repository(parts)
    if found is None:
        return "missing", None
    if parts["collaborator"] not in server.accounts:
        return "stranger", None
    found.collaborators[parts["collaborator"]] = body["permission"]
    return "admitted", None


def _read(server: GiteaServer, parts: Parts, _body: Any) -> State:
    found = server.repository(parts)
    return ("found" if found is not None and parts["filepath"] in found.files else "missing"), None


def _write(server: GiteaServer, parts: Parts, body: Any) -> State:
    found = server.repository(parts)
    if found is None:
        return "missing", None
    if parts["filepath"] in found.files:
        return "exists", None
    found.files[parts["filepath"]] = b64decode(body["content"]).decode()
    return "created", None


def _list_hooks(server: GiteaServer, parts: Parts, _body: Any) -> State:
    found = server.repository(parts)
    return ("missing", None) if found is None else ("listed", [_hook(*each) for each in found.hooks.items()])


def _add_hook(server: GiteaServer, parts: Parts, body: Any) -> State:
    found = server.repository(parts)
    if found is None:
        return "missing", None
    number = max(found.hooks, default=0) + 1
    found.hooks[number] = body
    return "created", _hook(number, body)


def _change_hook(server: GiteaServer, parts: Parts, body: Any) -> State:
    found, number = server.repository(parts), int(parts["id"])
    if found is None or number not in found.hooks:
        return "missing", None
    found.hooks[number] = {**found.hooks[number], **body}
    return "changed", _hook(number, body)


def _hook(number: int, hook: Mapping[str, Any]) -> Mapping[str, Any]:
    """As Gitea shows it: without its secret."""
    return {"id": number, "config": {"url": hook["config"]["url"], "content_type": "json"}, "active": hook["active"]}


def _add_key(server: GiteaServer, parts: Parts, body: Any) -> State:
    """As Gitea does it: a key is known by its content, and one of an account is no deploy key of anything."""
    found, key = server.repository(parts), asyncssh.import_public_key(body["key"])
    if found is None:
        return "missing", None
    fingerprint = key.get_fingerprint("sha256")
    if fingerprint in server.strangers:
        return "used", None
    if any(known["fingerprint"] == fingerprint for known in found.keys.values()):
        return "added", None
    if any(known["title"] == body["title"] for known in found.keys.values()):
        return "titled", None
    # Ids are the server's, whatever repository a key is of.
    server.newest_key += 1
    shown = {"id": server.newest_key, "key": body["key"], "title": body["title"], "fingerprint": fingerprint}
    found.keys[server.newest_key] = {**shown, "read_only": body["read_only"]}
    return "created", shown


def _list_keys(server: GiteaServer, parts: Parts, _body: Any) -> State:
    found = server.repository(parts)
    if found is None:
        return "missing", None
    wanted = parts.get("fingerprint")
    return "listed", [key for key in found.keys.values() if wanted in (None, key["fingerprint"])]


def _delete_key(server: GiteaServer, parts: Parts, _body: Any) -> State:
    """Of a key that there is not Gitea says the same."""
    found = server.repository(parts)
    if found is None:
        return "missing", None
    found.keys.pop(int(parts["id"]), None)
    return "deleted", None


_REPO: Final = "/api/v1/repos/{owner}/{repo}"
_STATES: Final[Mapping[str, Callable[[GiteaServer, Parts, Any], State]]] = {
    f"GET {_REPO}": _show,
    "POST /api/v1/orgs/{owner}/repos": _create,
    f"DELETE {_REPO}": _delete,
    "GET /api/v1/orgs/{owner}/teams": _list_teams,
    "PUT /api/v1/teams/{id}/repos/{owner}/{repo}": _join,
    f"PUT {_REPO}/collaborators/{{collaborator}}": _admit,
    f"GET {_REPO}/contents/{{filepath}}": _read,
    f"POST {_REPO}/contents/{{filepath}}": _write,
    f"GET {_REPO}/hooks": _list_hooks,
    f"POST {_REPO}/hooks": _add_hook,
    f"PATCH {_REPO}/hooks/{{id}}": _change_hook,
    f"POST {_REPO}/keys": _add_key,
    f"GET {_REPO}/keys": _list_keys,
    f"DELETE {_REPO}/keys/{{id}}": _delete_key,
}


def _fits(written: Mapping[str, Any], request: web.Request, body: Any) -> Parts | None:
    """What the path names, if the request is the one that is written: the same keys of query and body, and values of
    the same kind."""
    pattern = re.sub(r"\\\{(\w+)\\\}", lambda it: _part(it[1]), re.escape(written["path"]))
    found = re.fullmatch(pattern, request.path)
    if found is None or request.method != written["method"]:
        return None
    if set(request.query) != set(written.get("query", ())) or not _alike(written.get("body"), body):
        return None
    return found.groupdict()


def _part(name: str) -> str:
    return f"(?P<{name}>{'.+' if name == 'filepath' else '[0-9]+' if name == 'id' else '[^/]+'})"


def _alike(written: Any, given: Any) -> bool:
    if isinstance(written, dict) and isinstance(given, dict):
        return written.keys() == given.keys() and all(_alike(written[key], given[key]) for key in written)
    return type(written) is type(given)


def _merged(written: Any, shown: Mapping[str, Any]) -> Any:
    """With values of the moment; a key that is not written is no key of Gitea's."""
    if unknown := shown.keys() - written.keys():
        raise KeyError(f"{sorted(unknown)} are not in the contract")
    return {**written, **shown}


def _answered(response: Mapping[str, Any], parts: Parts) -> web.Response:
    if response["body"] is None:
        return web.Response(status=response["status"])
    text = json.dumps(response["body"])
    for name, value in parts.items():
        text = text.replace(f"{{{name}}}", value)
    return web.Response(status=response["status"], text=text, content_type="application/json")


def written() -> Sequence[str]:
    """What the contract has, as `METHOD path`."""
    return [f"{each['request']['method']} {each['request']['path']}" for each in _CONTRACT["exchanges"]]


@asynccontextmanager
async def gitea_server() -> AsyncIterator[GiteaServer]:
    """For the duration of the block."""
    server = GiteaServer()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield server
    finally:
        await runner.cleanup()
    assert server.outside == []
