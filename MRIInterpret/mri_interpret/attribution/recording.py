"""Forward passes of a model: recorded for backward passes over them, or plain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import Cancelled, UserError
from ..progress import ProgressCallback, silent
from .about_input import AboutInput
from .engine.constants import is_from_input
from .engine.forward_pass import record_forward
from .engine.gradient_check import GradientCheck
from .engine.operation import Backward
from .engine.pooled_convolution import SlabPolicy
from .engine.recorder import Recorder
from .engine.torch_modes import plain_tensor
from .evaluation_mode import evaluation_mode
from .input_checks import refusal_of
from .method import Method
from .outputs import Key, OutputChoice, choose_output
from .patched_logits import PatchedLogits
from .random_numbers import Generators, refuse_chance
from .recorded_pass import RecordedPass
from .target import Target, number_of_weights, target_weights

#: What is said of backward passes where torch's graph ends before the input; occlusion needs none.
NO_WAY_TO_THE_INPUT = (
    "No gradient leads from the model's scores to its input, as parts of it run under torch.no_grad() or on a detached "
    "tensor: take that out of the model, or choose a method without gradients, such as occlusion."
)


@dataclass(frozen=True)
class PassSettings:
    """How the passes of one explanation run.

    Attributes
    ----------
    strict
        Refuse operations without a rule.
    layers
        Dotted names of the modules whose outputs are kept.
    output, classes, undo_activation
        See :func:`outputs.choose_output`.
    choice
        Which output is explained, once it is known.
    feature
        Number of the feature map that is kept for class activation maps, once it is known.
    slabs
        Which poolings are computed slab by slab.
    about
        What is known of the input; on its device.
    progress
        Told between passes.
    """

    strict: bool = False
    layers: tuple[str, ...] = ()
    output: Key | None = None
    classes: int | None = None
    undo_activation: bool = True
    choice: OutputChoice | None = None
    feature: int | None = None
    slabs: SlabPolicy = field(default_factory=SlabPolicy)
    about: AboutInput = field(default_factory=AboutInput)
    progress: ProgressCallback = silent

    def for_methods(self, methods: Sequence[Method]) -> PassSettings:
        """These settings with what ``methods`` need of the recorded pass."""
        layers = tuple(name for method in methods for name in method.layers)
        return replace(self, strict=any(method.needs_rules for method in methods), layers=layers)


def record_pass(model: nn.Module, x: Tensor, target: Target, settings: PassSettings) -> RecordedPass:
    """The recorded forward pass of ``x`` (N, C, *spatial) through ``model``, which is in evaluation mode.

    Raises
    ------
    UserError
        If the model cannot take the input, the target does not fit the outputs, or these are not finite, do not depend
        on the input, or depend on chance.
    """
    backward = Backward()
    with torch.inference_mode(False), torch.enable_grad():
        leaf = plain_tensor(x).detach().requires_grad_()
        slabs: SlabPolicy | None = settings.slabs
        recorder, output, drew = _recorded(model, leaf, backward, settings, slabs)
        choice = settings.choice
        if choice is None:
            classes = settings.classes or number_of_weights(target)
            choice = choose_output(output, len(x), settings.output, classes, settings.undo_activation)
            if drew:
                refuse_chance(lambda: scores_of(model, leaf, choice), leaf.device)
        logits = choice.scores(output, len(x))
        _check_logits(logits)
        last = recorder.last_feature(logits)
        if last is not None and (last != recorder.kept_number or recorder.features[last].pooled):
            # Class activation maps want the last feature map that leads to the scores, and want it whole, which it is
            # not where it was pooled on the fly. Later passes of this explanation keep the right one at once.
            slabs = None if recorder.features[last].pooled else slabs
            settings = replace(settings, feature=last)
            recorder, output, _ = _recorded(model, leaf, backward, settings, slabs)
            logits = choice.scores(output, len(x))
        check = GradientCheck(model, choice.scores, choice.unrecorded_scores, choice.up_to_a_constant, slabs)
        operations = recorder.operations
        if not recorder.leads_to_input(logits):
            backward.refusal = UserError(NO_WAY_TO_THE_INPUT)
        elif not check.knows(leaf, operations) and not check.accepts_crop(leaf, operations):
            del recorder, output, logits  # their memory is needed
            try:
                backward.refusal = check.refusal(leaf, operations)
            except UserError as error:
                if not choice.undone:
                    raise
                backward.refusal = error
            if backward.refusal is not None and choice.undone:
                # Probabilities near 0 and 1 do not tell the logits: then they are compared themselves.
                final = replace(choice, undone=False)
                check = GradientCheck(model, final.scores, final.scores, False, slabs)
                backward.refusal = check.refusal(leaf, operations)
            recorder, output, _ = _recorded(model, leaf, backward, settings, slabs)
            logits = choice.scores(output, len(x))
            _check_logits(logits)
    weights = target_weights(target, logits.detach())
    settings = replace(settings, choice=choice)
    recorded = not recorder.has_unseen_operations

    def accepts_batches() -> bool:
        return check.accepts_batches(leaf, operations)

    def logits_of(other: Tensor, samples: int = len(x)) -> Tensor:
        together = len(other) > samples and accepts_batches()
        return _plain(model, other, len(other) if together else samples, choice, settings.slabs, recorded)

    return RecordedPass(
        model=model,
        x=leaf,
        logits=logits,
        weights=weights,
        choice=choice,
        logits_of=logits_of,
        record=lambda other: record_pass(model, other, weights.repeat(len(other) // len(x), 1), settings),
        record_alone=lambda other, number: record_pass(model, other, weights[number : number + 1], settings),
        record_with=lambda network: record_pass(network, x, weights, settings),
        logits_with_boxes=PatchedLogits(model, leaf, choice.scores, logits_of, lambda: recorded and accepts_batches()),
        backward=backward,
        takes_batches=accepts_batches,
        outputs=recorder.outputs,
        ruled=frozenset(recorder.ruled),
        last_spatial=None if last is None else recorder.kept,
        last_spatial_name="" if last is None else recorder.features[last].layer,
        about=settings.about,
        progress=settings.progress,
    )


def output_of(
    model: nn.Module, x: Tensor, output: Key | None = None, classes: int | None = None, undo_activation: bool = True
) -> OutputChoice:
    """Which of the model's outputs is explained, as an explanation of ``x`` finds it; see :func:`.choose_output`.

    The model is in evaluation mode, and ``x`` (N, C, *spatial) on its device.

    Raises
    ------
    UserError
        If the model cannot take the input, returns no class scores, or draws them at random.
    """
    with torch.inference_mode(False), torch.enable_grad():
        leaf, before = plain_tensor(x).detach().requires_grad_(), Generators(x.device)
        _, returned = _run(model, leaf, Backward(), PassSettings(), SlabPolicy())
        drew = before.moved()
        choice = choose_output(returned, len(x), output, classes, undo_activation)
    if drew:
        refuse_chance(lambda: scores_of(model, leaf, choice), leaf.device)
    return choice


def scores_of(model: nn.Module, x: Tensor, choice: OutputChoice) -> Tensor:
    """What is explained of ``x`` (N, C, *spatial), without maps: (N, classes).

    The model is in evaluation mode, and ``x`` on its device; ``choice`` is :attr:`Attributions.output`.

    Raises
    ------
    UserError
        If the model cannot take the input.
    """
    # One at a time, and with history: a program may insist on its number of samples, and what is not recorded needs it.
    return _plain(model, x, 1, choice, SlabPolicy(), recorded=False)


def _check_logits(logits: Tensor) -> None:
    if not logits.requires_grad:
        if is_from_input(logits):
            raise UserError(NO_WAY_TO_THE_INPUT)
        raise UserError("The model's output does not depend on its input: nothing can be explained.")
    if not bool(torch.isfinite(logits).all()):
        raise UserError("The model's scores are not finite for this input: check its weights and the intensities.")


def _plain(
    model: nn.Module, x: Tensor, samples: int, choice: OutputChoice, slabs: SlabPolicy, recorded: bool = True
) -> Tensor:
    """Logits of ``x``, ``samples`` at a time; ``recorded`` says whether all of the model is."""
    scores = []
    for piece in plain_tensor(x).split(samples):
        # What depends on the input is known without a history, but for operations that are not recorded.
        with torch.inference_mode(False), torch.set_grad_enabled(not recorded), evaluation_mode(model):
            _, output = _run(model, piece.detach().requires_grad_(not recorded), Backward(), PassSettings(), slabs)
            scores.append(choice.scores(output, len(piece)).detach())
    return torch.cat(scores)


def _recorded(
    model: nn.Module, x: Tensor, backward: Backward, settings: PassSettings, slabs: SlabPolicy | None
) -> tuple[Recorder, Any, bool]:
    """A recorded pass, its output, and whether random numbers were drawn in it."""
    with evaluation_mode(model):  # each pass starts from the same state
        before = Generators(x.device)
        recorder, output = _run(model, x, backward, settings, slabs)
        return recorder, output, before.moved()


def _run(
    model: nn.Module, x: Tensor, backward: Backward, settings: PassSettings, slabs: SlabPolicy | None
) -> tuple[Recorder, Any]:
    """A recorded pass and its output; what the model itself raises for this input becomes one sentence."""
    try:
        return record_forward(model, x, backward, settings.strict, settings.layers, slabs, settings.feature)
    except (UserError, Cancelled, torch.OutOfMemoryError):
        raise
    except Exception as error:
        refusal = refusal_of(model, x)
        if refusal is None:
            raise
        raise UserError(refusal) from error
