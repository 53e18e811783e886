"""Keras Tuner's models as they are: a `build(hp)` or a HyperModel."""
