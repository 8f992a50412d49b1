"""slicer.parameterNodeWrapper for the types that the module uses, as Slicer's developer guide describes it.

Values live in the vtkMRMLScriptedModuleNode: nodes as references, everything else as parameters; so they are saved with
the scene. ``connectGui`` joins widgets whose dynamic property SlicerParameterName names a parameter.
"""

from __future__ import annotations

import json
import types
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from PySide6 import QtCore
from slicer import vtkMRMLNode
from vtkmodules.vtkCommonCore import vtkCommand


class WithinRange:
    """Validator: a number between two bounds, both included."""

    def __init__(self, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def check(self, name: str, value: Any) -> None:
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{name} must be within {self.minimum} and {self.maximum}, not {value}")


def parameterNodeWrapper(cls: type) -> type:
    """Class decorator: annotated fields become properties that are stored in the MRML node."""
    hints = get_type_hints(cls, include_extras=True)
    members: dict[str, Any] = {"_hints": hints, "__doc__": cls.__doc__}
    for name, hint in hints.items():
        members[name] = _parameter(name, hint, getattr(cls, name, None))
    return type(cls.__name__, (_Wrapper,), members)


def _parameter(name: str, hint: Any, default: Any) -> property:
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    checks = [v for v in get_args(hint)[1:] if isinstance(v, WithinRange)] if get_origin(hint) is Annotated else []
    kinds = get_args(kind) if get_origin(kind) is Union else (kind,)
    if all(issubclass(one, vtkMRMLNode) for one in kinds):
        for one in kinds:
            one()  # Slicer's makes one of each to learn its name, which fails for abstract classes
        return property(lambda self: self.parameterNode.GetNodeReference(name), _setter_of_node(name, kinds))

    def get(self: Any) -> Any:
        text = self.parameterNode.GetParameter(name)
        return kind(json.loads(text)) if text else default

    def put(self: Any, value: Any) -> None:
        if not isinstance(value, kind) and not (kind is float and isinstance(value, int)):
            raise TypeError(f"{name} is of type {kind.__name__}, not {type(value).__name__}")
        for check in checks:
            check.check(name, value)
        self.parameterNode.SetParameter(name, json.dumps(value))

    return property(get, put)


def _setter_of_node(name: str, kinds: tuple[type, ...]) -> Any:
    def put(self: Any, node: Any) -> None:
        if node is not None and not isinstance(node, kinds):
            raise TypeError(f"{name} is one of {kinds}, not {type(node).__name__}")
        self.parameterNode.SetNodeReferenceID(name, node.GetID() if node is not None else None)

    return put


class _Wrapper:
    _hints: dict[str, Any]

    def __init__(self, parameterNode: Any) -> None:
        self.parameterNode = parameterNode
        self._connections: dict[int, tuple[int, list[Any]]] = {}

    def AddObserver(self, event: int, function: Any, priority: float = 0.0) -> int:
        return self.parameterNode.AddObserver(event, function, priority)

    def RemoveObserver(self, tag: int) -> None:
        self.parameterNode.RemoveObserver(tag)

    def HasObserver(self, *arguments: Any) -> Any:
        return self.parameterNode.HasObserver(*arguments)

    def connectGui(self, ui: types.SimpleNamespace) -> int:
        """Join widgets and parameters both ways; returns the tag for disconnectGui."""
        joints = []
        for widget in vars(ui).values():
            name = QtCore.QObject.property(widget, "SlicerParameterName")
            if name:
                if name not in self._hints:
                    raise ValueError(f"the widget {widget.objectName} names the parameter {name}, which does not exist")
                joints.append(_Joint(self, name, widget))
        tag = self.parameterNode.AddObserver(vtkCommand.ModifiedEvent, lambda *_: [j.to_widget() for j in joints])
        for joint in joints:
            joint.to_widget()
        self._connections[tag] = (tag, joints)
        return tag

    def disconnectGui(self, tag: int) -> None:
        if tag in self._connections:
            observer, joints = self._connections.pop(tag)
            self.parameterNode.RemoveObserver(observer)
            for joint in joints:
                joint.alive = False


class _Joint:
    """One widget and one parameter."""

    KINDS = (  # widget class, signal, how to read, how to write
        (
            "qMRMLNodeComboBox",
            "currentNodeChanged(vtkMRMLNode*)",
            lambda w: w.currentNode(),
            lambda w, v: w.setCurrentNode(v),
        ),
        ("QCheckBox", "toggled(bool)", lambda w: w.checked, lambda w, v: setattr(w, "checked", v)),
        ("ctkSliderWidget", "valueChanged(double)", lambda w: w.value, lambda w, v: setattr(w, "value", v)),
    )

    def __init__(self, wrapper: Any, name: str, widget: Any) -> None:
        self.wrapper, self.name, self.widget, self.alive = wrapper, name, widget, True
        names = [cls.__name__ for cls in type(widget).__mro__]
        known = [entry for entry in self.KINDS if entry[0] in names]
        if not known:
            raise TypeError(f"connectGui does not know {type(widget).__name__}")
        kind, signal, self.read, self.write = known[0]
        if kind == "ctkSliderWidget":
            bounds = [v for v in get_args(wrapper._hints[name])[1:] if isinstance(v, WithinRange)]
            if not bounds:
                raise ValueError(f"{name}: a float on a ctkSliderWidget needs WithinRange")
            widget.minimum, widget.maximum = bounds[0].minimum, bounds[0].maximum
        widget.connect(signal, self.from_widget)

    def from_widget(self, *_: Any) -> None:
        if self.alive:
            setattr(self.wrapper, self.name, self.read(self.widget))

    def to_widget(self) -> None:
        value = getattr(self.wrapper, self.name)
        if self.alive and self.read(self.widget) != value:
            self.write(self.widget, value)


def module() -> types.ModuleType:
    """A module to be found as ``slicer.parameterNodeWrapper``."""
    made = types.ModuleType("slicer.parameterNodeWrapper")
    made.parameterNodeWrapper = parameterNodeWrapper  # type: ignore[attr-defined]
    made.WithinRange = WithinRange  # type: ignore[attr-defined]
    return made
