"""How many threads TensorFlow uses."""

from __future__ import annotations

import tensorflow as tf

from fmcore.errors import ModelError


def limit_threads(n_threads: int) -> None:
    """Lets TensorFlow use so many threads; more than one may make other last bits.

    Args:
        n_threads: the number of threads for one operation, and of operations at once.

    Raises:
        ModelError: if TensorFlow has begun with another number.
    """
    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(n_threads)
        threading.set_inter_op_parallelism_threads(n_threads)
    except RuntimeError as error:
        raise ModelError(
            "TensorFlow runs in this process already, with "
            f"{threading.get_intra_op_parallelism_threads() or 'all'} threads, and cannot change "
            f"to {n_threads}; have a cluster start its workers anew, each a process of its own"
        ) from error
