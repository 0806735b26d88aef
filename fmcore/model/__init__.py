"""Build, train, load and probe a Keras model; the only code that imports Keras.

Importing its modules imports Keras, so only `fmcore.pipeline` does, when it needs one.
"""
