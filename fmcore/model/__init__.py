"""Build, train, open and probe a Keras model; the only code that imports Keras.

`file` and `opening` import it in their functions alone, so that a file is looked at first; all
other modules import it at once, so those above import these in their functions, when needed.
"""
