"""Real git over real SSH before the server that plays Gitea: whom Gitea would let in, the git server of ours does.

It stands in for Gitea's SSH server: deploy keys open the repository that they are keys of, and the bots' keys what
their teams or they themselves were let in to.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import asyncssh

from tests.support.git_host import GitHost
from tests.support.gitea_server import GiteaServer

_ACCESS = {"runner-readonly": "read", "workspace-write": "write"}


def stand_before(server: GiteaServer, host: GitHost, accounts: Mapping[str, tuple[str, str, str]]) -> None:
    """From now on the host lets in whom the server knows. `accounts` are those of bots: team, fingerprint, key."""
    server.told = _writing(host, accounts)
    server.told(server)


def _writing(host: GitHost, accounts: Mapping[str, tuple[str, str, str]]) -> Callable[[GiteaServer], None]:
    def write(server: GiteaServer) -> None:
        keys = [_deploy_key(name, key) for name, found in server.repositories.items() for key in found.keys.values()]
        for account, (team, fingerprint, public) in accounts.items():
            granted = [
                {"repository": name, "access": found.collaborators.get(account, _ACCESS[team])}
                for name, found in server.repositories.items()
                if team in found.teams or account in found.collaborators
            ]
            keys.append({"principal": account, "fingerprint": fingerprint, "publicKey": public, "grants": granted})
        path = host.folder / "access.json"
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({"keys": keys}))
        draft.replace(path)

    return write


def _deploy_key(repository: str, key: Mapping[str, object]) -> Mapping[str, object]:
    access = "read" if key["read_only"] else "write"
    return {
        "principal": f"deploy-key:{key['id']}",
        "fingerprint": key["fingerprint"],
        "publicKey": key["key"],
        "grants": [{"repository": repository, "access": access}],
    }


def account_of(team: str, key: Path) -> tuple[str, str, str]:
    """A bot's team, and what an operator gives Gitea of its key."""
    public = asyncssh.read_public_key(key.with_suffix(".pub"))
    return team, public.get_fingerprint("sha256"), " ".join(public.export_public_key().decode().split()[:2])
