"""Forms made of dataclasses, and boxes of choices."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal

import pytest

from napari_nninteractive.plugin.view.forms import Form
from napari_nninteractive.plugin.view.state import Choices, Options
from napari_nninteractive.plugin.view.widgets import ChoiceBox

pytestmark = pytest.mark.usefixtures("qapp")


class Style(Enum):
    """Something to choose."""

    PLAIN = "plain"
    ROUND = "round"


@dataclass(frozen=True)
class Training:
    """As a dialog may ask for it."""

    seconds: Annotated[int, {"label": "Seconds", "min": 1, "max": 600, "tooltip": "How long"}] = 60
    rate: Annotated[float, {"min": 0.0, "max": 1.0, "step": 0.1}] = 0.5
    device: Literal["auto", "cpu", "cuda"] = "auto"
    style: Style = Style.PLAIN
    name: str = "mine"
    keep: Annotated[bool, {"label": "Keep what was learned"}] = True


def test_a_form_has_a_control_for_each_field_as_its_annotation_says() -> None:
    form = Form(Training())
    assert form["seconds"].label == "Seconds"
    assert form["seconds"].tooltip == "How long"
    assert (form["seconds"].min, form["seconds"].max) == (1, 600)
    assert form["rate"].step == pytest.approx(0.1)
    assert form["device"].choices == ("auto", "cpu", "cuda")
    assert form["style"].choices == (Style.PLAIN, Style.ROUND)
    assert form["name"].label == "name"
    assert form["keep"].text == "Keep what was learned"
    assert form.native.layout().count() > 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("seconds", 5),
        ("rate", 0.25),
        ("device", "cpu"),
        ("style", Style.ROUND),
        ("name", "other"),
        ("keep", False),
    ],
)
def test_a_change_gives_a_new_value(field: str, value: Any) -> None:
    before = Training()
    form, told = Form(before), []
    form.changed.connect(told.append)
    form[field].value = value
    expected = Training(**{**vars(before), field: value})
    assert told == [expected]
    assert form.value == expected
    assert before == Training()


def test_what_is_out_of_range_is_refused() -> None:
    form = Form(Training())
    with pytest.raises(ValueError, match="601"):
        form["seconds"].value = 601
    assert form.value == Training()


def test_showing_a_value_tells_nobody() -> None:
    form, told = Form(Training()), []
    form.changed.connect(told.append)
    shown = Training(7, 0.1, "cuda", Style.ROUND, "n", False)
    form.show(shown)
    assert told == []
    assert [form[name].value for name in vars(shown)] == list(vars(shown).values())
    form["seconds"].value = 8
    assert told == [Training(8, 0.1, "cuda", Style.ROUND, "n", False)]


def test_the_options_of_the_panel_are_a_form() -> None:
    form, told = Form(Options()), []
    form.changed.connect(told.append)
    form["overwrite"].native.click()
    assert told == [Options(overwrite=True)]
    assert form["probability"].text == "Show probability"
    assert "finished ones" in form["overwrite"].tooltip


def test_a_box_shows_choices_in_their_order_and_tells_only_what_the_user_chose() -> None:
    box: ChoiceBox[int] = ChoiceBox("Which")
    told: list[Any] = []
    box.chosen.connect(told.append)
    box.show(Choices((("one", 1), ("two", 2)), 2))
    assert (box.names, box.value, box.name) == (["one", "two"], 2, "two")
    box.show(Choices((("two", 2), ("three", 3), ("one", 1)), 3))
    assert (box.names, box.value) == (["two", "three", "one"], 3)
    box.show(Choices((("two", 2),)))
    assert (box.value, box.name) == (None, "")
    assert told == []
    box.choose(2)
    assert told == [2]
    box.show(Choices((("two", 2), ("three", 3)), 3))  # it cannot be had: back to the other
    assert (box.value, told) == (3, [2])
    box.choose(2)
    assert told == [2, 2]


def test_choices_of_one_name_are_told_apart() -> None:
    box: ChoiceBox[str] = ChoiceBox("Which")
    box.show(Choices((("model", "/a/model"), ("model", "/b/model")), "/b/model"))
    assert box.names == ["model", "model (2)"]
    assert box.value == "/b/model"
    box.choose("/a/model")
    assert box.value == "/a/model"


def test_nothing_can_be_a_choice() -> None:
    box: ChoiceBox[int | None] = ChoiceBox("Which channel")
    box.show(Choices((("mean", None), ("red", 0)), None))
    assert box.name == "mean"
    box.show(Choices((("mean", None), ("red", 0)), 0))
    assert box.name == "red"


def test_what_was_chosen_stays_when_the_choices_change() -> None:
    box: ChoiceBox[int] = ChoiceBox("Which")
    box.show_items((("one", 1), ("two", 2)))
    assert box.value == 2, "the last"
    box.choose(1)
    box.show_items((("zero", 0), ("one", 1)))
    assert box.value == 1
    box.show_items(())
    assert (box.value, box.names) == (None, [])
