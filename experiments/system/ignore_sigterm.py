"""The first import of the process that workers are forked from: no signal ends it; it ends with the coordinator.

`timeout`, systemd, container runtimes and terminals signal every process, and if that process is gone, its workers count as
gone. Workers ignore SIGINT and SIGHUP too, from their start: the coordinator decides.
"""

import os
import signal
from functools import partial

IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
for number in IGNORED:
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, IGNORED)
os.register_at_fork(after_in_child=partial(signal.signal, signal.SIGTERM, signal.SIG_DFL))
