"""The rules of layer-wise relevance propagation (LRP) for layers that are linear in their input.

Every rule is a sum of *groups*. A group hands the relevance ``R_k`` of the outputs to the inputs in proportion to
contributions ``x_j w_jk`` of modified inputs and modified weights::

    R_j = sum_groups sum_k  c_k R_k  (sum_parts x_j w_jk) / (sum_parts sum_i x_i w_ik + b_k)

Notation and numbering follow Montavon et al. 2019, "Layer-Wise Relevance Propagation: An Overview", in
*Explainable AI*, LNCS 11700, chapter 10, unless another source is given.

Biases: with ``"absorb"`` (the default, as in the papers) a bias takes its share and that share is lost; with
``"redistribute"`` whatever the bias and the stabiliser took is given to the inputs in proportion to the size
``|x_j w_jk|`` of their contributions (evenly, where all of these are zero), so that relevance is conserved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor

from .engine.uniform import ones_of
from .engine.weighted import WeightedLayer
from .stabilise import divide, divide_into

Part = tuple[Tensor, Tensor]
"""A modified input and a modified weight."""

DEFAULT_EPSILON = 1e-6


@dataclass
class Group:
    """Contributions that share one denominator.

    Attributes
    ----------
    parts
        Modified inputs and weights whose contributions are summed.
    bias
        A modified bias, or None.
    coefficient
        Factor of the relevance: a number, or a tensor of the output's shape.
    denominator
        The sum of the contributions with the bias, where it is at hand; its memory is used again.
    positive
        Whether no contribution is negative, and the bias neither: then no sign has to be looked at.
    """

    parts: list[Part]
    bias: Tensor | None = None
    coefficient: float | Tensor = 1.0
    denominator: Tensor | None = None
    positive: bool = False


@dataclass(frozen=True)
class Rule:
    """How one layer hands its relevance down; subclasses give the groups.

    Parameters
    ----------
    epsilon
        The stabiliser: added to each denominator with the denominator's sign (plus at zero).
    """

    epsilon: float = field(default=DEFAULT_EPSILON, kw_only=True)

    #: Whether an input's relevance is in proportion to that input, so that it is a share of its intensity.
    reads_input: ClassVar[bool] = True

    def groups(self, layer: WeightedLayer) -> list[Group]:
        """The groups of this rule for ``layer`` and the input it saw."""
        raise AssertionError(f"{type(self).__name__} has no groups")

    def redistribute(self, layer: WeightedLayer, relevance: Tensor, bias: str) -> Tensor:
        """Relevance of the layer's inputs, given that of its outputs.

        Parameters
        ----------
        layer
            The layer, with the input of the forward pass.
        relevance
            Of the layer's output, same shape.
        bias
            ``"absorb"`` or ``"redistribute"``.

        Returns
        -------
        Tensor
            Of the input's shape.
        """
        total: Tensor | None = None
        for group in self.groups(layer):
            handed = _hand_down(layer, group, relevance, self.epsilon, bias)
            total = handed if total is None else total + handed
        assert total is not None
        return total


def _hand_down(layer: WeightedLayer, group: Group, relevance: Tensor, epsilon: float, bias: str) -> Tensor:
    plain = isinstance(group.coefficient, float) and group.coefficient == 1.0
    incoming = relevance if plain else relevance * group.coefficient
    if group.positive and group.bias is not None and epsilon > 0 and bias != "redistribute":
        stabilised = _total(layer, group.parts, group.bias + epsilon)  # added as a bias, it costs nothing
        return _spread(layer, group.parts, torch.div(incoming, stabilised, out=stabilised))
    z = group.denominator if group.denominator is not None else _total(layer, group.parts, group.bias)
    if bias != "redistribute":
        return _spread(layer, group.parts, divide_into(incoming, z, epsilon, group.positive))
    shares = divide(incoming, z, epsilon)
    result = _spread(layer, group.parts, shares)
    without_bias = z if group.bias is None else z - layer.bias_like(group.bias)
    lost = incoming - shares * without_bias
    sizes = [(x.abs(), weight.abs()) for x, weight in group.parts]
    total = _total(layer, sizes, None)
    result = result + _spread(layer, sizes, divide(lost, total, 0.0))
    # Where a rule finds no contribution at all, first all contributions of the layer count, then mere connection.
    everywhere = torch.ones_like(layer.input), torch.ones_like(layer.weight)
    for x, weight in ((layer.input.abs(), layer.weight.abs()), everywhere):
        lost = torch.where(total == 0, lost, 0)
        if not bool(lost.any()):
            break
        total = layer.apply(x, weight, None)
        result = result + _spread(layer, [(x, weight)], divide(lost, total, 0.0))
    return result


def _total(layer: WeightedLayer, parts: Sequence[Part], bias: Tensor | None) -> Tensor:
    total = layer.apply(*parts[0], bias)
    for x, weight in parts[1:]:
        total += layer.apply(x, weight, None)
    return total


def _spread(layer: WeightedLayer, parts: Sequence[Part], shares: Tensor) -> Tensor:
    result = _times(layer.adjoint(shares, parts[0][1]), parts[0][0], shares)
    for x, weight in parts[1:]:
        result.addcmul_(x, layer.adjoint(shares, weight))
    return result


def _times(back: Tensor, x: Tensor, shares: Tensor) -> Tensor:
    """``back * x``, in the memory of ``back`` where nothing else needs that; feature maps are large."""
    is_free = back is not shares and back.shape == x.shape and all(back.stride()) and back.dtype == x.dtype
    return back.mul_(x) if is_free else back * x


def _positive(values: Tensor) -> Tensor:
    return values.clamp(min=0)


def _negative(values: Tensor) -> Tensor:
    return values.clamp(max=0)


def _bias(layer: WeightedLayer, part: str = "all") -> Tensor | None:
    if layer.bias is None:
        return None
    chosen = {"all": lambda b: b, "positive": _positive, "negative": _negative}[part](layer.bias)
    return chosen


def _signed_parts(layer: WeightedLayer, for_positive: Tensor, for_negative: Callable[[], Tensor]) -> list[Part]:
    """Positive inputs with one weight, negative inputs with another; one part where no input is negative."""
    if layer.nonnegative:
        return [(layer.input, for_positive)]
    return [(_positive(layer.input), for_positive), (_negative(layer.input), for_negative())]


@dataclass(frozen=True)
class Epsilon(Rule):
    """LRP-epsilon (table 10.1, equation 10.7): ``R_j = sum_k x_j w_jk / (z_k + epsilon sign z_k) R_k``."""

    def groups(self, layer: WeightedLayer) -> list[Group]:
        return [Group([(layer.input, layer.weight)], _bias(layer), denominator=layer.output())]


@dataclass(frozen=True)
class Zero(Epsilon):
    """LRP-0 (equation 10.6): epsilon without a stabiliser; outputs that are exactly zero hand nothing down."""

    epsilon: float = field(default=0.0, kw_only=True)


@dataclass(frozen=True)
class ZPlus(Rule):
    """The z+ rule (Montavon et al. 2017, "Deep Taylor decomposition", equation 14): positive contributions only.

    For inputs of either sign the positive contributions are ``x+ w+`` and ``x- w-``. The positive part of the bias
    stands in the denominator.
    """

    def groups(self, layer: WeightedLayer) -> list[Group]:
        parts = _signed_parts(layer, _positive(layer.weight), lambda: _negative(layer.weight))
        return [Group(parts, _bias(layer, "positive"), positive=True)]


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """LRP-alpha-beta (Bach et al. 2015, equation 60): positive contributions count alpha, negative ones minus beta."""

    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        if abs(self.alpha - self.beta - 1) > 1e-9 or self.beta < 0:
            raise ValueError(f"alpha - beta must be 1 and beta not negative, not {self.alpha} and {self.beta}")

    def groups(self, layer: WeightedLayer) -> list[Group]:
        up, down = _positive(layer.weight), _negative(layer.weight)
        groups = [Group(_signed_parts(layer, up, lambda: down), _bias(layer, "positive"), self.alpha, positive=True)]
        if self.beta:
            groups.append(Group(_signed_parts(layer, down, lambda: up), _bias(layer, "negative"), -self.beta))
        return groups


@dataclass(frozen=True)
class Gamma(Rule):
    """LRP-gamma (equation 10.8), generalised to inputs and outputs of either sign.

    Where the output is positive, positive contributions are favoured by ``1 + gamma``; where it is negative, negative
    ones are (Andéol et al. 2021, "Learning domain invariant representations by joint Wasserstein distance
    minimization", appendix; the form for non-negative inputs and outputs is the original).
    """

    gamma: float = 0.25

    def groups(self, layer: WeightedLayer) -> list[Group]:
        z = layer.output()
        up = layer.weight + self.gamma * _positive(layer.weight)
        down = layer.weight + self.gamma * _negative(layer.weight)
        bias_up = bias_down = None
        if layer.bias is not None:
            bias_up = layer.bias + self.gamma * _positive(layer.bias)
            bias_down = layer.bias + self.gamma * _negative(layer.bias)
        groups = [Group(_signed_parts(layer, up, lambda: down), bias_up, (z >= 0).to(z.dtype))]
        if bool((z < 0).any()):
            groups.append(Group(_signed_parts(layer, down, lambda: up), bias_down, (z < 0).to(z.dtype)))
        return groups


@dataclass(frozen=True)
class Flat(Rule):
    """The flat rule (Lapuschkin et al. 2017): all inputs of a receptive field get the same; weights play no part."""

    reads_input: ClassVar[bool] = False

    def groups(self, layer: WeightedLayer) -> list[Group]:
        return [Group([(torch.ones_like(layer.input), ones_of(layer.weight))], positive=True)]


@dataclass(frozen=True)
class FlatForeground(Rule):
    """The flat rule over the inputs that are not exactly zero: all of them in a receptive field get the same.

    Our variant of :class:`Flat` for inputs that are mostly background. The flat rule hands relevance to every voxel of
    a window that touches the brain, so a quarter and more of it ends in the empty space of a skull-stripped scan. The
    weights play no part here either, so what makes the flat rule depend on the upper layers alone is kept. A window of
    zeros only has nobody to hand its relevance to: it is lost, or spread over all where biases are redistributed.
    """

    reads_input: ClassVar[bool] = False

    def groups(self, layer: WeightedLayer) -> list[Group]:
        foreground = (layer.input != 0).to(layer.input.dtype)
        return [Group([(foreground, ones_of(layer.weight))], positive=True)]


@dataclass(frozen=True)
class WSquare(Rule):
    """The w-square rule (Montavon et al. 2017, equation 12): in proportion to ``w_jk ** 2``, whatever the input."""

    reads_input: ClassVar[bool] = False

    def groups(self, layer: WeightedLayer) -> list[Group]:
        return [Group([(torch.ones_like(layer.input), layer.weight.square())], positive=True)]


@dataclass(frozen=True)
class ZBox(Rule):
    """The z-box rule for an input layer with values in ``[low, high]`` (Montavon et al. 2017, equation 16)."""

    low: float = 0.0
    high: float = 1.0

    reads_input: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.low > 0 or self.high < 0 or self.low >= self.high:
            raise ValueError(f"the box must hold zero and not be empty, not [{self.low}, {self.high}]")

    def groups(self, layer: WeightedLayer) -> list[Group]:
        low, high = torch.full_like(layer.input, self.low), torch.full_like(layer.input, self.high)
        parts = [
            (layer.input, layer.weight),
            (-low, _positive(layer.weight)),
            (-high, _negative(layer.weight)),
        ]
        return [Group(parts)]


@dataclass(frozen=True)
class Pass(Rule):
    """The identity: relevance goes through unchanged, for layers whose output has the input's shape."""

    reads_input: ClassVar[bool] = False

    def redistribute(self, layer: WeightedLayer, relevance: Tensor, bias: str) -> Tensor:
        if relevance.shape != layer.input.shape:
            raise ValueError(
                f"the identity rule needs input and output of one shape, not {tuple(layer.input.shape)} and "
                f"{tuple(relevance.shape)} (layer '{layer.module}')"
            )
        return relevance
