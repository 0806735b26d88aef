"""Progress of what Python calls, where a person sees it: in a notebook, and nowhere else."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec


@contextlib.contextmanager
def notebook_bar(total: int, unit: str) -> Iterator[Callable[[int], object]]:
    """Shows a bar in the output of a notebook's cell; elsewhere nothing.

    Args:
        total: of what there is to do.
        unit: what is counted, such as `sample`.

    Yields:
        What is called with the number that were done since the last call.
    """
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if not hasattr(shell, "kernel"):
        yield lambda _: None
        return
    # The bar of notebooks is a widget; without these it is a line of text, as on a terminal.
    module = "tqdm.notebook" if find_spec("ipywidgets") else "tqdm.std"
    with import_module(module).tqdm(total=total, unit=unit) as bar:
        yield bar.update
