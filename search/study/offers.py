"""The engines, and the samplers and pruners that each offers by name."""

from __future__ import annotations

SAMPLERS = {
    "optuna": ("tpe", "random", "grid", "gp", "cmaes", "qmc", "nsgaii", "brute-force"),
    "keras-tuner": ("bayesian", "random", "hyperband", "grid"),
}
PRUNERS = {
    "optuna": ("none", "median", "percentile", "successive-halving", "hyperband", "threshold", "patient", "wilcoxon"),
    "keras-tuner": ("none",),
}
ENGINES = tuple(SAMPLERS)


def offers(engine: str, sampler: str) -> bool:
    """Whether the engine has the sampler; no name means its default."""
    return not sampler or sampler in SAMPLERS[engine] or (engine == "optuna" and ":" in sampler)
