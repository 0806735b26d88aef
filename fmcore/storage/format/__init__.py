"""The contents of a store and the shapes of its chunks, as tables and arithmetic without I/O."""
