"""Fixtures that several tests share; all of them are real files."""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import httpx
import pytest
from helpers.factories import absent, make_store
from hypothesis import settings

from fmcore.storage import open_store

# Keras' own `predict`, the reference, has no convolutions with channels first on a CPU but those of
# oneDNN, which TensorFlow leaves out on some (AMD's) unless it is told.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

# No test is about how quick a machine is: what all of them wait for an answer, in seconds.
inspect.signature(httpx.get).parameters["timeout"].default.read = 60

ROOT = Path(__file__).parents[1]
# A law is tried on this many examples; in CI always the same, so that a run that passed passes
# again, and in the soak on far more.
settings.register_profile("default", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, derandomize=True, max_examples=50)
settings.register_profile("soak", deadline=None, max_examples=1000)
PROFILE = "soak" if os.environ.get("SOAK") else "ci" if os.environ.get("CI") else "default"
settings.load_profile(PROFILE)
# Modules that take longest come first, then those in a browser, so that no process is left with one
# of them alone.
FIRST = [
    "test_docs_run.py",
    "test_full_mnist.py",
    "test_notebook.py",
    "test_tutorial.py",
    "test_show.py",
    "test_find.py",
    "test_hand.py",
    "test_current.py",
    "test_browser.py",
    "test_keyboard.py",
    "test_saving.py",
]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leaves modules of Keras alone where none of their tests is wanted: importing it is slow."""
    if "not keras" not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    return "\npytestmark = pytest.mark.keras" in collection_path.read_text("utf-8") or None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Puts long modules first, and marks tests by what they need, and how they are run."""
    items.sort(
        key=lambda item: (
            [*FIRST, item.path.name].index(item.path.name),
            item.get_closest_marker("browser") is None,
        )
    )
    for item in items:
        if "viewer" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.viewer)
        # The summary names a test that raced, and so passed only when it ran once more.
        if os.environ.get("CI") and item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))
        # They repeat what others reach already, and measuring takes a third of a test's time.
        if config.pluginmanager.hasplugin("_cov") and (
            item.get_closest_marker("slow") or item.get_closest_marker("browser")
        ):
            item.add_marker(pytest.mark.no_cover)


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
