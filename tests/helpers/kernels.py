"""A store whose layers have kernels of every kind, and a configuration that says what they read."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from fmcore.capture import CaptureOptions, capture, plan_capture
from fmcore.dataset import LabelledImages, Preprocessing
from fmcore.records import Captured, LayerSpec, ModelInfo

# The class of each layer, its kernel, the layer that it reads, and the shape of what it reads.
LAYERS = {
    "color": ("Conv2D", (3, 3, 3, 5), "image", (6, 6, 3)),
    "pool": ("MaxPooling2D", None, "color", (4, 4, 5)),
    "deep": ("Conv2D", (2, 3, 5, 4), "pool", (4, 4, 5)),
    "joined": ("Concatenate", None, "deep", (3, 2, 4)),
    "pointwise": ("Conv2D", (1, 1, 4, 6), "joined", (3, 2, 4)),
    "separable": ("SeparableConv2D", (1, 1, 12, 3), "pointwise", (3, 2, 6)),
    "flat": ("Flatten", None, "separable", (2, 2, 3)),
    "dense": ("Dense", (1, 1, 12, 2), "flat", (12,)),
    "older": ("DepthwiseConv2D", None, "dense", (2,)),
}
DEPTHWISE = (2, 1, 6, 2)
SETTINGS = {
    "separable": {"depth_multiplier": 2, "groups": 1, "pointwise_initializer": {}},
    "flat": {"data_format": "channels_last"},
}


class KernelProbe:
    """Layers of random kernels; what they put out follows the mean of an image."""

    def __init__(self) -> None:
        rng = np.random.default_rng(5)
        specs = []
        for name, (kind, shape, _, before) in LAYERS.items():
            kernel = None if shape is None else rng.normal(size=shape).astype(np.float32)
            n_filters = before[-1] if shape is None else shape[3]
            specs.append(
                LayerSpec(
                    name,
                    (2, 2, n_filters),
                    kind=kind,
                    kernel=kernel,
                    depthwise_kernel=rng.normal(size=DEPTHWISE).astype(np.float32)
                    if name == "separable"
                    else None,
                    bias=None if kernel is None else rng.normal(size=n_filters).astype(np.float32),
                )
            )
        self.layers = tuple(specs)

    def __call__(self, images, others=None) -> Captured:
        """The activations of some images."""
        means = images.mean(axis=(1, 2, 3))[:, None, None, None]
        maps = tuple(
            (means * np.arange(1, np.prod(spec.shape) + 1).reshape(spec.shape)).astype(np.float32)
            for spec in self.layers
        )
        return Captured(maps, np.full((len(images), 2), 0.5, np.float32))


def architecture() -> str:
    """The configuration as Keras writes that of a functional model."""

    def layer(name, kind, before, shape):
        tensor = {
            "class_name": "__keras_tensor__",
            "config": {"shape": [None, *shape], "keras_history": [before, 0, 0]},
        }
        return {
            "module": "keras.layers",
            "class_name": kind,
            "config": {"name": name, **SETTINGS.get(name, {})},
            "inbound_nodes": [{"args": [tensor], "kwargs": {}}],
        }

    image = {"class_name": "InputLayer", "config": {"name": "image"}, "inbound_nodes": []}
    rest = [layer(name, kind, before, shape) for name, (kind, _, before, shape) in LAYERS.items()]
    ends = {
        "input_layers": [["image", 0, 0]],
        "output_layers": [[rest[-1]["config"]["name"], 0, 0]],
    }
    return json.dumps({"class_name": "Functional", "config": {"layers": [image, *rest], **ends}})


def make_kernel_store(path: Path, probe: KernelProbe | None = None) -> Path:
    """A real store of color images, written by the real capture."""
    probe = probe or KernelProbe()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, size=(6, 6, 6, 3), dtype=np.uint8)
    samples = LabelledImages(images, np.arange(6) % 2)
    options = CaptureOptions(batch_size=4)
    plan = plan_capture(
        probe,
        samples,
        options,
        class_names=("a", "b"),
        model=ModelInfo("kernels", digest="0" * 64, architecture=architecture()),
        dataset_name="random",
        dataset_source="random images",
        preprocessing=Preprocessing(scale=255.0),
    )
    return capture(probe, samples, path, plan, options)
