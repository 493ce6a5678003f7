"""Temperature scaling: one number that makes a classifier's probabilities honest without changing their order."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from mitozoo.base.errors import DataError

#: Range in which a temperature is sought.
LOWEST, HIGHEST = 0.05, 20.0


def scaled(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Probabilities whose logits are divided by a temperature. Args: (n, classes).  Returns: (n, classes)."""
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-12)) / temperature
    values = np.exp(logits - logits.max(axis=1, keepdims=True))
    return values / values.sum(axis=1, keepdims=True)


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The temperature with the highest likelihood of held-out labels.

    Args: labels (n,) class numbers; probabilities (n, classes) at temperature 1; weights (n,) of the samples, for
    another share of the classes than the samples have.
    Returns: above 1 where the model is too sure of itself.
    Raises: DataError where there is no label. Source: Guo et al. 2017, arXiv:1706.04599, section 4.2.
    """
    labels = np.asarray(labels)
    if not len(labels):
        raise DataError("A temperature needs held-out cells to be fitted on, and there are none.")
    weights = np.ones(len(labels)) if weights is None else np.asarray(weights, np.float64)

    def loss(log_temperature: float) -> float:
        picked = scaled(probabilities, np.exp(log_temperature))[np.arange(len(labels)), labels]
        return float(-(weights * np.log(np.maximum(picked, 1e-300))).sum() / weights.sum())

    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))
