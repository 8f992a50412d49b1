"""The form *Add model...*: what it asks of which kind of source, its words, and the request that comes of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..models.answers import Answers, read_answers
from ..models.recipes.table import RECIPES
from ..preprocessing.steps.chain import read_steps
from ..worker.add_model_request import AddModelRequest
from .input_choices import STEPS_FILE, InputChoices

BUNDLE, PROGRAM, WEIGHTS = "bundle", "program", "weights"
KIND_TITLES = {
    BUNDLE: "A model bundle, MONAI's layout (folder)",
    PROGRAM: "A program of torch.export or TorchScript (file)",
    WEIGHTS: "Weights, and a class that you trust (file)",
    **{name: f"{recipe.title}" for name, recipe in RECIPES.items()},
}
OUTPUT_TITLES = {
    "logits": "Classes that exclude each other: logits",
    "softmax": "Classes that exclude each other: probabilities (softmax)",
    "sigmoid": "Several labels, each by itself: probabilities (sigmoid)",
    "labels": "Several labels, each by itself: log-odds",
    "ordinal": "Classes in order: log-odds of lying above each limit",
    "logit": "Two classes, one number: the second one's log-odds",
    "regression": "A quantity (regression)",
}
FILES = {
    PROGRAM: ("Programs (*.pt2 *.ts *.pt)",),
    WEIGHTS: ("State dicts (*.safetensors *.pth *.pt)",),
    STEPS_FILE: ("JSON (*.json)",),
}
# Lines of their own: Qt cuts off a label that wraps its words itself and needs more lines than it reckoned with.
TRUST_WARNING = (
    "This RUNS the package's code on this computer, with all that you may do here:\n"
    "read and delete your files, use your network. Name a package only if you trust\n"
    "its authors. It runs in a process of its own, while the model is added; what is\n"
    "kept is a program without that code."
)


@dataclass(frozen=True)
class ModelForm:
    """What stands in the form; texts are as they were typed.

    Attributes
    ----------
    kind
        One of ``KIND_TITLES``: what the source is.
    path, name
        Of the source; and what the model shall be called, empty for the source's own name.
    options
        Of a recipe: "head=add; folds=0,1".
    output, classes, unit, range
        What the outputs mean; ``classes`` is the quantity's name for a regression.
    input, steps_file, statistics
        How scans are prepared; JSON files of the steps and of the inputs' statistics.
    trusted_class, arguments, trusted
        Dotted name of the network's class, its arguments as JSON, and whether its code may be run.
    """

    kind: str = BUNDLE
    path: str = ""
    name: str = ""
    options: str = ""
    output: str = "logits"
    classes: str = ""
    unit: str = ""
    range: str = ""
    input: InputChoices = field(default_factory=InputChoices)
    steps_file: str = ""
    statistics: str = ""
    trusted_class: str = ""
    arguments: str = ""
    trusted: bool = False

    @property
    def is_recipe(self) -> bool:
        """Whether a recipe reads the source."""
        return self.kind in RECIPES

    @property
    def takes_file(self) -> bool:
        """Whether the source is a file, not a folder."""
        return RECIPES[self.kind].takes_file if self.is_recipe else self.kind != BUNDLE

    @property
    def file_filters(self) -> tuple[str, ...]:
        """What the file dialog offers."""
        return FILES.get(self.kind, ())

    @property
    def hint(self) -> str:
        """What the source is, and where it comes from."""
        if self.is_recipe:
            recipe = RECIPES[self.kind]
            return f"Choose {recipe.source} ({recipe.reference})."
        return {
            BUNDLE: "A folder with configs/metadata.json, which says everything. Nothing in it is executed.",
            PROGRAM: "The network as torch.export (.pt2) or TorchScript (.ts, .pt) wrote it. It needs no code.",
            WEIGHTS: "A state dict (.safetensors, .pth, .pt). Tensors alone are read of it.",
        }[self.kind]

    @property
    def asks_code(self) -> bool:
        """Whether a class is asked for."""
        return self.kind == WEIGHTS

    @property
    def asks_options(self) -> bool:
        """Whether the recipe has options of its own."""
        return bool(self.recipe_options)

    @property
    def recipe_options(self) -> dict[str, str]:
        """The recipe's options with their defaults, but for the classes, which have a field of their own."""
        options = RECIPES[self.kind].options if self.is_recipe else {}
        return {name: usual for name, usual in options.items() if name != "classes"}

    @property
    def asks_classes(self) -> bool:
        """Whether the names of the outputs are asked for."""
        return self.kind in (PROGRAM, WEIGHTS) or (self.is_recipe and "classes" in RECIPES[self.kind].options)

    @property
    def asks_output(self) -> bool:
        """Whether the kind of the outputs is asked for."""
        return self.kind in (PROGRAM, WEIGHTS)

    @property
    def asks_input(self) -> bool:
        """Whether the preprocessing is asked for."""
        return not RECIPES[self.kind].says_preprocessing if self.is_recipe else self.kind != BUNDLE

    def blocked(self) -> str:
        """Why the model cannot be added yet; empty if it can be tried."""
        if not self.path.strip():
            return "Choose the file of the model." if self.takes_file else "Choose the folder of the model."
        if self.asks_code and not self.trusted_class.strip():
            return "Name the network's class, such as package.module.Class."
        if self.asks_code and not self.trusted:
            return "Say that you trust the code of the class, which is run."
        if self.asks_output and not self.classes.strip():
            return "Name the quantity." if self.output == "regression" else "Name the classes, in the outputs' order."
        if self.asks_output and self.output == "regression" and not self.unit.strip():
            return "Give the quantity's unit; 1 for a score that has none."
        if self.asks_input and self.input.grid == STEPS_FILE and not self.steps_file.strip():
            return "Choose the file with the preprocessing steps."
        return ""

    def request(self) -> AddModelRequest:
        """The request to a worker.

        Raises
        ------
        UserError
            One sentence for what is missing or wrong.
        """
        why = self.blocked()
        if why:
            raise UserError(why)
        source = Path(self.path.strip()).expanduser().absolute()
        if not source.exists():
            raise UserError(f"There is no {source}: choose the model again.")
        if self.takes_file != source.is_file():
            raise UserError(f"{source} is {'a folder' if source.is_dir() else 'a file'}: {self.blocked_kind}.")
        answers = self._answers()
        return AddModelRequest(
            source=str(source),
            name=self.name.strip(),
            recipe=self.kind if self.is_recipe else "",
            options=self._options() if self.asks_options else {},
            answers=asdict(answers) if answers is not None else None,
            trusted_class=self.trusted_class.strip() if self.asks_code else "",
            arguments=self._arguments() if self.asks_code else {},
        )

    @property
    def blocked_kind(self) -> str:
        """What a source of the other kind is answered."""
        return "choose a file, or another kind of source" if self.takes_file else "choose a folder, or another kind"

    def _answers(self) -> Answers | None:
        if not (self.asks_output or self.asks_classes or self.asks_input):
            return None
        regression = self.asks_output and self.output == "regression"
        steps: tuple[dict[str, Any], ...] = ()
        if self.asks_input and self.input.grid != STEPS_FILE:
            steps = self.input.steps()
        answers = read_answers(
            classes=self.classes if self.asks_classes else "",
            output=self.output if self.asks_output else "logits",
            unit=self.unit if regression else "",
            range=self.range if regression else "",
            shape=self.input.shape if self.asks_input and self.input.grid == STEPS_FILE else "",
            preprocessing=self.steps_file.strip() if self.asks_input and self.input.grid == STEPS_FILE else None,
            statistics=self.statistics.strip() or None,
            steps=steps,
        )
        if answers is not None and answers.preprocessing:
            read_steps([dict(one) for one in answers.preprocessing], "The form")
        return answers

    def _options(self) -> dict[str, str]:
        found = {}
        for entry in filter(None, (part.strip() for part in self.options.split(";"))):
            key, sign, value = (part.strip() for part in entry.partition("="))
            if not (sign and key and value):
                raise UserError(f"The option '{entry}' is none: give pairs such as head=add, separated by semicolons.")
            found[key] = value
        return found

    def _arguments(self) -> dict[str, Any]:
        try:
            value = json.loads(self.arguments.strip() or "{}")
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise UserError('The arguments of the class are no JSON object: write such as {"num_classes": 2}.')
        return value


def options_text(form: ModelForm) -> str:
    """The recipe's options with their defaults, as they can be typed; those without a default are left away."""
    return "; ".join(f"{name}={usual}" for name, usual in form.recipe_options.items() if usual)
