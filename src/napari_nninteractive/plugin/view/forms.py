"""Forms made of frozen dataclasses: a control for each field, as its annotation says.

magicgui makes the controls. Metadata in `typing.Annotated` name and limit them, in its words: ``{"label": "Seconds",
"min": 1, "max": 600, "tooltip": "How long"}``; a `Literal` or an `Enum` becomes a box of choices.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar, cast, get_type_hints

from magicgui.widgets import Container, create_widget
from psygnal import Signal

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from magicgui.widgets.bases import ValueWidget
    from qtpy.QtWidgets import QWidget

__all__ = ["Form"]

V = TypeVar("V", bound="DataclassInstance")


class Form(Generic[V]):
    """Shows a value, and tells of the new value after each change by the user.

    Parameters
    ----------
    value : dataclass instance
        Of a frozen dataclass whose annotations name types that magicgui knows.
    """

    changed: ClassVar[Signal] = Signal(object)  # the new value

    def __init__(self, value: V) -> None:
        self._value = value
        kinds = get_type_hints(type(value), include_extras=True)
        self._controls: dict[str, ValueWidget[Any]] = {}
        for one in fields(value):
            made = create_widget(
                value=getattr(value, one.name), annotation=kinds[one.name], name=one.name
            )
            control = cast("ValueWidget[Any]", made)
            control.changed.connect(self._on_changed)
            self._controls[one.name] = control
        self._container: Container[ValueWidget[Any]] | None = None

    @property
    def native(self) -> QWidget:
        """All controls below each other, to put into a layout. Who lays them out otherwise takes each by its name."""
        if self._container is None:
            self._container = Container(widgets=list(self._controls.values()))
            self._container.margins = (0, 0, 0, 0)
        native: QWidget = self._container.native
        return native

    @property
    def value(self) -> V:
        """What it shows."""
        return self._value

    def __getitem__(self, name: str) -> ValueWidget[Any]:
        """Control of a field."""
        return self._controls[name]

    def show(self, value: V) -> None:
        """Show a value; says nothing to anyone."""
        self._value = value
        for name, control in self._controls.items():
            wanted = getattr(value, name)
            if control.value != wanted:
                with control.changed.blocked():
                    control.value = wanted

    def _on_changed(self) -> None:
        shown = {name: control.value for name, control in self._controls.items()}
        self._value = replace(self._value, **shown)
        self.changed.emit(self._value)
