"""Commands that become, or start, something else: the console, the platform, a single daemon.

Daemons are other programs: they are started as `python -m daemons.NAME` with settings in their environment, never
imported. A database's address may hold a password, so it travels in the environment as well and leaves the arguments.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Annotated, Final, NoReturn
from urllib.parse import urlsplit

import typer

from console.cli import foreground
from console.live.themes import THEMES, look_of
from console.live.words import LANGUAGES, choose, language_of
from console.web.gate import Address

app = typer.Typer(rich_markup_mode=None)

#: The variables that --host, --port and --db set, by daemon; None where a daemon has no such thing.
_VARIABLES: Final[dict[str, tuple[str, str, str | None]]] = {
    "deploy": ("DEPLOY_HOST", "DEPLOY_PORT", "DEPLOY_DB_URL"),
    "runner": ("RUNNER_HOST", "RUNNER_PORT", None),
    "agent": ("RUNTIME_AGENT_HOST", "RUNTIME_AGENT_PORT", None),
    "git": ("GIT_HOST", "GIT_PORT", None),
    "api": ("API_HOST", "API_PORT", "API_DB_URL"),
    "workspace": ("WORKSPACE_HOST", "WORKSPACE_PORT", None),
}

Database = Annotated[
    str | None,
    typer.Option("--db", metavar="URL", help="sqlite:///PATH or mysql://USER:PASSWORD@HOST:PORT/NAME"),
]
Folder = Annotated[Path | None, typer.Option("--data-dir", metavar="DIR", help="Folder that holds everything.")]


Time = Annotated[
    str | None,
    typer.Argument(metavar="[TIME]", help="With --replay: 14:30, 2026-05-01T14:30 (UTC), 90m before the end."),
]
Write = Annotated[
    bool | None,
    typer.Option("--write/--read-only", help="May it change anything? By default on this machine's platform alone."),
]
Contexts = Annotated[
    str | None, typer.Option(metavar="NAME[,NAME]", help="Contexts of the settings: see funai config.")
]
Replay = Annotated[bool, typer.Option("--replay", help="Play what the console recorded, from TIME on.")]
Theme = Annotated[str, typer.Option(metavar="NAME", help=f"{', '.join(THEMES)}; else FUNAI_THEME, else the settings'.")]
Lang = Annotated[str, typer.Option(metavar="LANGUAGE", help=f"{', '.join(LANGUAGES)}; else LANG.")]
Plain = Annotated[bool, typer.Option("--plain", help="Sentences, line by line, for screen readers.")]
Serve = Annotated[bool, typer.Option("--serve", help="In browsers, who log in with the admin token.")]
Host = Annotated[str, typer.Option(help="With --serve: the address to listen on.")]
Port = Annotated[int, typer.Option(min=1, max=65535, help="With --serve: the port.")]
PublicUrl = Annotated[
    str, typer.Option(metavar="URL", help="With --serve: https://..., what browsers call the proxy before it.")
]


@app.command()
def console(
    time: Time = None,
    data_dir: Folder = None,
    write: Write = None,
    context: Contexts = None,
    replay: Replay = False,
    theme: Theme = "",
    lang: Lang = "",
    plain: Plain = False,
    serve: Serve = False,
    host: Host = "127.0.0.1",
    port: Port = 7080,
    public_url: PublicUrl = "",
) -> None:
    """Open the operations console, or play what it recorded."""
    if time is not None and not replay:
        _refuse("a time is given without --replay; leave it out, or add --replay")
    if write is not None:
        os.environ["FUNAI_CONSOLE_WRITE"] = str(write).lower()
    if context is not None:
        os.environ["FUNAI_CONTEXT"] = context
    if data_dir is not None:
        os.environ["FUNAI_DATA_DIR"] = str(data_dir.resolve())
    look, language = _look(theme), _language(lang)
    choose(language)
    if replay:
        raise typer.Exit(foreground.open_replay(time, look))
    if plain:
        importlib.import_module("console.cli.linear").open_lines()
        return
    if serve:
        raise typer.Exit(foreground.serve_console(Address(host, port, _public(host, public_url)), look, language))
    raise typer.Exit(foreground.open_console(look))


@app.command()
def up(
    headless: Annotated[
        bool, typer.Option("--headless", help="No console; one JSON line on stdout when ready.")
    ] = False,
    data_dir: Folder = None,
    port_base: Annotated[int | None, typer.Option(metavar="N", help="Use the seven ports from N on.")] = None,
    db: Database = None,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Bring up the demo app.")] = True,
) -> None:
    """Start the whole platform on this machine."""
    if db is not None:
        os.environ["DEPLOY_DB_URL"] = db
        _restart_without_database()
    if data_dir is not None:
        os.environ["FUNAI_DATA_DIR"] = str(data_dir.resolve())
    if port_base is not None:
        os.environ["FUNAI_PORT_BASE"] = str(port_base)
    if not demo:
        os.environ["FUNAI_DEMO"] = "false"
    argv = (sys.executable, "-m", "daemons.supervisor")
    if headless or not (sys.stdin.isatty() and sys.stdout.isatty()):
        os.execv(argv[0], argv)  # noqa: S606 - the same program, another module
    choose(language_of(os.environ))
    raise typer.Exit(foreground.platform_and_console(argv, _look("")))


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="The repository; by default the folder you are in.")] = Path(),
) -> None:
    """Write the Dockerfile that a runner would use for this project, and its .dockerignore; nothing is overwritten.

    RUNNER_NODE_IMAGE, RUNNER_PYTHON_IMAGE, RUNNER_GO_IMAGE and RUNNER_STATIC_IMAGE name other base images.
    """
    argv = (sys.executable, "-m", "daemons.runner", "init", str(folder))
    os.execv(argv[0], argv)  # noqa: S606 - the same program, another module


@app.command()
def daemon(
    name: Annotated[str, typer.Argument(help=", ".join(_VARIABLES))],
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    db: Database = None,
) -> None:
    """Run one daemon in the foreground, as under systemd; everything else comes from its environment."""
    if name not in _VARIABLES:
        _refuse(f"there is no daemon {name!r}; choose one of {', '.join(_VARIABLES)}")
    host_name, port_name, db_name = _VARIABLES[name]
    if db is not None and db_name is None:
        _refuse(f"{name} has no database; leave out --db")
    given = {host_name: host, port_name: None if port is None else str(port), db_name: db}
    os.environ.update({key: value for key, value in given.items() if key is not None and value is not None})
    os.execv(sys.executable, (sys.executable, "-m", f"daemons.{name}"))  # noqa: S606


def _look(given: str) -> str:
    """The theme that was asked for; empty where the operator's settings say it."""
    if given and given not in THEMES:
        _refuse(f"there is no theme {given!r}; choose one of {', '.join(THEMES)}")
    asked = given or os.environ.get("FUNAI_THEME", "")
    return look_of(asked) if asked else ""


def _language(given: str) -> str:
    if given and given not in LANGUAGES:
        _refuse(f"there is no language {given!r}; choose one of {', '.join(LANGUAGES)}")
    return given or language_of(os.environ)


def _public(host: str, url: str) -> str | None:
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/")):
        _refuse("--public-url must be http(s)://host[:port], without a path")
    if not url and host not in ("127.0.0.1", "::1", "localhost"):
        _refuse("other machines must come by https: put a proxy with TLS before it and say --public-url https://HOST")
    return url or None


def _restart_without_database() -> NoReturn:
    """Start this very command again without --db, so that a password does not stay in the process list."""
    kept: list[str] = []
    words = iter(sys.argv[1:])
    for word in words:
        if word == "--db":
            next(words, None)
        elif not word.startswith("--db="):
            kept.append(word)
    os.execv(sys.executable, (sys.executable, "-m", "console", *kept))  # noqa: S606


def _refuse(message: str) -> NoReturn:
    typer.echo(f"funai: {message}", err=True)
    raise typer.Exit(2)
