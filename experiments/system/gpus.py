"""GPUs, if TensorFlow sees any: each worker trains on one, in a share of its memory."""

from __future__ import annotations

import math
import os
import subprocess

KEPT = 0.9  # of a GPU's memory; the rest is the driver's


def claim(index: int, workers: int) -> None:
    """Give this process, worker `index` of `workers`, its share of a GPU, before TensorFlow's first operation.

    With 0 workers, the number that share the machine is unknown: each then takes memory as it needs it.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return
    place = index % len(gpus)
    tf.config.set_visible_devices([gpus[place]], "GPU")
    memory = memory_mib(place) if workers else None
    if memory is None:
        tf.config.experimental.set_memory_growth(gpus[place], True)
        return
    limit = tf.config.LogicalDeviceConfiguration(memory_limit=share_mib(memory, workers, len(gpus)))
    tf.config.set_logical_device_configuration(gpus[place], [limit])


def share_mib(memory: int, workers: int, gpus: int) -> int:
    """A worker's share, in MiB, of a GPU with `memory` MiB; the workers take the GPUs in turn."""
    return int(KEPT * memory / math.ceil(workers / gpus))


def memory_mib(place: int) -> int | None:
    """The memory of the GPU at that place, in MiB, from nvidia-smi; None if nvidia-smi gives no number."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")  # TensorFlow numbers these alone, nvidia-smi numbers all
    names = visible.split(",") if visible else []
    name = names[place] if place < len(names) else str(place)
    command = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits", "-i", name]
    try:
        said = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return int(said) if said.strip().isdigit() else None
