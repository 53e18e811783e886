"""`python tests/soak.py --minutes 10 [--seed N]`: kills workers and coordinators at random, and checks the study after each.

A study goes on through it all, round after round, each with a few trials more; after every kill of a coordinator the stores must
agree, and at the end of every round the study must be whole.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from conftest import OwnProcess
from faults import broken, finish, search, study, to_the_end
from searches import worker_pids

ROUND = 8  # trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    chance, deadline = random.Random(options.seed), time.monotonic() + 60 * options.minutes
    injected: Counter[str] = Counter()
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="tailor-soak-") as folder:
        shell, trials = OwnProcess(Path(folder)), 0
        while time.monotonic() < deadline and not wrong:
            trials += ROUND
            study(shell.folder, trials=trials, epochs=150, retries=100)
            wrong = one_round(shell, chance, injected)
            to_the_end(shell)
            wrong += broken(shell.folder, trials)
            print(f"{trials} trials: {dict(injected)}, {'broken: ' + str(wrong) if wrong else 'held'}", flush=True)
    raise SystemExit(bool(wrong))


def one_round(shell: OwnProcess, chance: random.Random, injected: Counter[str]) -> list[str]:
    """Kill until the search has ended or its coordinator was killed or stopped; answers what is broken then."""
    running = search(shell.folder)
    while running.poll() is None:
        time.sleep(chance.uniform(0.2, 6.0))
        kind = chance.choices(["worker", "coordinator", "SIGTERM"], [6, 2, 1])[0]
        if running.poll() is not None:
            break
        injected[kind] += 1
        if kind == "worker":
            for pid in worker_pids(running.pid)[:1]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            continue
        running.send_signal(signal.SIGKILL if kind == "coordinator" else signal.SIGTERM)
        finish(running)
        shell("status", "small")
        return broken(shell.folder, trials=None)
    finish(running)
    return []


if __name__ == "__main__":
    main()
