"""The one run that a workspace has at a time, and how it goes."""

from dataclasses import dataclass
from typing import Final

from protocol.workspace_runs import RunState, RunType

#: Runs that end by themselves.
_ENDING: Final = (RunType.BUILD, RunType.INSTALL)


@dataclass(frozen=True, slots=True)
class Run:
    """What the node remembers: never in a file that the user could write. `tag` names all of its processes, `program`
    is the engine's name for the first of them."""

    user_id: str
    app_id: str
    type: RunType
    tag: str
    log: str
    started_at_ms: int
    program: str = ""
    framework: str = ""
    keeps_prefix: bool = False
    exit_code: int | None = None
    finished_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What is seen of it now: whether its first process lives, and on which ports something of it listens."""

    alive: bool
    listening: tuple[int, ...] = ()


def state(run: Run | None, sight: Sight, now_ms: int, starting_ms: int) -> RunState:
    """How it goes. A server that does not listen is starting for as long as that may take."""
    if run is None:
        return RunState.IDLE
    if run.type in _ENDING:
        if run.finished_at_ms is None and sight.alive:
            return RunState.BUILDING if run.type is RunType.BUILD else RunState.INSTALLING
        if run.exit_code is None:
            return RunState.UNKNOWN
        return RunState.SUCCESS if run.exit_code == 0 else RunState.FAILED
    if run.finished_at_ms is not None or not sight.alive:
        return RunState.DEAD
    if sight.listening:
        return RunState.RUNNING
    return RunState.STARTING if now_ms - run.started_at_ms <= starting_ms else RunState.DEAD


def serves(run: Run | None) -> bool:
    """Whether it is a server that is to go on, also after the workspace slept."""
    return run is not None and run.type not in _ENDING and run.finished_at_ms is None


def log_name(kind: RunType, app_id: str, now_ms: int) -> str:
    """The documented name of a run's log."""
    return f"run-{kind.value.lower()}-{app_id}-{now_ms}.log"


@dataclass(frozen=True, slots=True)
class LogName:
    """What a log's name says: the type of its run, the app, and when it began."""

    kind: str
    app_id: str
    at_ms: int


def read_log_name(name: str) -> LogName | None:
    """None for a name that no log has. An app's id may hold hyphens."""
    parts = name.removesuffix(".log").split("-")
    if len(parts) < 4 or parts[0] != "run" or not (parts[-1].isascii() and parts[-1].isdecimal()):
        return None
    return LogName(parts[1], "-".join(parts[2:-1]), int(parts[-1]))


def superfluous(names: tuple[str, ...], kept: int) -> tuple[str, ...]:
    """Of a user's logs, those beyond the newest `kept` of each type."""
    by_kind: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if (said := read_log_name(name)) is not None:
            by_kind.setdefault(said.kind, []).append((said.at_ms, name))
    return tuple(name for found in by_kind.values() for _, name in sorted(found, reverse=True)[kept:])
