"""What to try next: the study file, the space, and the engines that propose hyperparameters."""
