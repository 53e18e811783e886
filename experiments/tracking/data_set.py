"""The data set as MLflow records it on a run: its source, digest, shape, and the number of images in each split."""

from __future__ import annotations

import json
from collections.abc import Mapping

from mlflow import MlflowClient
from mlflow.data.schema import TensorDatasetSchema
from mlflow.entities import Dataset, DatasetInput, InputTag
from mlflow.types import Schema, TensorSpec
from numpy import dtype

from ..datasets.splits import Splits

DIGEST_LENGTH = 12  # characters; MLflow keeps 36 at most, and its own have 8
CONTEXT = "training"


def describe_data(dataset: str, splits: Splits) -> dict[str, str]:
    """The fields of MLflow's `Dataset`, as plain text; `dataset` is a catalog's name or a URI."""
    scheme, colon, path = dataset.partition(":")
    source = {"uri": path} if colon else {"tags": {"mlflow.source.type": "DATA SET", "mlflow.source.name": dataset}}
    images = Schema([TensorSpec(dtype("uint8"), (-1, *splits.train.images.shape[1:]), "images")])
    labels = Schema([TensorSpec(dtype("int64"), (-1,), "labels")])
    return {
        "name": f"{scheme}:{path.rstrip('/').rpartition('/')[2]}" if colon else dataset,
        "digest": splits.digest[:DIGEST_LENGTH],
        "source_type": "local" if colon else "code",
        "source": json.dumps(source),
        "schema": json.dumps(TensorDatasetSchema(images, labels).to_dict()),
        "profile": json.dumps({**{f"{name}_images": n for name, n in splits.sizes.items()}, "classes": len(splits.class_names)}),
    }


def log_data(client: MlflowClient, run_id: str, data: Mapping[str, str]) -> None:
    """Record the data set of `describe_data` on a run; to do it again does no harm."""
    client.log_inputs(run_id, datasets=[DatasetInput(Dataset(**data), [InputTag("mlflow.data.context", CONTEXT)])])
