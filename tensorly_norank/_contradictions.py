"""How many comparisons cannot hold together, whatever the distances are."""

from __future__ import annotations

import heapq

import numpy as np
from scipy import sparse

_MOST_MOVED = 20_000  # pairs
_N_SWEEPS = 20


def contradicting_share(comparisons: np.ndarray) -> float:
    """Share of comparisons (T, 3) to be left out so that some distances fulfil all others.

    A comparison (a, p, n) says that the pair {a, p} is nearer than {a, n}. All hold in some
    distances if, and only if, no chain of them leads from a pair back to it. The fewest comparisons
    that break all such circles are as hard to find as any problem in NP. Those of two, where the
    same pairs are given in both orders, are settled exactly. For longer ones pairs are put into an
    order, first those of which nothing but nearer is said, last those of which nothing but farther
    is, and between them the one with the largest excess [1]_; then pair after pair is moved to
    where it breaks least. The share is exact where there are no longer circles, and else an upper
    bound.

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
    nodes, ends = np.unique(np.stack([tails, heads]), return_inverse=True)
    tails, heads = ends.reshape(2, -1)
    place = np.empty(len(nodes))
    place[_order_by_excess(tails, heads, weights, len(nodes))] = np.arange(len(nodes))
    if len(nodes) <= _MOST_MOVED:
        place = _move_to_the_best_places(place, tails, heads, weights)
    return float(weights[place[tails] > place[heads]].sum())


def _order_by_excess(
    tails: np.ndarray, heads: np.ndarray, weights: np.ndarray, n_nodes: int
) -> list[int]:
    """Sources first, sinks last, and else the node that most more weight leaves than enters."""
    behind: list[dict[int, float]] = [{} for _ in range(n_nodes)]
    before: list[dict[int, float]] = [{} for _ in range(n_nodes)]
    for tail, head, weight in zip(tails.tolist(), heads.tolist(), weights.tolist(), strict=True):
        behind[tail][head] = before[head][tail] = weight
    excess = [sum(behind[k].values()) - sum(before[k].values()) for k in range(n_nodes)]
    heap = [(-excess[k], k) for k in range(n_nodes)]
    heapq.heapify(heap)
    free = [k for k in range(n_nodes) if not behind[k] or not before[k]]
    first: list[int] = []
    last: list[int] = []
    is_left = [True] * n_nodes
    while len(first) + len(last) < n_nodes:
        node = free.pop() if free else heapq.heappop(heap)[1]
        if not is_left[node]:
            continue
        is_left[node] = False
        (first if behind[node] or not before[node] else last).append(node)
        for other, weight in behind[node].items():
            del before[other][node]
            excess[other] += weight
        for other, weight in before[node].items():
            del behind[other][node]
            excess[other] -= weight
        for other in (*behind[node], *before[node]):
            heapq.heappush(heap, (-excess[other], other))
            if not behind[other] or not before[other]:
                free.append(other)
    return first + last[::-1]


def _move_to_the_best_places(
    place: np.ndarray, tails: np.ndarray, heads: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Move one node after the other to where least weight points backwards, until none gains."""
    n_nodes = len(place)
    nodes, others = np.concatenate([tails, heads]), np.concatenate([heads, tails])
    # Of a node that lies behind another: what that breaks, less what it does not break any more.
    costs = np.concatenate([weights, -weights])
    order = np.argsort(nodes, kind="stable")
    starts = np.searchsorted(nodes[order], np.arange(n_nodes + 1))
    others, costs = others[order], costs[order]
    for _ in range(_N_SWEEPS):
        has_gained = False
        for node in range(n_nodes):
            own = slice(starts[node], starts[node + 1])
            places = place[others[own]]
            by_place = np.argsort(places)
            places = places[by_place]
            # Cost of lying behind the first k neighbours, compared with lying before all of them.
            totals = np.concatenate([[0.0], np.cumsum(costs[own][by_place])])
            best = int(totals.argmin())
            if totals[best] < totals[np.searchsorted(places, place[node])]:
                low = places[best - 1] if best else places[0] - 2
                high = places[best] if best < len(places) else places[-1] + 2
                place[node] = (low + high) / 2
                has_gained = True
        place = np.argsort(np.argsort(place, kind="stable"), kind="stable").astype(float)
        if not has_gained:
            break
    return place
