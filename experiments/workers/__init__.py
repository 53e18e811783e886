"""Dask: the worker processes, here or on a cluster, and what runs in each."""
