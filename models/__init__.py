"""Builds and fits a network: factories and training. Knows no searches and no stores."""
