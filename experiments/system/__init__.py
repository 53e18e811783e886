"""This machine and this process: cores, memory, GPUs, signals, locks, output."""
