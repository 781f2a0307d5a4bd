"""What can be done with runners. Pure."""

from typing import Any, Final

from console.live.actions.orders import SetRunner
from console.live.actions.spec import Action, Danger
from console.live.model import Scene
from console.live.plain import line
from console.live.words import t
from protocol import versions
from protocol.nodes import RunnerView


def runner_name(runner: RunnerView, _: Scene) -> str:
    """What a runner is called in questions."""
    return line(t("runner {name}", name=runner.runner_id))


def _set(runner: RunnerView, drained: bool) -> SetRunner:
    return SetRunner(runner.runner_id, drained, versions.of_runner(drained=runner.drained_at is not None))


ACTIONS: Final[tuple[Action[Any], ...]] = (
    Action[RunnerView](
        id="runner.drain",
        title="Drain runner",
        ask="Drain {name}?",
        ask_many="Drain {count} runners?",
        typed=lambda runner: runner.runner_id,
        verb="Drain",
        tooltip="Give runners no more work; they finish what they hold",
        noun="runner",
        key="D",
        views=("runners",),
        name=runner_name,
        refusal=lambda runner, _: t("it is drained already") if runner.drained_at is not None else None,
        consequence=lambda _runner, _scene: t("It gets no more work and finishes what it holds."),
        order=lambda runner, _scene, _option: _set(runner, True),
        danger=Danger.DESTRUCTIVE,
        several=True,
        footer=True,
    ),
    Action[RunnerView](
        id="runner.undrain",
        title="Undrain runner",
        ask="Undrain {name}?",
        ask_many="Undrain {count} runners?",
        verb="Undrain",
        tooltip="Give drained runners work again",
        noun="runner",
        key="R",
        views=("runners",),
        name=runner_name,
        refusal=lambda runner, _: t("it is not drained") if runner.drained_at is None else None,
        consequence=lambda _runner, _scene: t("It gets work again."),
        order=lambda runner, _scene, _option: _set(runner, False),
        several=True,
        footer=True,
    ),
)
