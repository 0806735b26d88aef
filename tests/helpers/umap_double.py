"""Stands for umap-learn, which takes half a minute to compile itself before its first map."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from fmcore.statistics import umap_positions


def double_umap(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Puts the double in the place of the library; has what each map was made with."""
    calls: list[dict[str, Any]] = []

    class Umap:
        def __init__(self, **options) -> None:
            calls.append(options)

        def fit_transform(self, values: np.ndarray) -> np.ndarray:
            calls[-1]["values"] = values
            return np.stack([values.sum(axis=1), values[:, 0]], axis=1)

    module = ModuleType("umap")
    module.UMAP = Umap
    monkeypatch.setitem(sys.modules, "umap", module)
    monkeypatch.setattr(sys.modules[umap_positions.__module__], "version", lambda _: "0.5.99")
    return calls
