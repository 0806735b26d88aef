"""Fixtures that several tests share; all of them are real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.factories import absent, make_store
from hypothesis import settings

from fmcore.storage import open_store

ROOT = Path(__file__).parents[1]
# Derandomised in CI, so that a run that passed passes again.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the modules that take longest, so that no process is left with one alone."""
    first = ["test_full_mnist.py", "test_notebook.py", "test_docs_run.py", "test_browser.py"]
    items.sort(key=lambda one: first.index(one.path.name) if one.path.name in first else len(first))


@pytest.fixture(scope="session")
def store_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_store(tmp_path_factory.mktemp("store") / "tiny.h5")


@pytest.fixture
def store(store_path: Path):
    with open_store(store_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def viewer() -> str:
    """An environment with the dashboard alone; `make test` makes it."""
    python = Path(os.environ.get("FMCORE_VIEWER", ROOT / ".venv-viewer")) / "bin" / "python"
    if not python.exists():
        absent(f"there is no viewer environment at {python}; `make test` makes one")
    return str(python)
