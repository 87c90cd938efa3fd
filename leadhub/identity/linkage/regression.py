"""Logistic regression over rows that are mostly alike.

A pair's columns are its levels, and few patterns of levels occur: what all rows of a pattern have in common
is reckoned once. Only rarity is a row's own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Design:
    """Row i has the columns `patterns[of[i]]`, then `own[i]`."""

    patterns: np.ndarray
    of: np.ndarray
    own: np.ndarray

    def times(self, beta: np.ndarray) -> np.ndarray:
        shared = self.patterns.shape[1]
        return (self.patterns @ beta[:shared])[self.of] + self.own @ beta[shared:]

    def transposed_times(self, values: np.ndarray) -> np.ndarray:
        return np.concatenate([self.patterns.T @ self._by_pattern(values), self.own.T @ values])

    def gram(self, weight: np.ndarray) -> np.ndarray:
        """Xᵀ·diag(weight)·X."""
        shared = (self.patterns.T * self._by_pattern(weight)) @ self.patterns
        weighted = self.own * weight[:, None]
        by_pattern = [self._by_pattern(column) for column in weighted.T]
        mixed = self.patterns.T @ np.array(by_pattern).reshape(len(by_pattern), len(self.patterns)).T
        return np.block([[shared, mixed], [mixed.T, self.own.T @ weighted]])

    def _by_pattern(self, values: np.ndarray) -> np.ndarray:
        return np.bincount(self.of, values, minlength=len(self.patterns))


def fit(x: Design, y: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Newton's method with halved steps; a Gaussian of one around `start` holds coefficients that nothing
    speaks for."""

    def loss(beta: np.ndarray) -> float:
        z = x.times(beta)
        return float((np.logaddexp(0, z) - y * z).sum() + ((beta - start) ** 2).sum() / 2)

    beta, now = start.copy(), loss(start)
    for _ in range(50):
        p = 1.0 / (1.0 + np.exp(-np.clip(x.times(beta), -40, 40)))
        hessian = x.gram(p * (1 - p)) + np.eye(len(beta))
        step = np.linalg.solve(hessian, x.transposed_times(y - p) - (beta - start))
        size = 1.0
        while size > 1e-3 and (ahead := loss(beta + size * step)) > now:
            size /= 2
        if size <= 1e-3 or now - ahead < 1e-3:
            break
        beta, now = beta + size * step, ahead
    return beta
