"""Session files: what is written is read, whatever it is; what is read is a session or an error with a name."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from fixtures.same import content
from fixtures.strategies import sessions
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from napari_nninteractive.errors import SessionError
from napari_nninteractive.session_file.document import json_schema
from napari_nninteractive.session_file.files import (
    read_json,
    read_session,
    session_of,
    write_session,
)
from napari_nninteractive.session_file.values import SavedSession

HERE = Path(__file__).resolve().parent.parent
FILES = {
    path.stem: json.loads(path.read_text("utf-8"))
    for path in sorted((HERE / "fixtures" / "sessions_v1").glob("*.json"))
}
VALIDATOR = jsonschema.Draft202012Validator(json_schema())
shared_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.characters(), max_size=3)  # with halves of surrogate pairs
small = (
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.floats()
    | texts
    | st.sampled_from([10**400, 2**63, 2**31 + 1, -1, 0, "1", "0", "mask", "Point", "predict"])
)
anything = st.recursive(
    small,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=5,
)


@shared_folder
@given(session=sessions())
def test_any_session_comes_back_as_it_was(session: SavedSession, tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    write_session(path, session)
    VALIDATOR.validate(read_json(path))
    assert content(read_session(path)) == content(session)
    first = path.read_bytes()
    write_session(path, read_session(path))
    assert path.read_bytes() == first


def read_or_refused(value: Any, path: Path) -> None:
    """Read a value as a file, through JSON: a session, or an error that names the file."""
    path.write_text(json.dumps(value), "utf-8")
    said = None
    try:
        assert isinstance(read_session(path), SavedSession)
    except SessionError as error:
        said = str(error)
    assert said is None or path.name in said


@shared_folder
@given(value=anything)
def test_any_json_is_read_or_refused(value: Any, tmp_path: Path) -> None:
    read_or_refused(value, tmp_path / "fuzz.json")


@shared_folder
@example(kind="napari-nninteractive session", version=True, more={})
@example(kind="napari-nninteractive panel", version=1.0, more={})
@given(
    kind=st.sampled_from(["napari-nninteractive session", "napari-nninteractive panel"]),
    version=st.integers(1, 2) | small,
    more=st.dictionaries(
        st.sampled_from(["image", "model", "frames", "names", "numbers", "prompts", "run"]),
        anything,
    ),
)
def test_any_fields_are_read_or_refused(
    kind: str, version: Any, more: dict[str, Any], tmp_path: Path
) -> None:
    record = {"format": kind, "format_version": version, "version": version, **more}
    read_or_refused(record, tmp_path / "fuzz.json")


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    out = [at]
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            out += places(inner, (*at, key))
    return out


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Files of all three formats."""
    path = tmp_path_factory.mktemp("written") / "session.json"
    write_session(path, session_of(FILES["panel"], "panel.json"))
    return {**FILES, "today": read_json(path)}


@pytest.mark.parametrize("which", ["engine", "panel", "today"])
def test_any_value_in_any_field_is_read_or_refused(
    which: str, written: dict[str, Any], tmp_path: Path
) -> None:
    record = written[which]

    @settings(max_examples=300)
    @given(st.sampled_from(places(record)), anything, st.sampled_from(["set", "drop", "more"]))
    def mutate(at: tuple[Any, ...], new: Any, how: str) -> None:
        changed: Any = {"": copy.deepcopy(record)}
        inner = changed
        for key in ("", *at)[:-1]:
            inner = inner[key]
        last = ("", *at)[-1]
        if how == "drop" and at:
            del inner[last]
        elif how == "more" and isinstance(inner[last], dict):
            inner[last]["more"] = new
        else:
            inner[last] = new
        read_or_refused(changed[""], tmp_path / "fuzz.json")

    mutate()


@given(st.binary(max_size=60))
def test_any_bits_are_read_or_refused(data: bytes) -> None:
    record = copy.deepcopy(FILES["engine"])
    record["prompts"][0]["mask"]["bits"] = data.decode("latin-1")
    said, session = None, None
    try:
        session = session_of(record, "fuzz.json")
    except SessionError as error:
        said = str(error)
    assert said is None or "prompts[0]: " in said
    assert session is None or np.any(session.frames[0].objects[1].steps[0].prompt.mask)  # type: ignore[union-attr]
