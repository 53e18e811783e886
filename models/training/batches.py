"""What steps read: resident images, or, of a data set too large for memory, chunks streamed through tf.data; and how many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

CHUNK_BYTES = 64 << 20
WIDE_BYTES = 512 << 20  # of what 64 channels in float32 make of the images that a model is shown at once


class Chunk(NamedTuple):
    """Images and labels in memory, and the rows of them to train on, in order: whole batches but at an epoch's end."""

    images: tf.Tensor
    labels: tf.Tensor
    order: tf.Tensor


def limit_batch(height: int, width: int, most: int) -> int:
    """How many images a model is shown at once where nothing is trained: fewer where they are large."""
    return max(1, min(most, WIDE_BYTES // (height * width * 64 * 4)))


def read_chunks(images: tf.Tensor | np.ndarray, labels: tf.Tensor, order: np.ndarray, batch_size: int) -> Iterator[Chunk]:
    """An epoch in the given order of rows: one stretch of what is resident (a tensor), or one a chunk of what is mapped.

    The steps see the same batches either way, so the numbers are the same.
    """
    if tf.is_tensor(images):
        yield Chunk(images, labels, tf.constant(order))
        return
    size = batch_size * max(1, CHUNK_BYTES // (batch_size * images[0].nbytes))
    wanted = labels.numpy()

    def chunks() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            inward = np.argsort(rows)  # read in the file's order, trained on in the epoch's
            yield images[rows[inward]], wanted[rows[inward]], np.argsort(inward).astype("int32")

    signature = (
        tf.TensorSpec([None, *images.shape[1:]], tf.uint8),
        tf.TensorSpec([None], tf.int64),
        tf.TensorSpec([None], tf.int32),
    )
    # The next chunk is read while this one trains.
    yield from map(Chunk._make, tf.data.Dataset.from_generator(chunks, output_signature=signature).prefetch(1))
