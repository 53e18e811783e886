"""What a study's trials show: plots, and which hyperparameters mattered."""
