"""Dask: the worker processes, on this machine or a cluster, and what runs in each."""
