"""What TensorFlow computes on; it sees GPUs only where its own libraries for them are installed."""

from __future__ import annotations

import tensorflow as tf


def gpus() -> tuple[str, ...]:
    """The name of each GPU that TensorFlow sees, such as `NVIDIA A100-SXM4-40GB`."""
    return tuple(
        str(tf.config.experimental.get_device_details(one).get("device_name", one.name))
        for one in tf.config.list_physical_devices("GPU")
    )
