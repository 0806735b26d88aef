"""Build, train, load and probe a Keras model; the only code that imports Keras.

Importing this package imports Keras, so only `fmcore.pipeline` does, when it needs one.
"""

import os

# TensorFlow's start-up notes would bury the one line a person needs; errors still come through.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
