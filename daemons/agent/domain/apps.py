"""What this node knows of one app, and how a deployment changes it.

The state is written before every step it describes. `current` is the container that visitors are sent to; a
`candidate` was started and is not proven; `warm` served before and does again if the new one fails within its watch
window; `retiring` ones no longer get visitors and are to be stopped. `progress` is the step that is being taken.
`fence` is the highest attempt ever seen: it only rises, and it outlives the app.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from daemons.agent.domain.configuration import RunConfig
from daemons.agent.domain.steps import Progress, Step, Strategy, may_follow
from daemons.agent.domain.vigil import Trouble

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
    config: RunConfig = field(default_factory=RunConfig)


@dataclass(frozen=True, slots=True)
class Setback:
    """An attempt that failed within its watch window, when (epoch seconds), and which one serves instead, if any."""

    fence: int
    reason: str
    at: float
    back_to: int | None


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
    warm: Instance | None = None
    progress: Progress | None = None
    trouble: Trouble | None = None
    setback: Setback | None = None

    @property
    def instances(self) -> tuple[Instance, ...]:
        """Every container that may exist."""
        return _present(self.current, self.candidate, self.warm, *self.retiring)

    @property
    def watched(self) -> bool:
        """Whether the current container is within its watch window."""
        return self.progress is not None and self.progress.step is Step.WATCH

    @property
    def one_writer(self) -> bool:
        """Whether no two containers of the app may run at once."""
        if self.progress is not None and self.progress.strategy is Strategy.STOP_FIRST:
            return True
        return any(one.config.strategy is Strategy.STOP_FIRST for one in self.instances)

    @property
    def tended(self) -> bool:
        """Whether the current container is to be kept running: not while a rollout decides about it."""
        return self.progress is None or not (self.progress.parked or self.progress.step is Step.SWITCH)


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
    taken = {one.container for one in _present(state.current, state.warm, *state.retiring)}
    names = (name, *(f"{name}.{number}" for number in range(2, len(taken) + 3)))
    return next(free for free in names if free not in taken)


def named_by_us(name: str, user_id: str, app_id: str) -> bool:
    """Whether a container with this name was made for this app; labels alone prove nothing."""
    found = _CONTAINER.fullmatch(name)
    return found is not None and found["user"] == user_id and found["app"] == app_id


def begin(state: AppState, strategy: Strategy) -> AppState:
    """A rollout begins. The watch of the one before ends with it: what is current has proven itself for as long.

    A candidate that an earlier attempt could not remove retires.
    """
    state = replace(state, candidate=None, retiring=state.retiring + _present(state.candidate))
    one_writer = strategy is Strategy.STOP_FIRST or state.one_writer
    chosen = Strategy.STOP_FIRST if one_writer else strategy
    return replace(_concluded(state), progress=Progress(Step.PULL, chosen))


def advance(state: AppState, step: Step) -> AppState:
    """The rollout's next step. Raises ValueError for one that may not follow: a mistake of ours, never of a caller."""
    progress = state.progress
    if progress is None or not may_follow(progress.strategy, progress.step, step):
        raise ValueError(f"{step} may not follow {progress.step if progress else 'nothing'}")
    return replace(state, progress=replace(progress, step=step))


def follow(state: AppState, step: Step) -> AppState:
    """One of the steps after a switch, unless a newer rollout has begun: then the journal is its own."""
    progress = state.progress
    if progress is None or not may_follow(progress.strategy, progress.step, step):
        return state
    return replace(state, progress=replace(progress, step=step))


def start(state: AppState, candidate: Instance) -> AppState:
    """The candidate is about to be created."""
    return replace(advance(state, Step.START), candidate=candidate)


def abandon(state: AppState) -> AppState:
    """The attempt failed and its candidate, if there was one, is gone."""
    return replace(state, candidate=None, progress=None)


def commit(state: AppState, candidate: Instance, watch_until: float) -> AppState:
    """The candidate becomes current; from here on a crash rolls forward."""
    previous = state.current.image_id if state.current is not None else state.previous_image_id
    if previous == candidate.image_id:
        previous = state.previous_image_id
    switched = advance(state, Step.SWITCH)
    return replace(
        switched,
        current=candidate,
        candidate=None,
        warm=state.current,
        retiring=_without(state.retiring, candidate.container),
        previous_image_id=previous,
        progress=replace(switched.progress, watch_until=watch_until) if switched.progress is not None else None,
        trouble=None,
        setback=None,
    )


