"""Where the platform is and with which token an operator speaks to it: the only place here that reads the environment.

A context that is named (`--context`, `FUNAI_CONTEXT`) is a control plane of the operator's own file, `console.config`,
and nothing else says where it is: a name never means another place. Without a name, `platform.json` and
`credentials.env` in the data folder of the platform count; `FUNAI_DEPLOY_URL`, `FUNAI_API_URL` and `DEPLOY_ADMIN_TOKEN`
win over them, so that a console can also run on another machine. Where neither knows an address, the file's default
context does. `FUNAI_CONSOLE_WRITE` says whether the console may change anything where no context does, and
`FUNAI_CONSOLE_PRODUCTION` whether that is a production there.
"""

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from console.config import Config, Context, InvalidConfig, load, names, path, state_path

DATA_FOLDER_NAME: Final = "data"
_PROJECT: Final = Path(__file__).resolve().parent.parent
_COMMAND_SECONDS: Final = 30.0


class NotConfigured(Exception):
    """The control plane's address or the admin token is unknown; the message says what to set."""


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """What the console and the one-shot commands need to know of one control plane.

    `name` is its context's, empty without one. `production`: destructive actions ask for the name of what they destroy.
    `write`: the console may change something there.
    """

    data_dir: Path
    deploy_url: str
    api_url: str | None
    admin_token: str = field(repr=False)
    write: bool = True
    name: str = ""
    production: bool = False
    theme: str | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    keymap: Mapping[str, str] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Host and port of the control plane, for people."""
        return urlsplit(self.deploy_url).netloc


def read(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> ConsoleSettings:
    """The settings of the one control plane that a command asks (`folder` wins over `FUNAI_DATA_DIR`).

    Raises NotConfigured.
    """
    found = read_all(environ, folder)
    if len(found) > 1:
        raise NotConfigured(
            f"{', '.join(each.name for each in found)} are several control planes, and this asks one; name one of them"
        )
    return found[0]


def read_all(environ: Mapping[str, str] | None = None, folder: Path | None = None) -> tuple[ConsoleSettings, ...]:
    """The settings of every control plane that is meant, from the environment, the data folder and the operator's file.

    Raises NotConfigured.
    """
    given = os.environ if environ is None else environ
    data_dir = folder or _data_dir(given)
    chosen = names(given.get("FUNAI_CONTEXT", ""))
    if chosen:
        return _contexts(_config(given), chosen, data_dir, given)
    places = _platform(data_dir / "platform.json")
    deploy_url = given.get("FUNAI_DEPLOY_URL") or places.get("deploy")
    if deploy_url:
        return (_here(given, data_dir, deploy_url, places),)
    config = _config(given)
    if config.default:
        return _contexts(config, names(config.default), data_dir, given)
    raise NotConfigured(
        f"the control plane's address is not known: {data_dir}/platform.json is not there; "
        f"start the platform with bin/up, set FUNAI_DATA_DIR or FUNAI_DEPLOY_URL, or write a context into {path(given)}"
    )


def _here(given: Mapping[str, str], data_dir: Path, deploy_url: str, places: Mapping[str, str]) -> ConsoleSettings:
    if urlsplit(deploy_url).scheme not in ("http", "https") or not urlsplit(deploy_url).hostname:
        raise NotConfigured("FUNAI_DEPLOY_URL is not an address; set it to http(s)://host[:port]")
    token = given.get("DEPLOY_ADMIN_TOKEN") or _credentials(data_dir / "credentials.env").get("DEPLOY_ADMIN_TOKEN")
    token = (token or "").split(",")[0].strip()
    if not token:
        raise NotConfigured(
            f"the admin token is not known: {data_dir}/credentials.env holds no DEPLOY_ADMIN_TOKEN; "
            "set it in the environment or start the platform with bin/up"
        )
    config = _config(given)
    return ConsoleSettings(
        data_dir,
        deploy_url,
        given.get("FUNAI_API_URL") or places.get("api"),
        token,
        _may_write(given),
        production=_said(given, "FUNAI_CONSOLE_PRODUCTION") or False,
        theme=config.theme,
        columns=config.columns,
        keymap=config.keymap,
    )


def _may_write(environ: Mapping[str, str]) -> bool:
    """Whether the console changes anything: on a platform of this machine it does unless told otherwise, on one that
    was named by its address it does only when told so."""
    said = _said(environ, "FUNAI_CONSOLE_WRITE")
    return not environ.get("FUNAI_DEPLOY_URL") if said is None else said


def _said(environ: Mapping[str, str], variable: str) -> bool | None:
    said = environ.get(variable, "").strip().lower()
    if said not in ("", "true", "false"):
        raise NotConfigured(f"{variable} must be true or false")
    return said == "true" if said else None


def config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where the operator's file is, or would be."""
    return path(os.environ if environ is None else environ)


