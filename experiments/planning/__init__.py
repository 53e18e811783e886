"""Prepare a study to run: resolve its file, check it against its model and data, compare it with its record."""
