"""What commands share: printing, progress bars, and options that several of them have."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tqdm import tqdm

from fmcore.capture.options import OPTIONS, CaptureOptions, choices_of, option_help
from fmcore.command import size
from fmcore.dataset import DEFAULT_MEMORY
from fmcore.errors import one_line
from fmcore.selection import PARAMETERS, Query, parse_query

# Adds a verb: its name, what runs it, and what it does in a few words.
AddVerb = Callable[[str, Any, str], argparse.ArgumentParser]


def say(text: str) -> None:
    """Prints a line; names in it may come from a file and hold anything, so they are escaped."""
    print(one_line(text))


def on_terminal() -> bool:
    """Whether stderr goes to a terminal, where a person sees it."""
    return sys.stderr.isatty()


def bar(total: int | None, unit: str, *, scale: bool = False) -> tqdm[Any]:
    """A progress bar on a terminal, nothing in a log."""
    return tqdm(total=total, unit=unit, unit_scale=scale, disable=None, leave=False)


def add_store(parser: argparse.ArgumentParser) -> None:
    """Adds the argument STORE, the store to read."""
    parser.add_argument("store", type=Path, metavar="STORE", help="the store to read")


def add_layers(parser: argparse.ArgumentParser) -> None:
    """Adds `--layer`, also under its older name `--layers`."""
    parser.add_argument(
        "--layer",
        "--layers",
        dest="layers",
        default="*",
        metavar="GLOB",
        help="globs over layer paths, such as 'conv1,block?_*' (default: all)",
    )


def add_query(parser: argparse.ArgumentParser, *names: str) -> None:
    """Adds the options of a query: the named ones of `PARAMETERS`, or all without names."""
    for parameter in PARAMETERS:
        if names and parameter.name not in names:
            continue
        older_names = ["--layers"] if parameter.name == "layer" else []
        parser.add_argument(
            f"--{parameter.name}",
            *older_names,
            dest=f"query_{parameter.name}",
            choices=parameter.choices or None,
            metavar=None if parameter.choices else parameter.example,
            help="; ".join(filter(None, (parameter.here, parameter.description))),
        )


def query_of(options: argparse.Namespace) -> Query:
    """The query that the options of `add_query` make.

    Raises:
        SelectionError: if a value is none of the choices.
    """
    values = {
        name.removeprefix("query_"): value
        for name, value in vars(options).items()
        if name.startswith("query_")
    }
    return parse_query(values)


def add_force(parser: argparse.ArgumentParser) -> None:
    """Adds `--force`, which lets files be replaced."""
    parser.add_argument("--force", action="store_true", help="replace files that exist")


def add_model(parser: argparse.ArgumentParser, flag: str = "model", *, without: str = "") -> None:
    """Adds the argument MODEL, or the option `--model`, and options on how it is opened.

    Args:
        parser: the parser of the verb.
        flag: `model` for an argument, `--model` for an option.
        without: what happens without the option; empty where it is required.
    """
    required: dict[str, Any] = {"required": not without} if flag.startswith("--") else {}
    parser.add_argument(
        flag,
        **required,
        metavar="MODEL",
        help="a .keras, .h5 or .hdf5 file, or an architecture of keras.applications, such as "
        f"ResNet50V2{f'; {without}' if without else ''}",
    )
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="weights of such an architecture (default: random)",
    )
    parser.add_argument(
        "--custom",
        action="append",
        default=[],
        metavar="MODULE:NAME",
        help="a class or function of your own that the model uses; its module is imported",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="run code that is in the file, such as Lambda layers: only for a file that you made "
        "yourself",
    )


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Adds options that choose layers of a model, and what is stored of them."""
    add_capture_option(parser, "layers", "--layer", "--layers", metavar="GLOB")
    add_capture_option(parser, "kind", "--kind")
    add_capture_option(parser, "tap", "--tap")


class Join(argparse.Action):
    """Joins the values of an option that is given several times with commas."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,  # noqa: ARG002
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        """Adds a value to those that were given before it."""
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, f"{before},{values}" if before else values)


def add_capture_option(
    parser: argparse.ArgumentParser, name: str, *flags: str, **settings: Any
) -> None:
    """Adds an option of a capture; its default, choices and help are those of `CaptureOptions`.

    Args:
        parser: the parser of the verb.
        name: the option's name in `CaptureOptions`.
        flags: what people type, such as `--batch-size`.
        settings: what else argparse needs to know, such as `type` and `metavar`.
    """
    option = OPTIONS[name]
    choices = choices_of(option)
    if choices:
        settings["choices"] = choices
    if isinstance(option.default, bool):
        settings["action"] = "store_false" if option.default else "store_true"
    parser.add_argument(
        *flags,
        dest=name,
        default=option.default,
        help=option_help(option).replace("%", "%%"),
        **settings,
    )


def capture_options(namespace: argparse.Namespace) -> CaptureOptions:
    """The options of a capture that were typed; those that the verb does not have are defaults.

    Raises:
        SelectionError: if a policy cannot be read.
    """
    return CaptureOptions(**{name: vars(namespace)[name] for name in OPTIONS if name in namespace})


def add_data(parser: argparse.ArgumentParser, *, default: str | None = "mnist") -> None:
    """Adds `--data`, and the folder of data sets that have a name.

    Args:
        parser: the parser of the verb.
        default: the data where none are named; None for those in the store.
    """
    words = default or "those in the store"
    parser.add_argument(
        "--data",
        default=default,
        help="mnist, cifar10, cifar100, fashion_mnist; FILE.npz; images-idx3 files; "
        "FILE.h5::IMAGES,LABELS or FILE.npz::IMAGES,LABELS; a folder with a subfolder of images "
        f"for each class; an image (default: {words}). Further inputs of a model are "
        "x_test_NAME in the npz file, or FILE::IMAGES,LABELS,NAME=ARRAY; they are fed to it "
        "unchanged",
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="folder of mnist.npz (default: $FMCORE_DATA, else data/)",
    )


def add_image_memory(parser: argparse.ArgumentParser) -> None:
    """Adds `--memory` to a verb that has images and is no capture."""
    parser.add_argument(
        "--memory",
        type=size,
        default=DEFAULT_MEMORY,
        metavar="SIZE",
        help="bytes that images of files may take when decoded or inflated (default: 1GiB)",
    )
