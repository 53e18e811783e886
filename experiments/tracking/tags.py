"""The tags that say what made a run: the study, its data, the versions, the user, the git commit and the machine."""

from __future__ import annotations

import getpass
import importlib.metadata
import json
import subprocess
from pathlib import Path

from ...search.study.spec import StudySpec
from ..datasets.splits import Splits
from ..system.cpus import name_cpu

VERSION, COMMIT, DIGEST = "tailor.version.", "mlflow.source.git.commit", "tailor.dataset_sha256"
# What the runs of a study have in common and its own run says: the others leave it out.
OF_STUDY = {"tailor.objective", "tailor.direction", "tailor.goal", "tailor.dataset", "tailor.input_shape", "tailor.split_sizes"}
THREADS, CPU = "tailor.threads", "tailor.cpu"


def describe_origin(folder: Path) -> dict[str, str]:
    """What made a run: versions, user, and the git commit of the user's folder, if it has one."""
    tags = {
        f"{VERSION}{name}": importlib.metadata.version(name) for name in ("tailor-hpo", "tensorflow", "keras", "optuna", "mlflow")
    }
    tags["mlflow.user"] = read_user()
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            check=False,
            cwd=folder,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=5,
        )
    except (OSError, subprocess.TimeoutExpired):
        return tags
    if done.returncode == 0:
        tags[COMMIT] = done.stdout.strip()
    return tags


def describe_machine(threads: int) -> dict[str, str]:
    """What else numbers depend on: this machine's processor, and the threads of each of its workers."""
    return {THREADS: str(threads), CPU: name_cpu()}


def describe_study(spec: StudySpec, splits: Splits) -> dict[str, str]:
    """The study, its objective and its data."""
    return {
        "tailor.study": spec.name,
        "tailor.engine": spec.search.engine,
        "tailor.objective": spec.objective.metric,
        "tailor.direction": spec.objective.direction,
        "tailor.goal": json.dumps(
            {"others": [[o.metric, o.direction] for o in spec.others], "constraints": [str(c) for c in spec.constraints]}
        ),
        "tailor.spec_sha256": spec.sha256(),
        "tailor.dataset": spec.dataset,
        "tailor.input_shape": json.dumps(list(splits.train.images.shape[1:])),
        DIGEST: splits.digest,
        "tailor.split_sizes": json.dumps(splits.sizes),
    }


def read_user() -> str:
    """The name of the user who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
