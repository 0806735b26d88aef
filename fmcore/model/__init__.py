"""Build, train, open and probe a Keras model; the only code that imports Keras.

`inspect` does without Keras and `opening` imports it inside functions, so that a file is inspected
first. All other modules import it at once; code outside imports them inside functions, when needed.
"""
