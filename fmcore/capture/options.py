"""The options of a capture: name, type, default, words and check of each, declared once."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np

from fmcore.capture.cost import DEFAULT_BATCH_SIZE
from fmcore.errors import DatasetError, ModelError, ParameterError, SelectionError
from fmcore.records import Compression, Kind, StatisticsScope, Tap
from fmcore.selection import near_matches, parse_policies

F = TypeVar("F", bound=Callable[..., Any])
Option = dataclasses.Field[Any]
# Takes the value of an option and its name; returns the value as the record holds it.
Parse = Callable[[object, str], object]

DOCSTRING_WIDTH = 100


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise SelectionError(f"{name} {value!r}; expected text", field=name)
    return value


def _policy(value: object, name: str) -> str:
    text = _text(value, name)
    parse_policies(text)  # which layers its globs match is known when the model is open
    return text


def _flag(value: object, name: str) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise SelectionError(f"{name} {value!r}; expected True or False", field=name)
    return bool(value)


def _count(value: object, name: str) -> int:
    index = None if isinstance(value, bool) else getattr(value, "__index__", None)
    if index is None or (number := int(index())) < 1:
        raise DatasetError(f"{name} {value!r}; expected a whole number from 1", field=name)
    return number


def _count_or_none(value: object, name: str) -> int | None:
    return None if value is None else _count(value, name)


def _one_of(vocabulary: type[StrEnum], error: type[ParameterError]) -> Parse:
    def parse(value: object, name: str) -> StrEnum:
        words = [member.value for member in vocabulary]
        if not isinstance(value, str) or value not in words:
            near = near_matches(value, words) if isinstance(value, str) else ""
            raise error(f"{name} {value!r}; expected {', '.join(words)}{near}", field=name)
        return vocabulary(value)

    return parse


class TargetOption(StrEnum):
    """What a person says about the kind of answer that a model gives; see `fmcore.records.Target`.

    With `auto` the graph, the loss, the labels and the values say it, or a refusal asks.
    """

    AUTO = "auto"
    CLASS = "class"
    LABELS = "labels"
    NUMBER = "number"
    NONE = "none"


def _about(parse: Parse, doc: str, *, default: str = "") -> dict[str, Any]:
    """The metadata of an option.

    Args:
        parse: checks a value, and turns it into what the record holds.
        doc: what the option does, for Python's `help` and for the command line.
        default: the default in words, where its value does not explain itself.
    """
    return {"parse": parse, "doc": doc, "default": default}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureOptions:
    """What a person can choose about a capture; `help(fmcore.capture_activations)` explains it.

    Text is accepted for `Kind`, `Tap`, `Compression` and `StatisticsScope`.

    Raises:
        ModelError, DatasetError, SelectionError: if a value is none that the option can have; their
            `field` names the option.
    """

    layers: str = field(
        default="*",
        metadata=_about(
            _text,
            "globs over layer paths, such as 'conv1,block?_*'; re: begins a regular expression",
            default="all",
        ),
    )
    kind: Kind = field(
        default=Kind.CONV,
        metadata=_about(
            _one_of(Kind, ModelError), "kind of layers; a dense layer's units are 1x1 maps"
        ),
    )
    tap: Tap = field(
        default=Tap.OUTPUT,
        metadata=_about(
            _one_of(Tap, ModelError),
            "what is stored: a layer's output, or the output of the normalization and activation "
            "layers after it",
        ),
    )
    policy: str = field(
        default="",
        metadata=_about(
            _policy,
            "how layers are stored, such as 'block1*=pooled,conv2=float16': float32, exactly; "
            "float16, in half the bytes; pooled, without maps but with all tables and statistics. "
            "The last glob that matches a layer counts",
            default="float32",
        ),
    )
    compression: Compression = field(
        default=Compression.AUTO,
        metadata=_about(
            _one_of(Compression, SelectionError),
            "auto compresses the maps of each layer for which a trial on the first samples saves "
            "at least a third of the bytes; deflate those of all layers; none those of none. Any "
            "HDF5 reads them",
        ),
    )
    batch_size: int | None = field(
        default=None,
        metadata=_about(
            _count_or_none,
            "samples that go through the model together",
            default=f"as many as the memory allows, at most {DEFAULT_BATCH_SIZE}",
        ),
    )
    memory: int = field(
        default=1 << 30,
        metadata=_about(
            _count,
            "bytes that batches, class maps and histograms may take beyond model and images",
            default="1GiB",
        ),
    )
    statistics: StatisticsScope = field(
        default=StatisticsScope.ALL,
        metadata=_about(
            _one_of(StatisticsScope, SelectionError),
            "basic leaves out histograms, scores, top samples and similarities; what follows from "
            "the pooled tables can be computed from the store later",
        ),
    )
    predictions: bool = field(
        default=True,
        metadata=_about(
            _flag,
            "without predictions, the model's output is taken as features, not as class scores",
        ),
    )
    target: TargetOption = field(
        default=TargetOption.AUTO,
        metadata=_about(
            _one_of(TargetOption, SelectionError),
            "what the model's output is: class, one of several classes; labels, several labels; "
            "number, one or several numbers; none, features. auto decides it by the model, its "
            "loss, the labels and the values, and asks where these do not agree",
        ),
    )
    output: str = field(
        default="",
        metadata=_about(
            _text,
            "name of the model's output, if it has several",
            default="the only one that fits the labels",
        ),
    )
    overwrite: bool = field(default=False, metadata=_about(_flag, "replace a store of that name"))
    restart: bool = field(
        default=False, metadata=_about(_flag, "discard what an interrupted run left")
    )
    allow_large: bool = field(
        default=False,
        metadata=_about(
            _flag, "capture even if the store takes more than 10 GB; a policy allows it too"
        ),
    )

    def __post_init__(self) -> None:
        for option in dataclasses.fields(self):
            value = option.metadata["parse"](getattr(self, option.name), option.name)
            object.__setattr__(self, option.name, value)
        target = self.target if self.predictions else TargetOption.NONE
        if not self.predictions and self.target not in (TargetOption.AUTO, TargetOption.NONE):
            raise SelectionError(
                f"target {self.target.value!r}, but no predictions are wanted; leave one of them "
                "out",
                field="target",
            )
        if target == TargetOption.NONE and self.output:
            raise SelectionError(
                f"output {self.output!r}, but nothing of the model's output is wanted; leave it "
                "out, or the target none",
                field="output",
            )

    @property
    def may_be_large(self) -> bool:
        """Whether the store may take more than 10 GB.

        Whoever chooses a policy has thought about the size of the store.
        """
        return self.allow_large or bool(self.policy)


DEFAULTS = CaptureOptions()
OPTIONS = {option.name: option for option in dataclasses.fields(CaptureOptions)}


def option_help(option: Option) -> str:
    """What an option does and, unless it is a flag, its default."""
    doc: str = option.metadata["doc"]
    if isinstance(option.default, bool):
        return doc
    return f"{doc} (default: {option.metadata['default'] or option.default})"


def choices_of(option: Option) -> list[str]:
    """The values that an option can have; empty where there are too many to list."""
    default = option.default
    return [member.value for member in type(default)] if isinstance(default, StrEnum) else []


def with_options(function: F) -> F:
    """Shows the options of a capture in `help` of a function that hands on `**options`.

    They take the place of `**options` in its signature, and of the line that begins with
    `options:` in its docstring.
    """
    signature = inspect.signature(function)
    others = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    parameters = [*others, *map(_parameter, OPTIONS.values())]
    function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    if function.__doc__ is not None:  # Python strips it with -OO
        function.__doc__ = re.sub(
            r"^( *)options: .*$", _argument_lines, function.__doc__, flags=re.MULTILINE
        )
    return function


def _parameter(option: Option) -> inspect.Parameter:
    choices = choices_of(option)
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=str(option.default) if choices else option.default,
        annotation=f"Literal{choices}" if choices else option.type,
    )


def _argument_lines(placeholder: re.Match[str]) -> str:
    """The options as a docstring's arguments, with the indent of the line that they replace."""
    indent = placeholder[1]
    lines: list[str] = []
    for option in OPTIONS.values():
        choices = ", ".join(choices_of(option))
        lines += textwrap.wrap(
            f"{option.name}{f' ({choices})' if choices else ''}: {option_help(option)}.",
            DOCSTRING_WIDTH,
            initial_indent=indent,
            subsequent_indent=f"{indent}    ",
            break_on_hyphens=False,
        )
    return "\n".join(lines)
