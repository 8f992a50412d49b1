"""PySide6 classes that behave as PythonQt's: properties are attributes, and ``connect("clicked(bool)", f)`` works."""

from __future__ import annotations

import ctypes
import sys
import types
from collections.abc import Callable
from functools import cache
from typing import Any

from PySide6 import QtCore, QtGui, QtWidgets

from .recording import Recordable

# Qt calls these as virtual methods, so they must stay methods here; PythonQt has them as properties.
_METHODS = {"sizeHint", "minimumSizeHint"}


def _keep_none_alive() -> None:
    """PySide6 6.12 gives up a reference to None with each call that returns nothing, as if None were immortal.

    It is since Python 3.12; before, Python ends when the last reference is gone, after some hundred thousand calls.
    """
    if sys.version_info < (3, 12):
        ctypes.c_ssize_t.from_address(id(None)).value += 1 << 40


_keep_none_alive()


def signal_and_count(signature: str) -> tuple[str, int]:
    """ "clicked(bool)" -> "clicked", 1."""
    name, _, arguments = signature.strip().partition("(")
    if not arguments.endswith(")"):
        raise ValueError(f"PythonQt wants a signal with its argument types, not {signature!r}")
    arguments = arguments[:-1].strip()
    return name, arguments.count(",") + 1 if arguments else 0


class PythonQtObject(Recordable):
    """Mixin: PythonQt's way to connect signals."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        # PySide finds its own connect before a class's; an object's own dictionary comes first.
        self.__dict__["connect"] = self.connect_signature

    def connect_signature(self, signature: str, function: Callable[..., Any]) -> bool:
        name, count = signal_and_count(signature)
        # PySide looks at how many arguments a slot takes; with "*arguments" it leaves out those that have a default.
        slots: list[Callable[..., Any]] = [lambda: function(), lambda a: function(a), lambda a, b: function(a, b)]
        self._signal(name).connect(slots[count])
        return True

    def _signal(self, name: str) -> Any:
        for cls in type(self).__mro__:
            if isinstance(cls.__dict__.get(name), QtCore.Signal):
                return getattr(self, name)
        raise ValueError(f"{type(self).__name__} has no signal {name}")


def _attribute(name: str) -> property:
    def get(self: Any) -> Any:
        return QtCore.QObject.property(self, name)

    def put(self: Any, value: Any) -> None:
        if not QtCore.QObject.setProperty(self, name, value):
            raise ValueError(f"{type(self).__name__}.{name} does not take {value!r}")

    return property(get, put)


@cache
def pythonqt(cls: type) -> type:
    """The class with its Qt properties as Python attributes."""
    meta = cls.staticMetaObject
    names = {meta.property(n).name() for n in range(meta.propertyCount())} - _METHODS - {"objectName"}
    members: dict[str, Any] = {name: _attribute(name) for name in names}
    members["objectName"] = _attribute("objectName")
    if issubclass(cls, QtWidgets.QWidget):
        members["setVisible"] = cls.setVisible
    return type(cls.__name__, (PythonQtObject, cls), members)


class _CheckState(int):
    """PythonQt's enumerators are whole numbers; PySide's are not, but are what ``qt.Qt.Checked`` is here."""

    def __eq__(self, other: object) -> bool:
        return int(self) == getattr(other, "value", other)

    __hash__ = int.__hash__


def _item(cls: Any) -> Any:
    """An item of a list or a table, whose check state is a whole number, too."""

    def check_state(self: Any) -> _CheckState:
        return _CheckState(cls.checkState(self).value)

    def set_check_state(self: Any, state: Any) -> None:
        cls.setCheckState(self, QtCore.Qt.CheckState(getattr(state, "value", state)))

    return type(cls.__name__, (Recordable, cls), {"checkState": check_state, "setCheckState": set_check_state})


class _FileDialog(QtWidgets.QFileDialog):
    """PythonQt's static functions return a path alone. Tests answer them; a dialog never opens."""

    answer = ""

    @staticmethod
    def getSaveFileName(*_: Any) -> str:
        return _FileDialog.answer

    @staticmethod
    def getExistingDirectory(*_: Any) -> str:
        return _FileDialog.answer


class _DesktopServices:
    """Remembers what would have been opened."""

    opened: list[str] = []  # noqa: RUF012 - the one list of the stand-in

    @staticmethod
    def openUrl(url: QtCore.QUrl) -> bool:
        _DesktopServices.opened.append(url.toLocalFile() or url.toString())
        return True


class _Module(types.ModuleType):
    """The module ``qt``: classes are made on first use."""

    def __getattr__(self, name: str) -> Any:
        for source in (QtWidgets, QtCore, QtGui):
            found = getattr(source, name, None)
            if found is not None:
                is_object = isinstance(found, type) and issubclass(found, QtCore.QObject)
                made = pythonqt(found) if is_object else found
                setattr(self, name, made)
                return made
        raise AttributeError(name)


def qt_module() -> types.ModuleType:
    """A module to be found as ``qt``."""
    module = _Module("qt")
    module.QFileDialog = _FileDialog  # type: ignore[attr-defined]
    module.QDesktopServices = _DesktopServices  # type: ignore[attr-defined]
    module.QListWidgetItem = _item(QtWidgets.QListWidgetItem)  # type: ignore[attr-defined]
    module.QTableWidgetItem = _item(QtWidgets.QTableWidgetItem)  # type: ignore[attr-defined]
    return module
