"""Composites: which LRP rule each layer gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

from ..errors import UserError
from .engine.operation import Operation
from .rules import DEFAULT_EPSILON, AlphaBeta, Epsilon, Flat, FlatForeground, Gamma, Pass, Rule, ZBox, Zero, ZPlus

KINDS = ("convolution", "dense", "normalisation")
BIASES = ("absorb", "redistribute")


@dataclass(frozen=True)
class Composite:
    """A table from layers to rules.

    Parameters
    ----------
    name
        What it is called in results.
    by_kind
        Rule per kind of layer: ``"convolution"``, ``"dense"`` (linear, matmul) and ``"normalisation"`` (only ``Pass``
        makes a difference there: a BatchNorm that is not merged then hands all its relevance through).
    by_name
        Rule per module name; shell patterns such as ``"layer1.*"`` are allowed. The first that fits wins, and names
        win over kinds.
    first
        Rule of the input layer, over kinds but not over names; None for the rule of its kind.
    bias
        ``"absorb"`` (default) or ``"redistribute"``; see :mod:`rules`.
    epsilon
        Stabiliser of sums, means, average pooling and matrix products, where contributions are proportional.
    """

    name: str
    by_kind: Mapping[str, Rule]
    by_name: Sequence[tuple[str, Rule]] = ()
    first: Rule | None = None
    bias: str = "absorb"
    epsilon: float = field(default=DEFAULT_EPSILON)

    def __post_init__(self) -> None:
        unknown = sorted(set(self.by_kind) - set(KINDS))
        if unknown:
            raise ValueError(f"unknown kind of layer {unknown[0]!r}; known: {', '.join(KINDS)}")
        if self.bias not in BIASES:
            raise ValueError(f"bias must be one of {', '.join(BIASES)}, not {self.bias!r}")

    def rule_for(self, layer: Operation) -> Rule:
        """The rule of ``layer``; epsilon where the table says nothing."""
        for pattern, rule in self.by_name:
            if fnmatchcase(layer.module, pattern):
                return rule
        if layer.first and self.first is not None:
            return self.first
        return self.by_kind.get(layer.kind, Epsilon(epsilon=self.epsilon))

    def check_names(self, modules: Collection[str]) -> None:
        """Refuse a name in ``by_name`` that fits none of ``modules``: layers with weights, and normalisations.

        Raises
        ------
        UserError
            With the first of them.
        """
        for pattern, _ in self.by_name:
            if not any(fnmatchcase(module, pattern) for module in modules):
                names = ", ".join(sorted(filter(None, modules))) or "no others, as they have no names"
                raise UserError(
                    f"The composite {self.name!r} names a rule for {pattern!r}, but no layer with weights or "
                    f"normalisation has such a name: choose from {names}."
                )

    def passes(self, layer: Operation) -> bool:
        """Whether a normalisation that is not merged hands all its relevance through."""
        return isinstance(self.rule_for(layer), Pass)

    @property
    def reads_intensity(self) -> bool:
        """Whether the input layer hands relevance down in proportion to each input, whichever layer that is."""
        kinds = [rule for kind, rule in self.by_kind.items() if kind != "normalisation"]
        possible = [*(rule for _, rule in self.by_name), *([self.first] if self.first is not None else kinds)]
        return all(rule.reads_input for rule in possible)

    def with_bias(self, bias: str) -> Composite:
        """The same composite with another treatment of biases."""
        return replace(self, bias=bias)


def _plain(name: str, dense: Rule, convolution: Rule, first: Rule | None = None) -> Composite:
    return Composite(name, {"dense": dense, "convolution": convolution}, first=first)


def composites() -> dict[str, Composite]:
    """The composites by name.

    ``zero`` and ``epsilon`` use one rule throughout; the others use epsilon for dense layers and z+, alpha-beta or
    gamma for convolutions; ``-flat``, ``-flat-foreground`` and ``-box`` name the rule of the input layer.
    ``epsilon-gamma-box`` assumes inputs between 0 and 1; ``-flat-foreground`` takes zeros for background. Sources:
    Montavon et al. 2019, section 10.3; Kohlbrenner et al. 2020, "Towards best practice in explaining neural network
    decisions with LRP".
    """
    found = [
        replace(_plain("zero", Zero(), Zero()), epsilon=0.0),
        _plain("epsilon", Epsilon(), Epsilon()),
        _plain("epsilon-plus", Epsilon(), ZPlus()),
        _plain("epsilon-plus-flat", Epsilon(), ZPlus(), Flat()),
        _plain("epsilon-plus-flat-foreground", Epsilon(), ZPlus(), FlatForeground()),
        _plain("epsilon-alpha1beta0", Epsilon(), AlphaBeta(1.0, 0.0)),
        _plain("epsilon-alpha2beta1", Epsilon(), AlphaBeta(2.0, 1.0)),
        _plain("epsilon-alpha2beta1-flat", Epsilon(), AlphaBeta(2.0, 1.0), Flat()),
        _plain("epsilon-gamma-box", Epsilon(), Gamma(0.25), ZBox(0.0, 1.0)),
    ]
    return {composite.name: composite for composite in found}


def composite_named(name: str) -> Composite:
    """One of :func:`composites`.

    Raises
    ------
    ValueError
        If there is none of that name; the message lists those there are.
    """
    known = composites()
    if name not in known:
        raise ValueError(f"unknown composite {name!r}; known: {', '.join(known)}")
    return known[name]
