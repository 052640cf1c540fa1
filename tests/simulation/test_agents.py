"""The three agents: what they draw, in which order, and that they repeat themselves."""

from itertools import pairwise

import numpy as np
import pytest

from napari_nninteractive.core.prompts import InitialMask, Point, Scribble
from napari_nninteractive.errors import PromptError
from napari_nninteractive.simulation.users.agents import (
    AGENTS,
    VARIED,
    RandomAgent,
    SingleAgent,
    SunkCostAgent,
    make_agent,
)
from napari_nninteractive.simulation.users.next_prompt import KINDS, UserStyle, kind_of


def ball(centre, radius, shape=(24, 30, 32)):
    grid = np.indices(shape)
    return sum((g - c) ** 2 for g, c in zip(grid, centre, strict=True)) <= radius**2


TRUTH = ball((12, 15, 16), 8)
SHIFTED = ball((12, 15, 20), 8)


def session(agent, n, seed=0):
    rng = np.random.default_rng(seed)
    return [agent.next_prompt(TRUTH, SHIFTED if i else None, rng) for i in range(n)]


def kinds(agent, n, seed=0):
    return [kind_of(p) for p in session(agent, n, seed)]


def runs(sequence):
    lengths = [1]
    for a, b in pairwise(sequence):
        if a == b:
            lengths[-1] += 1
        else:
            lengths.append(1)
    return lengths


def test_the_random_agent_draws_all_kinds_of_both_signs():
    prompts = session(RandomAgent(), 60)
    assert {kind_of(p) for p in prompts} == set(KINDS)
    assert {p.positive for p in prompts} == {True, False}
    found = [kind_of(p) for p in prompts]
    same = sum(a == b for a, b in pairwise(found))
    assert 5 <= same <= 25  # a quarter of 59, give or take


def test_the_random_agent_keeps_to_the_shares_of_its_style():
    found = kinds(RandomAgent(UserStyle(kinds={"point": 3.0, "lasso": 1.0})), 80)
    assert set(found) == {"point", "lasso"}
    assert 48 <= found.count("point") <= 72


@pytest.mark.parametrize("kind", KINDS)
def test_the_single_agent_knows_one_kind(kind):
    assert kinds(SingleAgent(kind), 12) == [kind] * 12


@pytest.mark.parametrize("stay", [(1, 1), (3, 3), (2, 4)])
def test_the_sunk_cost_agent_stays_and_then_changes(stay):
    found = runs(kinds(SunkCostAgent(stay=stay), 60))[:-1]
    assert set(found) == set(range(stay[0], stay[1] + 1))


def test_the_sunk_cost_agent_with_one_kind_only_has_nothing_to_change_to():
    assert kinds(SunkCostAgent(UserStyle(kinds={"box": 1.0})), 9) == ["box"] * 9


def test_the_sunk_cost_agent_is_taken_up_again_from_its_prompts():
    points = [Point((12, 15, 16))] * 2
    assert SunkCostAgent.after([]).kind is None
    two = SunkCostAgent.after(points, stay=(3, 3))
    assert (two.kind, two.left) == ("point", 1)
    stroke = Scribble(np.ones((1, 2, 2), bool), (0, 0, 0))
    changed = SunkCostAgent.after([*points, stroke], stay=(3, 3))
    assert (changed.kind, changed.left) == ("scribble", 2)
    assert SunkCostAgent.after(points * 2, stay=(3, 3)).left == 0
    found = kinds(two, 2, seed=3)
    assert found[0] == "point" != found[1]


def test_what_no_agent_draws_has_no_kind():
    mask = InitialMask(np.ones((2, 2, 2), bool))
    assert kind_of(mask) is None
    assert SunkCostAgent.after([mask]).kind is None


@pytest.mark.parametrize("name", AGENTS)
def test_the_same_generator_gives_the_same_session(name):
    assert session(make_agent(name), 6, seed=5) == session(make_agent(name), 6, seed=5)
    assert session(make_agent(name), 6, seed=5) != session(make_agent(name), 6, seed=6)


@pytest.mark.parametrize("name", AGENTS)
def test_no_agent_says_anything_when_nothing_is_wrong(name):
    agent, rng = make_agent(name), np.random.default_rng(0)
    assert agent.next_prompt(TRUTH, TRUTH, rng) is None
    assert agent.next_prompt(np.zeros_like(TRUTH), None, rng) is None


def test_agents_by_name_have_the_habits_given():
    style = UserStyle(centred=1.0)
    assert make_agent("random", style) == RandomAgent(style)
    assert make_agent("point", style) == SingleAgent("point", style)
    assert make_agent("random") == RandomAgent(VARIED)


def test_mistakes_are_named():
    with pytest.raises(PromptError, match="wand"):
        make_agent("wand")
    with pytest.raises(PromptError, match="wand"):
        SingleAgent("wand")
    for stay in ((0, 2), (3, 2)):
        with pytest.raises(PromptError, match="stay"):
            SunkCostAgent(stay=stay)
