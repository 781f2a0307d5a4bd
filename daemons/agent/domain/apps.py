"""What this node knows of one app, and how a deployment changes it.

The state is written before every step it describes. `current` is the container that visitors are sent to; a
`candidate` was started and is not proven; `retiring` ones no longer get visitors and are to be stopped. `fence` is the
highest attempt ever seen: it only rises, and it outlives the app.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

_CONTAINER: Final = re.compile(
    r"rt-u-(?P<user>[1-9][0-9]{0,18})-(?P<app>[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)-r(?P<fence>[0-9]{1,20})(?:[.][0-9]{1,4})?"
)


class FenceRequired(Exception):
    """The caller named no attempt, and this node admits none without."""


class StaleFence(Exception):
    """A newer attempt has been here."""


class ForeignApp(Exception):
    """The app belongs to another user on this node."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One container of an app; `port` is the one on 127.0.0.1 of the node."""

    container: str
    image: str
    image_id: str
    port: int
    container_port: int
    fence: int


@dataclass(frozen=True, slots=True)
class AppState:
    """All that is remembered of an app."""

    app_id: str
    user_id: str | None = None
    fence: int = 0
    current: Instance | None = None
    candidate: Instance | None = None
    retiring: tuple[Instance, ...] = ()
    previous_image_id: str | None = None

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Every container that may exist."""
        return tuple(one for one in (self.current, self.candidate, *self.retiring) if one is not None)


def admit(state: AppState, *, user_id: str, fence: int | None, required: bool) -> AppState:
    """The state after an attempt with this fence asked to act.

    An equal fence is the same attempt again. Raises FenceRequired, StaleFence or ForeignApp.
    """
    if fence is None and required:
        raise FenceRequired(
            "fence: is missing; this node refuses calls that name no attempt (RUNTIME_REQUIRE_FENCE=false admits them)"
        )
    if fence is not None and fence < state.fence:
        raise StaleFence(f"attempt {fence} of app {state.app_id} is stale: attempt {state.fence} has been here")
    if state.current is not None and state.user_id not in (None, user_id):
        raise ForeignApp(f"app {state.app_id} belongs to another user on this node; delete it there first")
    return replace(state, user_id=user_id, fence=max(state.fence, fence or 0))


def container_name(state: AppState, user_id: str) -> str:
    """The name of the attempt's container: never that of one that may still serve."""
    name = f"rt-u-{user_id}-{state.app_id}-r{state.fence}"
    taken = {one.container for one in (state.current, *state.retiring) if one is not None}
    names = (name, *(f"{name}.{number}" for number in range(2, len(taken) + 3)))
    return next(free for free in names if free not in taken)


def named_by_us(name: str, user_id: str, app_id: str) -> bool:
    """Whether a container with this name was made for this app; labels alone prove nothing."""
    found = _CONTAINER.fullmatch(name)
    return found is not None and found["user"] == user_id and found["app"] == app_id


def start(state: AppState, candidate: Instance) -> AppState:
    """The candidate is about to be created."""
    return replace(state, candidate=candidate)


def abandon(state: AppState) -> AppState:
    """The candidate failed and is gone."""
    return replace(state, candidate=None)


def commit(state: AppState, candidate: Instance) -> AppState:
    """The candidate becomes current; from here on a crash rolls forward."""
    old = (state.current,) if state.current is not None else ()
    previous = state.current.image_id if state.current is not None else state.previous_image_id
    if previous == candidate.image_id:
        previous = state.previous_image_id
    return replace(
        state,
        current=candidate,
        candidate=None,
        retiring=_without(state.retiring, candidate.container) + old,
        previous_image_id=previous,
    )


def revert(state: AppState, before: AppState) -> AppState:
    """The switch did not happen: what was current before is again, and the new one goes."""
    old = before.current.container if before.current is not None else ""
    return replace(
        state,
        current=before.current,
        candidate=state.current,
        retiring=_without(state.retiring, old),
        previous_image_id=before.previous_image_id,
    )


def fall_back(state: AppState, survivor: Instance) -> AppState:
    """After a crash the current container is gone for good; one that was retiring still runs and serves again."""
    retiring = _without(state.retiring, survivor.container) + _present(state.current)
    return replace(state, current=survivor, retiring=retiring)


def moved(state: AppState, port: int) -> AppState:
    """The engine publishes the current container on another port than was recorded."""
    return replace(state, current=replace(state.current, port=port) if state.current is not None else None)


def withdraw(state: AppState) -> AppState:
    """The app gets no visitors any more; what served them is to be stopped."""
    return replace(
        state, current=None, candidate=None, retiring=state.retiring + _present(state.current, state.candidate)
    )


def retired(state: AppState, container: str) -> AppState:
    """A retiring container is gone."""
    return replace(state, retiring=_without(state.retiring, container))


def forget(state: AppState) -> AppState:
    """Nothing is left of the app but its fence, so that a late attempt cannot bring it back."""
    return AppState(app_id=state.app_id, fence=state.fence)


def taken_ports(states: Iterable[AppState]) -> frozenset[int]:
    """Ports that may still be a target: another app must never get one, or visitors would reach it."""
    return frozenset(one.port for state in states for one in state.instances)


def routes(states: Iterable[AppState]) -> dict[str, int | None]:
    """The gateway's routes: app to port."""
    return {state.app_id: state.current.port for state in states if state.current is not None}


def _present(*instances: Instance | None) -> tuple[Instance, ...]:
    return tuple(one for one in instances if one is not None)


def _without(instances: tuple[Instance, ...], container: str) -> tuple[Instance, ...]:
    return tuple(one for one in instances if one.container != container)
