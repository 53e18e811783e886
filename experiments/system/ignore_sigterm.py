"""Imported by the process that workers are forked from, first of all: it ignores SIGTERM, and ends with the coordinator.

`timeout`, systemd and container runtimes send theirs to every process, and workers forked by one that is gone count as gone.
"""

import os
import signal
from functools import partial

signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
