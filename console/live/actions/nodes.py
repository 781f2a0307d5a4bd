"""What can be done with runtime nodes. Pure."""

from collections.abc import Callable
from typing import Any, Final

from console.live.actions.orders import CollectNode, EmptyNode, PlanTurn, SetNode, TurnPlan
from console.live.actions.spec import Action, Danger, Option, Reads
from console.live.model import Scene
from console.live.plain import line
from console.live.words import later, t, tn
from protocol import versions
from protocol.drains import DrainView
from protocol.nodes import NodeView


def node_name(node: NodeView, _: Scene) -> str:
    """What a node is called in questions."""
    return line(t("node {name}", name=node.name))


def node_word(node: NodeView) -> str:
    """What has to be typed before something is done to it."""
    return node.name


def version(node: NodeView) -> str:
    """What the operator saw of it."""
    return versions.of_node(node.node_id, enabled=node.enabled, weight=node.weight)


def _cordoned(node: NodeView, _: Scene) -> str | None:
    return None if node.enabled else t("it is cordoned already")


def _open(node: NodeView, _: Scene) -> str | None:
    return t("it takes deployments already") if node.enabled else None


def _stays(node: NodeView, _: Scene) -> str:
    if not node.placements:
        return t("It takes no new deployments; no app lives there.")
    return tn(
        "It takes no new deployments. Its placed app keeps running there.",
        "It takes no new deployments. Its {count} placed apps keep running there.",
        node.placements,
    )


def _set(enabled: bool) -> Callable[[NodeView, Scene, Option | None], SetNode]:
    return lambda node, _scene, _option: SetNode(node.name, enabled, version(node))


def _turn(turn: PlanTurn) -> Callable[[NodeView, Scene, Option | None], TurnPlan | None]:
    def order(node: NodeView, _: Scene, option: Option | None) -> TurnPlan | None:
        plan = option.value if option is not None else None
        if not isinstance(plan, DrainView):
            return None
        return TurnPlan(plan.id, turn, node.name, versions.of_drain(plan.state.value))

    return order


def _drained(node: NodeView, _: Scene, option: Option | None) -> EmptyNode:
    return EmptyNode(node.name, version(node), partial=option is not None and option.key == "partial")


def _plan_action(turn: PlanTurn, title: str, verb: str, consequence: str, danger: Danger) -> Action[NodeView]:
    return Action[NodeView](
        id=f"drain.{turn.value}",
        title=title,
        ask=f"{verb} the drain of {{name}}: {{option}}?",
        verb=verb,
        tooltip=f"{verb} a drain of the selected node",
        noun="node",
        views=("nodes",),
        name=node_name,
        typed=node_word,
        consequence=lambda _node, _scene: t(consequence),
        order=_turn(turn),
        danger=danger,
        reads=Reads.PLANS,
    )


ACTIONS: Final[tuple[Action[Any], ...]] = (
    Action[NodeView](
        id="node.drain",
        title="Drain",
        ask="Drain {name}?",
        typed=node_word,
        verb="Drain",
        tooltip="Move the apps of the selected node elsewhere; shows the plan first",
        noun="node",
        key="d",
        views=("nodes",),
        name=node_name,
        consequence=lambda node, _: (
            t("It takes no new deployments, and its apps are moved to other nodes, one job each:")
            if node.placements
            else t("It takes no new deployments; no app lives there.")
        ),
        order=_drained,
        danger=Danger.DESTRUCTIVE,
        reads=Reads.PREVIEW,
        footer=True,
    ),
    Action[NodeView](
        id="node.cordon",
        title="Cordon",
        ask="Cordon {name}?",
        ask_many="Cordon {count} nodes?",
        verb="Cordon",
        tooltip="Let nodes take no new deployments; what runs there stays",
        noun="node",
        key="o",
        views=("nodes",),
        name=node_name,
        refusal=_cordoned,
        consequence=_stays,
        order=_set(False),
        several=True,
        footer=True,
    ),
    Action[NodeView](
        id="node.uncordon",
        title="Uncordon",
        ask="Uncordon {name}?",
        ask_many="Uncordon {count} nodes?",
        verb="Uncordon",
        tooltip="Let cordoned nodes take deployments again",
        noun="node",
        key="u",
        views=("nodes",),
        name=node_name,
        refusal=_open,
        consequence=lambda _node, _scene: t("It takes new deployments again."),
        order=_set(True),
        several=True,
        footer=True,
    ),
    Action[NodeView](
        id="node.collect",
        title="Collect garbage",
        ask="Collect garbage on {name}?",
        ask_many="Collect garbage on {count} nodes?",
        typed=node_word,
        verb="Collect",
        tooltip="Remove images that nobody needs from the disk of nodes, and cut oversized logs",
        noun="node",
        key="z",
        views=("nodes",),
        name=node_name,
        consequence=lambda _node, _scene: t(
            "What runs and what the newest releases need stays; the rest is pulled again."
        ),
        order=lambda node, _scene, _option: CollectNode(node.name, version(node)),
        danger=Danger.DESTRUCTIVE,
        several=True,
    ),
    _plan_action(
        PlanTurn.PAUSE, "Pause drain", "Pause", later("No further app is moved; what moves goes on."), Danger.CONFIRM
    ),
    _plan_action(PlanTurn.RESUME, "Resume drain", "Resume", later("The other apps are moved, too."), Danger.CONFIRM),
    _plan_action(
        PlanTurn.UNDO,
        "Undo drain",
        "Undo",
        later("What was moved is moved back, and the node is again as it was before."),
        Danger.DESTRUCTIVE,
    ),
    _plan_action(
        PlanTurn.CANCEL,
        "Give drain up",
        "Give up",
        later("What has not begun is left where it is; the node stays cordoned."),
        Danger.DESTRUCTIVE,
    ),
)
