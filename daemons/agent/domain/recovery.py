"""What an agent that was killed has to do next, decided from its journal and from what the engine shows.

One decision at a time: it is carried out, the engine is asked again, and so on until there is nothing left to do.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from daemons.agent.domain.apps import AppState, Instance
from daemons.agent.domain.probing import ContainerState


@dataclass(frozen=True, slots=True)
class Discard:
    """Remove the candidate: it was never switched to."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class End:
    """Stop and remove a retiring container, before another of a one-writer app may start."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Revive:
    """Start the current container."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class FallBack:
    """The current container is lost: this one serves again."""

    survivor: Instance


@dataclass(frozen=True, slots=True)
class Follow:
    """The engine publishes the current container on another port than was recorded."""

    port: int


@dataclass(frozen=True, slots=True)
class Unkeep:
    """The engine restarts the container by itself, which is for this agent to do."""

    instance: Instance


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing is left to do; `lost` when no container of the app runs though one should."""

    lost: bool = False


Action = Discard | End | Revive | FallBack | Follow | Unkeep | Rest
Seen = Mapping[str, ContainerState | None]


def next_action(state: AppState, seen: Seen, tried: Collection[str]) -> Action:
    """`seen` has every container that the state names; `tried` are those that were started already."""
    if state.progress is not None and state.progress.parked:
        # Visitors wait, and the way back is a step of its own, with a probe in it: see `resumed`.
        return Rest()
    if state.candidate is not None:
        return Discard(state.candidate)
    if state.current is None:
        return Rest()
    found = seen[state.current.container]
    if found is not None and (found.running or found.restarting):
        return _running(state.current, found)
    return _fallen(state, state.current, seen, tried)


def _running(current: Instance, found: ContainerState) -> Action:
    if found.host_port is not None and found.host_port != current.port:
        return Follow(found.host_port)
    return Unkeep(current) if found.kept else Rest()


def _fallen(state: AppState, current: Instance, seen: Seen, tried: Collection[str]) -> Action:
    if survivor := _survivor(state, seen, tried):
        return FallBack(survivor)
    if seen[current.container] is None or current.container in tried:
        return Rest(lost=True)
    if state.one_writer and state.retiring:
        return End(state.retiring[0])
    if state.trouble is not None and state.trouble.down:
        # It crashed before, and its restart has a time of its own.
        return Rest(lost=True)
    return Revive(current)


def _survivor(state: AppState, seen: Seen, tried: Collection[str]) -> Instance | None:
    """A container that runs wins over one that could be started: nobody knows why the current one does not run."""
    current = state.current
    former = tuple(one for one in (state.warm, *reversed(state.retiring)) if one is not None)
    for one in former:
        if (found := seen[one.container]) is not None and found.running:
            return one
    lost = current is not None and (seen[current.container] is None or current.container in tried)
    kept = state.warm if state.warm is not None and state.warm.container not in tried else None
    return kept if lost and kept is not None and seen[kept.container] is not None else None
