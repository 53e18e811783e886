"""A good guest: a host with a Dask client, a loop, handlers and settings of its own finds all as it was after a search."""

from __future__ import annotations

HOST = """
import asyncio, json, logging, multiprocessing, os, signal, sys, threading, warnings
from multiprocessing import forkserver

import dask
import distributed.batched
import matplotlib
import mlflow
import optuna
import psutil
import sklearn
import tornado.ioloop
from distributed import Client, LocalCluster

import tailor
from tailor.experiments.coordinator import session
from tailor.experiments.system.log_levels import levels  # nothing of it runs yet

matplotlib.use("svg")
from matplotlib import pyplot

pyplot.figure()
ticks, begun = [0], threading.Event()


async def tick():
    def count():
        ticks[0] += 1

    tornado.ioloop.PeriodicCallback(count, 20).start()
    begun.set()
    await asyncio.Event().wait()


threading.Thread(target=lambda: asyncio.run(tick()), daemon=True).start()
assert begun.wait(30)
client = Client(LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None))
NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
for number in NUMBERS:
    signal.signal(number, lambda number, frame: None)
sys.unraisablehook = lambda unraisable: None
sys.excepthook = lambda *raised: None
warnings.simplefilter("always", ImportWarning)
os.umask(0o027)
for name in ("mlflow", "optuna", "alembic", "urllib3", "distributed", "tornado"):
    logging.getLogger(name).setLevel(logging.INFO)
# Python's and Dask's pools for the whole process, which the next to need them uses.
POOLS = ("Dask-Offload", "Dask-Callback")


def children():
    return sorted(child.pid for child in psutil.Process().children(True) if "resource_tracker" not in child.cmdline()[-1])


def state():
    umask = os.umask(0)
    os.umask(umask)
    known = logging.root.manager.loggerDict
    return {
        "handlers": [str(signal.getsignal(number)) for number in NUMBERS],
        "hooks": [str(hook) for hook in (sys.unraisablehook, sys.excepthook, sys.displayhook, threading.excepthook)],
        "environ": dict(os.environ),
        "cwd": os.getcwd(),
        "path": list(sys.path),
        "umask": umask,
        "filters": [str(entry) for entry in warnings.filters],
        "levels": {name: [known[name].level, known[name].disabled] for name in LOGGERS},
        "root": [logging.root.level, str(logging.root.handlers)],
        "matplotlib": [matplotlib.get_backend(), pyplot.get_fignums(), str(dict.items(matplotlib.rcParams))],
        "clocks": [str(tornado.ioloop.IOLoop.time), str(distributed.batched.time)],
        "dask": json.dumps(dask.config.config, default=str, sort_keys=True),
        "default client": Client.current() is client,
        "forkserver": [forkserver._forkserver._preload_modules, forkserver._forkserver._forkserver_pid],
        "start method": multiprocessing.get_start_method(allow_none=True),
        "main": [str(sys.modules["__main__"].__file__), str(sys.modules["__main__"].__spec__)],
        "streams": [str(sys.stdin), str(sys.stdout), str(sys.stderr)],
        "tracking": mlflow.get_tracking_uri(),
        "threads": sorted(thread.name for thread in threading.enumerate() if not thread.name.startswith(POOLS)),
        "children": children(),
    }


LOGGERS = [name for name, logger in logging.root.manager.loggerDict.items() if isinstance(logger, logging.Logger)]
before, clock = state(), distributed.batched.time
while_it_ran = {}
run_search = session.run_search


def watched(*arguments):
    result = run_search(*arguments)  # between these two lines the host's loop has to tick
    return result


ticked = ticks[0]
tailor.run("quickstart", settings={"search.trials": 1, "search.max_epochs": 1, "workers.count": 1}, store="s", quiet=True)
ticked = ticks[0] - ticked
after = state()
changed = {name: [before[name], after[name]] for name in before if before[name] != after[name]}
print(json.dumps({"changed": changed, "ticked": ticked, "answer": client.submit(lambda: 5).result(30)}))
os._exit(0)
"""
