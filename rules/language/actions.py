"""Comes in: the actions of one rule. Goes out: those that contradict or repeat one another."""

from collections.abc import Iterator, Sequence
from itertools import combinations

from rules.language import nodes
from rules.language.errors import Place
from rules.language.printer import action_text, target_text

Finding = tuple[Place, str, str | None]
PUTS_FORWARD = (nodes.Show, nodes.Only, nodes.Boost, nodes.Pin)


def contradictions(actions: Sequence[nodes.Action]) -> Iterator[Finding]:
    """Pairs of actions that cannot both have their way."""
    for first, second in combinations(actions, 2):
        message = _clash(first, second)
        if message is not None:
            yield second.at, message, "Leave out one of the two."


def _clash(first: nodes.Action, second: nodes.Action) -> str | None:
    told = f"{action_text(first)} and {action_text(second)}"
    if first == second:
        return f"{action_text(first)} is said twice."
    if isinstance(first, nodes.Pin) and isinstance(second, nodes.Pin) and first.position == second.position:
        return f"{told} want the same position."
    if isinstance(first, nodes.Only) and isinstance(second, nodes.Only):
        return f"{told} leave nothing that is not in both."
    target = shared_target(first, second)
    if target is None:
        return None
    kinds = {type(first), type(second)}
    if kinds == {nodes.Boost, nodes.Bury} or (kinds == {nodes.Pin} or kinds in HIDING):
        return f"{told} contradict each other about {target}."
    return None


HIDING = [{nodes.Hide, kind} for kind in PUTS_FORWARD]


def shared_target(first: nodes.Action, second: nodes.Action) -> str | None:
    """The text of the target both are aimed at, if it is the same."""
    if isinstance(first, nodes.Stop | nodes.StartCampaign) or isinstance(second, nodes.Stop | nodes.StartCampaign):
        return None
    return target_text(first.target) if first.target == second.target else None


def contradict(first: Sequence[nodes.Action], second: Sequence[nodes.Action]) -> str | None:
    """What two rules would do against each other, as a sentence, or None."""
    for one in first:
        for other in second:
            if one != other and (message := _clash(one, other)) is not None:
                return message
    return None
