"""Names of comparisons to what is done."""

from __future__ import annotations

import pytest

from napari_nninteractive.errors import NNInteractiveError, PromptError
from napari_nninteractive.evaluation.methods.baselines import METHODS
from napari_nninteractive.evaluation.methods.styles import CentreClicks, make_style
from napari_nninteractive.evaluation.presets import (
    BASELINES,
    PRESETS,
    STYLES,
    Trial,
    make_trials,
)
from napari_nninteractive.simulation.users.agents import (
    AGENTS,
    RandomAgent,
    SingleAgent,
    SunkCostAgent,
)


@pytest.mark.parametrize(
    ("preset", "expected"),
    [
        ("points", [("points", 10, True)]),
        ("static", [(s, 1, True) for s in ("points", "box", "scribble", "lasso")]),
        ("interactive", [(s, 10, True) for s in ("points", "box", "scribble", "lasso")]),
        ("mixture", [("random", 10, True), ("sunk-cost", 10, True)]),
        ("autozoom", [("points", 5, True), ("points", 5, False)]),
    ],
)
def test_presets(preset: str, expected: list[tuple[str, int, bool]]) -> None:
    assert make_trials(preset) == tuple(Trial(*e) for e in expected)


def test_a_style_counts_more_than_a_preset_and_a_budget_more_than_its_own() -> None:
    assert make_trials("static", "lasso") == (Trial("lasso", 10),)
    assert make_trials("points", "random", 3) == (Trial("random", 3),)
    assert {t.prompts for t in make_trials("interactive", prompts=2)} == {2}


def test_without_autozoom_nothing_is_measured_twice() -> None:
    assert make_trials("autozoom", autozoom=False) == (Trial("points", 5, autozoom=False),)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"preset": "all"}, "no preset all: choose of points, static"),
        ({"style": "blink"}, "no style blink: choose of points, random"),
        ({"prompts": 0}, "at least 1"),
    ],
)
def test_mistakes_are_named(words: dict[str, object], said: str) -> None:
    with pytest.raises(NNInteractiveError, match=said):
        make_trials(**words)  # type: ignore[arg-type]


def test_every_name_is_something() -> None:
    assert set(STYLES) == {"points", *AGENTS}
    assert set(BASELINES) == set(METHODS)
    assert {t.style for trials in PRESETS.values() for t in trials} <= set(STYLES)
    kinds = [type(make_style(name)) for name in STYLES]
    assert kinds == [CentreClicks, RandomAgent, SunkCostAgent, *[SingleAgent] * 4]
    with pytest.raises(PromptError, match="no style 'blink'"):
        make_style("blink")
