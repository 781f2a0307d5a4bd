"""Where the platform is and with which token an operator speaks to it: the only place here that reads the environment.

`platform.json` and `credentials.env` lie in the data folder of the platform; `FUNAI_DEPLOY_URL`, `FUNAI_API_URL` and
`DEPLOY_ADMIN_TOKEN` win over them, so that a console can also run on another machine. `FUNAI_CONSOLE_WRITE` says
whether it may change anything.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

DATA_FOLDER_NAME: Final = "data"
_PROJECT: Final = Path(__file__).resolve().parent.parent


class NotConfigured(Exception):
    """The control plane's address or the admin token is unknown; the message says what to set."""


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """What the console and the one-shot commands need to know."""

    data_dir: Path
    deploy_url: str
    api_url: str | None
    admin_token: str = field(repr=False)
    write: bool = True

    @property
    def place(self) -> str:
        """Host and port of the control plane, for people."""
        return urlsplit(self.deploy_url).netloc


def read(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> ConsoleSettings:
    """The settings from the environment and the data folder (`folder` wins over `FUNAI_DATA_DIR`).

    Raises NotConfigured.
    """
    given = os.environ if environ is None else environ
    data_dir = folder or _data_dir(given)
    places = _platform(data_dir / "platform.json")
    deploy_url = given.get("FUNAI_DEPLOY_URL") or places.get("deploy")
    if not deploy_url:
        raise NotConfigured(
            f"the control plane's address is not known: {data_dir}/platform.json is not there; "
            "start the platform with bin/up, or set FUNAI_DATA_DIR or FUNAI_DEPLOY_URL"
        )
    if urlsplit(deploy_url).scheme not in ("http", "https") or not urlsplit(deploy_url).hostname:
        raise NotConfigured("FUNAI_DEPLOY_URL is not an address; set it to http(s)://host[:port]")
    token = given.get("DEPLOY_ADMIN_TOKEN") or _credentials(data_dir / "credentials.env").get("DEPLOY_ADMIN_TOKEN")
    token = (token or "").split(",")[0].strip()
    if not token:
        raise NotConfigured(
            f"the admin token is not known: {data_dir}/credentials.env holds no DEPLOY_ADMIN_TOKEN; "
            "set it in the environment or start the platform with bin/up"
        )
    api_url = given.get("FUNAI_API_URL") or places.get("api")
    return ConsoleSettings(data_dir, deploy_url, api_url, token, _may_write(given))


def _may_write(environ: Mapping[str, str]) -> bool:
    """Whether the console changes anything: on a platform of this machine it does unless told otherwise, on one that
    was named by its address it does only when told so."""
    said = environ.get("FUNAI_CONSOLE_WRITE", "").strip().lower()
    if said not in ("", "true", "false"):
        raise NotConfigured("FUNAI_CONSOLE_WRITE must be true or false")
    return said == "true" if said else not environ.get("FUNAI_DEPLOY_URL")


@dataclass(frozen=True, slots=True)
class OwnerSettings:
    """What it takes to act as the demo user, who owns apps, pushes to their repositories and visits their pages."""

    api_url: str
    gateway_url: str
    user_token: str = field(repr=False)
    key: Path
    known_hosts: Path


def read_owner(settings: ConsoleSettings, environ: Mapping[str, str] | None = None) -> OwnerSettings:
    """The demo user's side of a platform that runs from the data folder. Raises NotConfigured."""
    given = os.environ if environ is None else environ
    places = _platform(settings.data_dir / "platform.json")
    token = (
        given.get("API_USER_TOKEN") or _credentials(settings.data_dir / "credentials.env").get("API_USER_TOKEN") or ""
    )
    gateway, keys = places.get("gateway"), settings.data_dir.resolve() / "keys"
    if not (settings.api_url and gateway and token):
        raise NotConfigured(
            f"{settings.data_dir} does not hold a running platform (platform.json, credentials.env); "
            "start it with bin/up, or set FUNAI_DATA_DIR"
        )
    first = token.split(",")[0].strip()
    return OwnerSettings(settings.api_url, gateway, first, keys / "demo_user_ed25519", keys / "known_hosts")


def _data_dir(environ: Mapping[str, str]) -> Path:
    named = environ.get("FUNAI_DATA_DIR")
    if named:
        return Path(named)
    here = Path(DATA_FOLDER_NAME)
    return here if here.is_dir() else _PROJECT / DATA_FOLDER_NAME


def _platform(path: Path) -> Mapping[str, str]:
    try:
        document = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read: {error.strerror}; check its owner and mode") from error
    except ValueError as error:
        raise NotConfigured(f"{path} is not JSON; start the platform again with bin/up") from error
    if not isinstance(document, dict):
        raise NotConfigured(f"{path} is not a JSON object; start the platform again with bin/up")
    return {key: value for key, value in document.items() if isinstance(value, str)}


def _credentials(path: Path) -> Mapping[str, str]:
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read: {error.strerror}; run as the user who started it") from error
    if mode & 0o077:
        raise NotConfigured(f"{path} is open to other accounts; run: chmod 600 {path}")
    pairs = (line.partition("=") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, equals, value in pairs if equals}
