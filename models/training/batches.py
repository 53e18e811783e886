"""What steps read: resident images, or chunks streamed through tf.data if the data set is too large for memory; how many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

CHUNK_BYTES = 64 << 20
WIDE_BYTES = 512 << 20  # of 64 channels in float32 for all the images that a model gets at once


class Chunk(NamedTuple):
    """Images and labels in memory, and their rows to train on, in order: full batches except at an epoch's end."""

    images: tf.Tensor
    labels: tf.Tensor
    order: tf.Tensor


def limit_batch(height: int, width: int, most: int) -> int:
    """How many images a model gets at once outside of training: fewer if they are large."""
    return max(1, min(most, WIDE_BYTES // (height * width * 64 * 4)))


def read_chunks(images: tf.Tensor | np.ndarray, labels: tf.Tensor, order: np.ndarray, batch_size: int) -> Iterator[Chunk]:
    """An epoch in the given order of rows: one chunk if the images are resident (a tensor), several if they are mapped.

    The steps see the same batches in both cases, so the numbers are the same.
    """
    if tf.is_tensor(images):
        yield Chunk(images, labels, tf.constant(order))
        return
    size = batch_size * max(1, CHUNK_BYTES // (batch_size * images[0].nbytes))
    wanted = labels.numpy()

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            inward = np.argsort(rows)  # read in the file's order, train in the epoch's
            yield images[rows[inward]], wanted[rows[inward]], np.argsort(inward).astype("int32")

    signature = (
        tf.TensorSpec([None, *images.shape[1:]], tf.uint8),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.int32),
    )
    # The next chunk is read while this one trains.
    yield from map(Chunk._make, tf.data.Dataset.from_generator(chunks, output_signature=signature).prefetch(1))
