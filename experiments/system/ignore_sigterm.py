"""Imported by the process that workers are forked from, first of all: no signal ends it, it ends with the coordinator.

`timeout`, systemd, container runtimes and terminals send theirs to every process, and workers forked by one that is gone count as
gone. Workers ignore SIGINT and SIGHUP too, from their first moment: the coordinator decides.
"""

import os
import signal
from functools import partial

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
for number in IGNORED:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
