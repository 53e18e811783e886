"""The built-in factories. Each module has `DEFAULTS` (its hyperparameters) and `build(hparams, input_shape, num_classes)`."""