def columns_path(environ: Mapping[str, str] | None = None) -> Path:
    """Where the columns are kept that the operator chose last."""
    return state_folder(environ) / "columns.json"


def _config(given: Mapping[str, str]) -> Config:
    try:
        return load(path(given))
    except InvalidConfig as problem:
        raise NotConfigured(str(problem)) from problem


def _contexts(
    config: Config, chosen: tuple[str, ...], data_dir: Path, given: Mapping[str, str]
) -> tuple[ConsoleSettings, ...]:
    unknown = [name for name in chosen if name not in config.contexts]
    if unknown:
        known = ", ".join(config.contexts) or "none"
        raise NotConfigured(f"there is no context {', '.join(unknown)} in {path(given)}; it has: {known}")
    return tuple(_of(name, config.contexts[name], config, data_dir) for name in chosen)


def _of(name: str, context: Context, config: Config, data_dir: Path) -> ConsoleSettings:
    return ConsoleSettings(
        data_dir,
        context.deploy_url,
        context.api_url,
        _token(name, context),
        context.write,
        name,
        context.production,
        context.theme or config.theme,
        {**config.columns, **context.columns},
        {**config.keymap, **context.keymap},
    )


def _token(name: str, context: Context) -> str:
    """The token of a context: the first line of its file, or of what its command writes."""
    text: str | None = ""
    if context.token_command is not None:
        text = _written(name, context.token_command)
    elif context.token_file is not None:
        text = _private(context.token_file.expanduser())
    if text is None:
        raise NotConfigured(f"context {name}: {context.token_file} is not there; write the token into it, mode 600")
    token = text.partition("\n")[0].strip()
    if not token:
        raise NotConfigured(f"context {name}: its token is empty; see its token-file or token-command")
    return token


def _written(name: str, command: tuple[str, ...]) -> str:
    """What a command writes. What it says of a failure is not repeated: it may hold a secret."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=False)
    except OSError as error:
        raise NotConfigured(
            f"context {name}: {command[0]} cannot be run: {error.strerror}; see token-command"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise NotConfigured(
            f"context {name}: {command[0]} took longer than {_COMMAND_SECONDS:.0f} s; try it by hand"
        ) from error
    if done.returncode:
        raise NotConfigured(f"context {name}: {command[0]} ended with exit code {done.returncode}; try it by hand")
    return done.stdout


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


def read_operator(settings: ConsoleSettings, environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Address and admin token of the API entry. A named context is another place than the data folder, whose token does
    not count there. Raises NotConfigured."""
    given = os.environ if environ is None else environ
    here = {} if settings.name else _credentials(settings.data_dir / "credentials.env")
    token = (given.get("API_ADMIN_TOKEN") or here.get("API_ADMIN_TOKEN") or "").split(",")[0].strip()
    if not settings.api_url:
        raise NotConfigured("the API entry's address is not known: set FUNAI_API_URL, or api-url of the context")
    if not token:
        raise NotConfigured("the API entry's admin token is not known; set API_ADMIN_TOKEN in the environment")
    return settings.api_url, token


def state_folder(environ: Mapping[str, str] | None = None) -> Path:
    """Where the console keeps what is not configuration (XDG Base Directory 0.8)."""
    return state_path(os.environ if environ is None else environ)


def recordings_file(environ: Mapping[str, str] | None = None) -> Path:
    """Where the console records what it shows."""
    return state_folder(environ) / "recordings.sqlite"


def records(environ: Mapping[str, str] | None = None) -> bool:
    """Whether the console records what it shows; FUNAI_RECORD=off turns it off."""
    given = os.environ if environ is None else environ
    return given.get("FUNAI_RECORD", "on").strip().lower() not in ("off", "0", "false", "no")


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
    text = _private(path) or ""
    pairs = (line.partition("=") for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, equals, value in pairs if equals}


def _private(path: Path) -> str | None:
    """What a file with a secret says; None when it is not there. Raises NotConfigured when others may read it."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise NotConfigured(f"{path} cannot be read: {error.strerror}; run as the user who started it") from error
    if mode & 0o077:
        raise NotConfigured(f"{path} is open to other accounts; run: chmod 600 {path}")
    return text
