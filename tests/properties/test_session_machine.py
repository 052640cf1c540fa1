"""A session under anything a user may do, in any order, against plain lists of masks and prompts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from fixtures.oracles import make_session, opinionated, raise_at
from fixtures.sessions import previous_of, snapshot
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import napari_nninteractive as nni
from napari_nninteractive.core.prompts import Prompt
from napari_nninteractive.engine.history import ObjectState

SHAPE, PATCH = (9, 14, 18), (8, 8, 8)
IMAGE = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
# Looks twice at most, so that a run of many steps stays short.
CONFIG = nni.EngineConfig(border_voxels_many=50, border_voxels_few=20, max_zoom=1.5)

Script = tuple[tuple[Prompt | None, bool], ...]

voxels = st.tuples(*[st.integers(0, n - 1) for n in SHAPE])
signs = st.booleans()


@st.composite
def prompts(draw: st.DrawFn) -> Prompt:
    """Prompts of every kind that touch the image."""
    at, sign = draw(voxels), draw(signs)
    extent = draw(st.tuples(*[st.integers(1, 6)] * 3))
    kind = draw(st.sampled_from(["point", "point", "box", "scribble", "lasso", "mask", "edit"]))
    flat = np.ones((1, *extent[1:]), bool)
    match kind:
        case "point":
            return nni.Point(at, sign)
        case "box":
            return nni.BoxPrompt(at, np.add(at, extent).tolist(), sign)
        case "scribble":
            return nni.Scribble(flat, at, sign)
        case "lasso":
            return nni.Lasso(flat, at, sign)
        case "edit":
            return nni.MaskEdit(np.ones(extent, bool), at, sign)
    mask = np.zeros(SHAPE, bool)
    mask[tuple(slice(a, a + n) for a, n in zip(at, extent, strict=True))] = True
    return nni.InitialMask(mask)


def predicts(prompt: Prompt) -> bool:
    return not isinstance(prompt, nni.InitialMask | nni.MaskEdit)


@dataclass(frozen=True)
class Moment:
    """What an object looks like, and how it came about."""

    mask: bytes
    previous: bytes
    script: Script = ()

    @property
    def in_force(self) -> tuple[int, ...]:
        """Where in the script the prompts that count are."""
        placed = [i for i, (p, _) in enumerate(self.script) if p is not None]
        masks = [i for i in placed if isinstance(self.script[i][0], nni.InitialMask)]
        return tuple(i for i in placed if not masks or i >= masks[-1])


def fresh(script: Script) -> nni.InferenceSession:
    """A session that was never in any other state."""
    session = make_session(IMAGE, opinionated, PATCH, config=CONFIG)
    for prompt, predicted in script:
        if prompt is not None:
            session.add(prompt, predict=predicted)
        elif session.prompts:
            session.predict()
    return session


def moment(session: nni.InferenceSession, script: Script) -> Moment:
    return Moment(session.mask[...].tobytes(), previous_of(session).tobytes(), script)


class SessionMachine(RuleBasedStateMachine):
    """Undo and redo as two lists of moments."""

    @initialize()
    def start(self) -> None:
        self.network = opinionated
        self.session = make_session(IMAGE, lambda x: self.network(x), PATCH, config=CONFIG)
        self.now = moment(self.session, ())
        self.past: list[tuple[Moment, bool]] = []  # with whether a prompt was only queued then
        self.future: list[tuple[Moment, bool]] = []
        self.kept: list[tuple[ObjectState, Moment]] = []

    def did(self, script: Script, *, queued: bool = False, takes_queue: bool = False) -> None:
        before = self.now
        while takes_queue and self.past and self.past[-1][1]:
            before = self.past.pop()[0]
        self.past.append((before, queued))
        self.future = []
        self.now = moment(self.session, script)

    @rule(prompt=prompts())
    def add(self, prompt: Prompt) -> None:
        old = np.frombuffer(self.now.mask, np.uint8).reshape(SHAPE)
        out = self.session.add(prompt)
        ran = predicts(prompt)
        assert (out.forwards > 0) == ran
        self.did((*self.now.script, (prompt, ran)), takes_queue=ran)
        found = np.argwhere(old != self.session.mask[...])
        assert (out.changed is None) == (not len(found))
        if out.changed is not None:
            assert out.changed.start == tuple(found.min(0))
            assert out.changed.stop == tuple(found.max(0) + 1)
            np.testing.assert_array_equal(out.mask, self.session.mask[out.changed.slices])

    @rule(prompt=prompts())
    def queue(self, prompt: Prompt) -> None:
        assert self.session.add(prompt, predict=False).forwards == 0
        self.did((*self.now.script, (prompt, False)), queued=predicts(prompt))

    @precondition(lambda self: self.now.in_force)
    @rule()
    def predict(self) -> None:
        assert self.session.predict().forwards > 0
        self.did((*self.now.script, (None, True)), takes_queue=True)

    @rule(times=st.integers(1, 4))
    def undo(self, times: int) -> None:
        for _ in range(times):
            assert self.session.undo() == bool(self.past)
            if self.past:
                before, queued = self.past.pop()
                self.future.append((self.now, queued))
                self.now = before

    @rule(times=st.integers(1, 4))
    def redo(self, times: int) -> None:
        for _ in range(times):
            assert self.session.redo() == bool(self.future)
            if self.future:
                after, queued = self.future.pop()
                self.past.append((self.now, queued))
                self.now = after

    @precondition(lambda self: self.now.in_force)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        index = data.draw(st.integers(0, len(self.now.in_force) - 1))
        at = self.now.in_force[index]
        self.session.remove(index)
        self.did(self.now.script[:at] + self.now.script[at + 1 :])
        self.as_if_fresh()

    @precondition(lambda self: self.now.in_force)
    @rule(data=st.data(), prompt=prompts())
    def replace(self, data: st.DataObject, prompt: Prompt) -> None:
        index = data.draw(st.integers(0, len(self.now.in_force) - 1))
        at = self.now.in_force[index]
        script = list(self.now.script)
        script[at] = (prompt, script[at][1])
        self.session.replace(index, prompt)
        self.did(tuple(script))
        self.as_if_fresh()

    def as_if_fresh(self) -> None:
        other = fresh(self.now.script)
        assert other.prompts == self.session.prompts
        assert moment(other, self.now.script) == self.now

    @rule()
    def reset(self) -> None:
        self.session.reset()
        if self.now.script:
            self.did(())

    @rule()
    def export(self) -> None:
        self.kept = [*self.kept[-2:], (self.session.export(), self.now)]

    @precondition(lambda self: self.kept)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        state, kept = data.draw(st.sampled_from(self.kept))
        self.session.restore(state)
        self.did(kept.script)
        assert self.now == kept

    @rule(
        prompt=st.sampled_from(
            [
                nni.Point((99, 0, 0)),
                nni.Scribble(np.ones((1, 2, 2)), (0, -5, 0)),
                nni.InitialMask(np.ones((2, 2, 2))),
                "a prompt",
            ]
        )
    )
    def rejected(self, prompt: Prompt) -> None:
        before = snapshot(self.session)
        with pytest.raises(nni.PromptError):
            self.session.add(prompt)
        with pytest.raises(nni.PromptError):
            self.session.remove(len(self.session.prompts))
        assert snapshot(self.session) == before

    @rule(prompt=prompts(), how=st.sampled_from(["cancel", "error", "NaN"]), n=st.integers(1, 2))
    def failed(self, prompt: Prompt, how: str, n: int) -> None:
        before, token = snapshot(self.session), nni.CancelToken()
        if how == "error":
            self.network = raise_at(n, ZeroDivisionError(), opinionated)
        elif how == "NaN":
            self.network = lambda x: opinionated(x) * torch.nan
        try:
            self.session.add(
                prompt,
                predict=True,
                cancel=token,
                progress=lambda _: token.cancel() if how == "cancel" else None,
            )
        except (nni.Cancelled, nni.SessionError, ZeroDivisionError):
            assert snapshot(self.session) == before
        else:  # done before pass n
            self.did((*self.now.script, (prompt, True)), takes_queue=True)
        finally:
            self.network = opinionated

    @invariant()
    def is_as_expected(self) -> None:
        if hasattr(self, "now"):
            assert moment(self.session, self.now.script) == self.now
            expected = tuple(self.now.script[i][0] for i in self.now.in_force)
            assert self.session.prompts == expected
            assert self.session.can_undo == bool(self.past)
            assert self.session.can_redo == bool(self.future)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> object:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


TestSession = SessionMachine.TestCase
TestSession.settings = settings(
    settings.get_profile("project"), max_examples=50, stateful_step_count=20, deadline=None
)