def revert(state: AppState, before: AppState) -> AppState:
    """The switch did not happen: all is as before it, and the new one is the candidate again."""
    return replace(before, fence=state.fence, candidate=state.current, retiring=state.retiring)


def settle(state: AppState) -> AppState:
    """The watch window has passed: the old container is not needed any more."""
    return _concluded(state) if state.progress is not None and state.progress.step is Step.WATCH else state


def take_back(state: AppState, reason: str, now: float) -> AppState:
    """The new container failed within its window: visitors go back to the warm one. Without one, it is only noted."""
    current, warm = state.current, state.warm
    if current is None or state.progress is None:
        return state
    setback = Setback(current.fence, reason, now, warm.fence if warm is not None else None)
    if warm is None:
        return replace(follow(state, Step.PRUNE), setback=setback)
    previous = state.previous_image_id if state.previous_image_id != warm.image_id else None
    return replace(
        follow(state, Step.RETURN),
        current=warm,
        warm=None,
        retiring=(*_without(state.retiring, warm.container), current),
        previous_image_id=previous,
        trouble=None,
        setback=setback,
    )


def give_up(state: AppState) -> AppState:
    """A stop-first rollout failed with the old container stopped: whatever else there is goes, then that one starts."""
    gone = state.retiring + _present(state.candidate)
    return replace(follow(state, Step.RETURN), candidate=None, retiring=gone)


def returned(state: AppState) -> AppState:
    """Visitors reach the former container again."""
    return follow(state, Step.DRAIN) if state.retiring else replace(state, progress=None)


def fall_back(state: AppState, survivor: Instance, now: float) -> AppState:
    """After a crash the current container does not run; one that was kept or retiring serves again."""
    others = (*state.retiring, *_present(state.warm, state.current))
    setback = state.setback
    if state.watched and state.current is not None:
        reason = "it did not run any more when the agent came back from a restart"
        setback = Setback(state.current.fence, reason, now, survivor.fence)
    return replace(
        state,
        current=survivor,
        warm=None,
        retiring=_without(others, survivor.container),
        progress=None,
        trouble=None,
        setback=setback,
    )


def resumed(state: AppState) -> AppState:
    """After a crash, once containers are as the journal wants them: what was not switched is over, the rest goes on."""
    progress = state.progress
    if progress is None:
        return state
    if progress.step is Step.SWITCH:
        return advance(state, Step.WATCH)
    if progress.parked:
        return give_up(state)
    return replace(state, progress=None) if progress.open else state


def finished(state: AppState) -> AppState:
    """Nothing of the rollout is left to do."""
    done = state.progress is not None and state.progress.step is Step.PRUNE
    return replace(state, progress=None) if done else state


def moved(state: AppState, port: int) -> AppState:
    """The engine publishes the current container on another port than was recorded."""
    return replace(state, current=replace(state.current, port=port) if state.current is not None else None)


def withdraw(state: AppState) -> AppState:
    """The app gets no visitors any more; what served them is to be stopped."""
    gone = _present(state.warm, state.current, state.candidate)
    return replace(
        state, current=None, candidate=None, warm=None, retiring=state.retiring + gone, progress=None, trouble=None
    )


def retired(state: AppState, container: str) -> AppState:
    """A retiring container is gone. It held its image, so images go after the last of them."""
    after = replace(state, retiring=_without(state.retiring, container))
    return after if after.retiring else follow(after, Step.PRUNE)


def forget(state: AppState) -> AppState:
    """Nothing is left of the app but its fence, so that a late attempt cannot bring it back."""
    return AppState(app_id=state.app_id, fence=state.fence)


def taken_ports(states: Iterable[AppState]) -> frozenset[int]:
    """Ports that may still be a target: another app must never get one, or visitors would reach it."""
    return frozenset(one.port for state in states for one in state.instances)


def routes(states: Iterable[AppState]) -> dict[str, int | None]:
    """The gateway's routes: app to port, None while its visitors wait."""
    found: dict[str, int | None] = {}
    for state in states:
        if state.progress is not None and state.progress.parked:
            found[state.app_id] = None
        elif state.current is not None:
            found[state.app_id] = state.current.port
    return found


def _concluded(state: AppState) -> AppState:
    retiring = state.retiring + _present(state.warm)
    return replace(follow(state, Step.DRAIN if retiring else Step.PRUNE), warm=None, retiring=retiring)


def _present(*instances: Instance | None) -> tuple[Instance, ...]:
    return tuple(one for one in instances if one is not None)


def _without(instances: tuple[Instance, ...], container: str) -> tuple[Instance, ...]:
    return tuple(one for one in instances if one.container != container)
