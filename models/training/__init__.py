"""The training engine: a fit loop inside the graph, its optimizers, schedules, losses and augmentation."""
