"""Who segments an episode: decided by its key, all three sorts of agent, about half of the prompts points."""

import numpy as np

from napari_nninteractive.core.prompts import Point, Scribble
from napari_nninteractive.simulation.users.agents import RandomAgent, SingleAgent, SunkCostAgent
from napari_nninteractive.simulation.users.mixture import user_of

USERS = [user_of((0, i, 0), ()) for i in range(200)]


def test_the_same_key_gives_the_same_user():
    assert [user_of((0, i, 0), ()) for i in range(200)] == USERS


def test_all_sorts_of_users_take_part_in_their_shares():
    counts = {s: sum(isinstance(u, s) for u in USERS) for s in (RandomAgent, SunkCostAgent)}
    assert 80 <= counts[RandomAgent] <= 120
    assert 40 <= counts[SunkCostAgent] <= 80
    only = [u.kind for u in USERS if isinstance(u, SingleAgent)]
    assert set(only) == {"point", "box", "scribble", "lasso"}
    assert only.count("point") >= len(only) / 3


def test_a_user_who_stays_with_a_kind_goes_on_with_the_one_of_the_prompts():
    stroke = Scribble(np.ones((1, 2, 2), bool), (0, 0, 0))
    keys = [(0, i, 0) for i, u in enumerate(USERS) if isinstance(u, SunkCostAgent)]
    for key in keys:
        user = user_of(key, (Point((1, 1, 1)), stroke))
        assert user.kind == "scribble"
        assert user.left == user.stay[0] - 1 >= 1
