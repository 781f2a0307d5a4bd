"""What the audit log keeps of shells: who opened one, where, what was run, when it ended and how. Never its content."""

from dataclasses import dataclass, replace

from daemons.deploy.domain.events import Actor, NewEvent
from daemons.deploy.domain.views import when
from protocol.shell import ShellEnd, ShellView


@dataclass(frozen=True, slots=True)
class Shell:
    """One shell of an operator; times are epoch milliseconds. `typed` and `written` count bytes."""

    id: str
    app_id: str
    node: str
    actor: Actor
    command: tuple[str, ...]
    opened_at: int
    container: str | None = None
    typed: int = 0
    written: int = 0
    closed_at: int | None = None
    end: ShellEnd | None = None


def closed(shell: Shell, now: int, end: ShellEnd) -> Shell:
    """The shell after its end."""
    return replace(shell, closed_at=now, end=end)


def event(shell: Shell) -> NewEvent:
    """The event of a shell that is opened, or was closed."""
    view = ShellView(
        id=shell.id,
        app_id=shell.app_id,
        node=shell.node,
        command=shell.command,
        container=shell.container,
        opened_at=when(shell.opened_at),
        closed_at=when(shell.closed_at) if shell.closed_at is not None else None,
        reason=shell.end.reason if shell.end is not None else None,
        exit_code=shell.end.exit_code if shell.end is not None else None,
        typed_bytes=shell.typed,
        written_bytes=shell.written,
    )
    change = "opened" if shell.closed_at is None else "closed"
    return NewEvent("shell", change, shell.app_id, shell.actor, view.to_json().decode())
