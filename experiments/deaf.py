"""Imported by the process that workers are forked from, first of all: it and they ignore SIGTERM.

`timeout`, systemd and container runtimes send theirs to every process; the coordinator decides, and its end is the workers' too.
"""

import signal

signal.signal(signal.SIGTERM, signal.SIG_IGN)
