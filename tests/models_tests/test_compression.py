"""Pruning and distillation in the training loop: masks that hold, the papers' formulas, and the same numbers by seed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from fits import digits, model

from tailor.models.training.clone import clone_or_keep
from tailor.models.training.distillation import Distillation, DistillationProgram, soften
from tailor.models.training.options import TrainOptions
from tailor.models.training.plan import Data
from tailor.models.training.pruning import PruningProgram, list_kernels, measure_sparsity
from tailor.models.training.random import Clock
from tailor.models.training.records import TrialValues
from tailor.models.training.tuning import Tuned, tune

EPOCHS, BATCH = 3, 128


@pytest.fixture(scope="module")
def data() -> Data:
    return digits()


def prune(data: Data, target: float) -> tuple[keras.Model, Tuned, list[np.ndarray]]:
    """A network pruned in the first half of its steps; with its kernels as they were before."""
    net, options = model(), TrainOptions(batch_size=BATCH, learning_rate=0.01)
    before = [kernel.numpy() for kernel in list_kernels(net)]
    steps = -(-int(data.train_images.shape[0]) // BATCH)
    made, clock = clone_or_keep(net)
    program = PruningProgram(made, clock, options, data.num_classes, (target, steps * EPOCHS // 2, 0.0))
    return net, tune(program, net, data, TrialValues(options, 5, steps, EPOCHS), first=2), before


def test_each_kernel_has_exactly_the_sparsity_and_keeps_its_largest_weights(data: Data) -> None:
    net, tuned, before = prune(data, 0.8)
    assert len(tuned.history) == EPOCHS and tuned.best_epoch >= 2  # not an epoch before the sparsity was reached
    for kernel, was in zip(list_kernels(net), before, strict=True):
        zeros = kernel.numpy() == 0
        assert zeros.sum() == round(0.8 * zeros.size)
        assert np.abs(was[~zeros]).mean() > np.abs(was[zeros]).mean()
    assert measure_sparsity(net) == pytest.approx(0.8, abs=0.005)
    biases = [weight for weight in net.trainable_weights if len(weight.shape) == 1]
    assert biases and all((bias.numpy() != 0).any() for bias in biases)


def test_a_seed_prunes_to_the_same_bytes(data: Data) -> None:
    (one, first, _), (other, second, _) = prune(data, 0.5), prune(data, 0.5)
    assert first == second
    assert all(np.array_equal(a, b) for a, b in zip(one.get_weights(), other.get_weights(), strict=True))


def test_the_sparsity_rises_along_zhu_and_guptas_cubic_curve(data: Data) -> None:
    program = PruningProgram(model(), Clock(), TrainOptions(), data.num_classes, (0.9, 100, 0.0))
    found = [float(program.find_sparsity(tf.constant(step))) for step in (0, 20, 50, 100, 150)]
    assert found == pytest.approx([0, 0.9 * (1 - 0.8**3), 0.9 * (1 - 0.5**3), 0.9, 0.9])


def test_a_students_loss_is_hintons(data: Data) -> None:
    student, teacher = model(), model()
    images, labels = tf.constant(data.val_images[:7]), data.val_labels[:7]
    outputs = student(images, training=False)
    program = DistillationProgram((student, teacher), Clock(), TrainOptions(), data.num_classes, Distillation(3.0, 0.25))
    found = program.measure_losses(images, labels, outputs).numpy()

    def at_temperature(probabilities: np.ndarray) -> np.ndarray:
        powers = probabilities ** (1 / 3.0)
        return powers / powers.sum(axis=1, keepdims=True)

    ours, theirs = np.asarray(outputs, "float64"), np.asarray(teacher(images, training=False), "float64")
    soft = -(at_temperature(theirs) * np.log(at_temperature(ours))).sum(axis=1)
    hard = -np.log(ours[np.arange(7), labels.numpy()])
    assert found == pytest.approx(0.25 * 9 * soft + 0.75 * hard, rel=1e-4)


def test_softening_is_softmax_of_logits_over_temperature() -> None:
    logits = np.array([[1.0, 2.0, 4.0], [0.0, 0.0, -3.0]], "float32")
    expected = tf.nn.log_softmax(logits / 2.5).numpy()
    assert soften(tf.nn.softmax(logits), 2.5).numpy() == pytest.approx(expected, abs=1e-5)


def test_a_student_learns_from_its_teacher_alone(data: Data) -> None:
    teacher, _, _ = prune(data, 0.01)
    keras.utils.set_random_seed(1)
    student, options = model(), TrainOptions(batch_size=BATCH, learning_rate=0.01)
    made, clock = clone_or_keep(student)
    program = DistillationProgram((made, teacher), clock, options, data.num_classes, Distillation(4.0, 1.0))
    wrong = Data(data.train_images, tf.zeros_like(data.train_labels), data.val_images, data.val_labels, data.num_classes)
    tuned = tune(program, student, wrong, TrialValues(options, 5, -(-int(data.train_images.shape[0]) // BATCH), 4 * EPOCHS))
    assert tuned.history[-1]["val_accuracy"] > 0.5  # labels, which weigh nothing, say class 0 of every image
