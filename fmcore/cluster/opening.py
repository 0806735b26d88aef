"""How workers open a Keras model and its images: by path or name, or from a file made for them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fmcore.capture import Probe
from fmcore.dataset import LabelledImages
from fmcore.dataset.images import BLOCK, Images
from fmcore.dataset.mnist import data_folder
from fmcore.errors import ClusterError, ModelError
from fmcore.files import publish
from fmcore.model.opening import LEVEL, need_keras, open_model
from fmcore.records import ModelInfo, OutputPlan
from fmcore.sources import INSIDE, DataOptions, open_both

if TYPE_CHECKING:
    import keras

    from fmcore.cluster.job import Job
    from fmcore.model.probe import KerasProbe

MODEL, IMAGES, OTHER_INPUT = "model.keras", "images.npy", "input-{}.npy"


@dataclass(frozen=True, slots=True)
class KerasOpening:
    """How a Keras model and its images are opened.

    Attributes:
        model: the path or name of the model; empty where it is saved for the workers.
        data: what `--data` says; empty where the images are written for the workers.
        options: how images are read.
        custom: classes of the model that are not Keras' own, as `MODULE:NAME`.
        trusted: run code that is in the model's file.
        weights: a file of weights, where `model` is the name of an architecture.
    """

    model: str = ""
    data: str = ""
    options: DataOptions = field(default_factory=DataOptions)
    custom: tuple[str, ...] = ()
    trusted: bool = False
    weights: Path | None = None

    def for_workers(self) -> KerasOpening:
        """How workers open it, who may run in other folders, and have no random weights alike."""
        is_file = bool(self.model) and Path(self.model).exists()
        model = self.model if is_file or self.weights is not None else ""
        options = dataclasses.replace(
            self.options,
            data_dir=data_folder(self.options.data_dir).absolute(),
            class_names=None,  # labels and the names of classes are the coordinator's
            progress=False,
        )
        return dataclasses.replace(
            self,
            model=_absolute(model),
            data=_absolute(self.data) if model else "",
            options=options,
            weights=self.weights and self.weights.absolute(),
        )

    def save(self, model: keras.Model, samples: LabelledImages, folder: Path) -> None:
        """Writes what workers cannot open by its path.

        Args:
            model: the model.
            samples: the test set, as the model takes it.
            folder: the folder of the shards.

        Raises:
            OutputError: if the disk refuses.
            ModelError: if Keras cannot save the model.
        """
        if not self.model:
            with publish(folder / MODEL, overwrite=True) as partial:
                try:
                    model.save(partial)
                except (TypeError, ValueError, NotImplementedError) as error:
                    raise ModelError(
                        f"model {model.name!r} cannot be saved for the workers "
                        f"({str(error).splitlines()[0]}); give the path of its file"
                    ) from error
        if not self.data:
            save_array(folder / IMAGES, samples.images)
            for index, name in enumerate(sorted(samples.others)):
                save_array(folder / OTHER_INPUT.format(index), samples.others[name])

    def open(self, job: Job, n_threads: int) -> tuple[Probe, ModelInfo, LabelledImages]:
        """Opens the model and the images in the process of a worker.

        Raises:
            FmcoreError: as `fmcore.sources.open_both` raises it, or if the model puts out
                something else than the coordinator's.
        """
        if "keras" not in sys.modules and os.environ.get(LEVEL) == "3":
            del os.environ[LEVEL]  # inherited of a coordinator that imported Keras
        need_keras()
        from fmcore.model.inputs import fit_to_model, inputs_of
        from fmcore.model.probe import KerasProbe
        from fmcore.model.threads import limit_threads

        limit_threads(n_threads)
        if self.data:
            model, dataset = open_both(
                self.model,
                self.data,
                self.options,
                custom=self.custom,
                trusted=self.trusted,
                weights=self.weights,
            )
            samples = dataset.test
        else:
            images = _open_array(job.folder / IMAGES)
            height, width, channels = images.shape[1:]
            model = open_model(
                self.model or job.folder / MODEL,
                custom=self.custom,
                # The coordinator has saved it of a model that runs there.
                trusted=self.trusted or not self.model,
                weights=self.weights,
                image_shape=(height, width, channels),
            )
            names = sorted(inputs_of(model, image_shape=(height, width, channels)).others)
            others = {
                name: _open_array(job.folder / OTHER_INPUT.format(index))
                for index, name in enumerate(names)
            }
            samples = LabelledImages(images, None, others)
        inputs = inputs_of(model, image_shape=samples.image_shape)
        samples = fit_to_model(inputs, samples, where=self.data or "the coordinator's images")
        probe = KerasProbe(model, job.options, image_shape=inputs.image_shape)
        if job.plan.output is not None:
            probe.use_output(_output_of(probe, job.plan.output))
        return probe, probe.info, samples


def _output_of(probe: KerasProbe, plan: OutputPlan) -> OutputPlan:
    """The coordinator's decision about the output, for the worker's own model.

    Raises:
        ClusterError: if that has no such output.
    """
    if plan.output is None:
        return plan
    for output in probe.outputs:
        if output.name == plan.output.name and output.shape == plan.output.shape:
            return dataclasses.replace(plan, output=output)
    words = ", ".join(f"{output.name} {output.shape_words}" for output in probe.outputs)
    raise ClusterError(
        f"the model of a worker puts out {words}, the coordinator's {plan.output.name} "
        f"{plan.output.shape_words}; have all workers see the same file"
    )


def _absolute(text: str) -> str:
    """A path that holds in other folders too; names, such as `mnist`, stay."""
    path, separator, names = text.partition(INSIDE)
    if text and Path(path).exists():
        return f"{Path(path).absolute()}{separator}{names}"
    return text


def save_array(path: Path, values: Images | NDArray[np.generic]) -> None:
    """Writes an array, or images that are decoded on access, as `.npy`, a block at a time.

    Raises:
        OutputError: if the disk refuses.
    """
    header = {
        "descr": np.lib.format.dtype_to_descr(values.dtype),
        "fortran_order": False,
        "shape": tuple(values.shape),
    }
    with publish(path, overwrite=True) as partial, partial.open("wb") as stream:
        np.lib.format.write_array_header_2_0(stream, header)
        for block in _blocks(values):
            stream.write(np.ascontiguousarray(block).data)


def _blocks(values: Images | NDArray[np.generic]) -> Iterator[NDArray[np.generic]]:
    for start in range(0, len(values), BLOCK):
        yield np.asarray(values[start : start + BLOCK])


def _open_array(path: Path) -> NDArray[Any]:
    """An array of `save_array`, read on access.

    Raises:
        ClusterError: if it is not there.
    """
    with contextlib.suppress(OSError, ValueError):
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
        return array
    raise ClusterError(
        f"a worker cannot read {path}; all workers need the folder of the store under the same "
        "path, as on a shared file system"
    )
