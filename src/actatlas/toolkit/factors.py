"""Non-negative factors of activations: few groups of channels whose sums nearly make every position."""

from __future__ import annotations

import numpy as np

_ROUNDS = 200
_LEAST = 1e-9


def factors(vectors: np.ndarray, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """vectors (n, C), none negative, nearly strengths (n, count) @ parts (count, C), none negative; parts of length 1.

    Multiplicative updates of the squared distance (Lee and Seung 2001), from positions far apart.
    """
    parts = _far_apart(vectors, count, np.random.default_rng(seed)) + _LEAST
    strengths = np.maximum(vectors @ parts.T / np.maximum((parts * parts).sum(axis=1), _LEAST), _LEAST)
    for _ in range(_ROUNDS):
        strengths *= (vectors @ parts.T) / (strengths @ (parts @ parts.T) + _LEAST)
        parts *= (strengths.T @ vectors) / ((strengths.T @ strengths) @ parts + _LEAST)
    lengths = np.linalg.norm(parts, axis=1)
    return strengths * lengths, parts / np.maximum(lengths, _LEAST)[:, None]


def _far_apart(vectors: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """(count, C) of the vectors (n, C): each least like those before."""
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _LEAST)
    chosen = [int(random.integers(len(unit)))]
    for _ in range(1, count):
        chosen.append(int(np.argmin((unit @ unit[chosen].T).max(axis=1))))
    return vectors[chosen].astype(np.float64)
