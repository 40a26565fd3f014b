"""How many comparisons cannot hold together, whatever the distances are."""

from __future__ import annotations

import heapq
from collections import defaultdict

import numpy as np
from scipy import sparse


def contradicting_share(comparisons: np.ndarray) -> float:
    """Share of comparisons (T, 3) to be left out so that some distances fulfil all others.

    A comparison (a, p, n) says that the pair {a, p} is nearer than {a, n}. All hold in some
    distances if, and only if, no chain of them leads from a pair back to it. The fewest comparisons
    that break all such circles are as hard to find as any problem in NP; those of two, where the
    same pairs are given in both orders, are settled exactly, and for longer ones a pair after the
    other is put into an order, that comes first of which more is said to be nearer than farther
    [1]_: the share is exact where there are no longer circles, and an upper bound else.

    What shares no pairs cannot contradict, even if it is wrong: an embedding, which knows the
    samples, may find more of them.

    References
    ----------
    .. [1] P. Eades, X. Lin and W. F. Smyth, "A fast and effective heuristic for the feedback arc
       set problem", Information Processing Letters 47 (1993).
    """
    n_samples = int(comparisons.max()) + 1
    anchors, positives, negatives = comparisons.T
    nearer, farther = _pair(anchors, positives, n_samples), _pair(anchors, negatives, n_samples)
    pairs, ends = np.unique(np.stack([nearer, farther]), return_inverse=True)
    ends = ends.reshape(2, -1)
    shape = (len(pairs), len(pairs))
    ones = np.ones(len(comparisons))
    given = sparse.coo_array((ones, tuple(ends)), shape).tocsr()  # repeated ones are added up
    both_ways = given.minimum(given.T)
    n_broken = both_ways.sum() / 2
    left = (given - both_ways).tocsr()
    left.eliminate_zeros()
    _, part = sparse.csgraph.connected_components(left, connection="strong")
    edges = left.tocoo()
    in_circles = part[edges.row] == part[edges.col]
    n_broken += _broken_by_an_order(
        edges.row[in_circles], edges.col[in_circles], edges.data[in_circles]
    )
    return float(n_broken / len(comparisons))


def _pair(first: np.ndarray, second: np.ndarray, n_samples: int) -> np.ndarray:
    """A number for each pair, the same in both directions."""
    return np.minimum(first, second) * n_samples + np.maximum(first, second)


def _broken_by_an_order(tails: np.ndarray, heads: np.ndarray, weights: np.ndarray) -> float:
    """Weight of the edges that point backwards in a good order of the nodes."""
    behind: dict[int, dict[int, float]] = defaultdict(dict)
    before: dict[int, dict[int, float]] = defaultdict(dict)
    for tail, head, weight in zip(tails.tolist(), heads.tolist(), weights.tolist(), strict=True):
        behind[tail][head] = before[head][tail] = weight
    nodes = set(behind) | set(before)
    excess = {k: sum(behind[k].values()) - sum(before[k].values()) for k in nodes}
    heap = [(-excess[k], k) for k in nodes]
    heapq.heapify(heap)
    ends = [k for k in nodes if not behind[k]]
    n_broken = 0.0
    while nodes:
        if ends:  # nothing is behind it: it comes last, and breaks nothing
            node = ends.pop()
            if node not in nodes:
                continue
        else:
            value, node = heapq.heappop(heap)
            if node not in nodes or -value != excess[node]:
                continue  # out of date
            n_broken += sum(before[node].values())
        nodes.discard(node)
        for other, weight in behind.pop(node, {}).items():
            del before[other][node]
            excess[other] += weight
            heapq.heappush(heap, (-excess[other], other))
        for other, weight in before.pop(node, {}).items():
            del behind[other][node]
            excess[other] -= weight
            heapq.heappush(heap, (-excess[other], other))
            if not behind[other]:
                ends.append(other)
    return n_broken
