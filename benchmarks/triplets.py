"""The exact all-triplets loss beside pytorch-metric-learning's, which lists the triplets.

    python benchmarks/triplets.py
    python benchmarks/triplets.py --sizes 128 256 512 1024

Value and gradient of both, one torch.sort of the (B, B) distances, and the largest difference
between the two gradients. Medians over repeats that take turns, so that a busy machine slows all of
them alike; the ratios are what counts. Needs `pip install pytorch-metric-learning`.
"""

import torch
from _options import parser_of, positive
from _timing import medians
from pytorch_metric_learning.distances import LpDistance
from pytorch_metric_learning.losses import TripletMarginLoss

from tensorly_norank.losses import pairwise_distances, triplet_loss

MARGIN, N_CLASSES, N_COMPONENTS = 0.5, 10, 64


def value_and_gradient(loss, points):
    """Both, of a loss of the embedding."""
    points = points.clone().requires_grad_()
    value = loss(points)
    value.backward()
    return value.detach(), points.grad


def compare(batch_size):
    """Print a line for one batch size."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(batch_size) % N_CLASSES
    points = torch.randn(batch_size, N_COMPONENTS, generator=generator)
    points = torch.nn.functional.normalize(points)
    peer = TripletMarginLoss(MARGIN, distance=LpDistance(normalize_embeddings=False))
    distances = pairwise_distances(points)
    seconds, results = medians(
        {
            "ours": lambda: value_and_gradient(lambda x: triplet_loss(x, labels, MARGIN), points),
            "peer": lambda: value_and_gradient(lambda x: peer(x, labels), points),
            "sort": lambda: distances.sort(dim=1),
        },
        n_repeats=max(3, 2048 // batch_size),
    )
    difference = float((results["ours"][1] - results["peer"][1]).abs().max())
    largest = float(results["peer"][1].abs().max())
    print(
        f"{batch_size:6d}  {1e3 * seconds['ours']:9.1f} ms  {1e3 * seconds['peer']:9.1f} ms  "
        f"{seconds['peer'] / seconds['ours']:8.1f}  {seconds['ours'] / seconds['sort']:13.1f}  "
        f"{difference / largest:.1e}"
    )


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--sizes", type=positive, nargs="+", default=[64, 128, 256, 512], help="of batches"
    )
    sizes = parser.parse_args().sizes
    print("     B          ours          peer  peer/ours  ours/one sort  relative difference")
    for size in sizes:
        compare(size)


if __name__ == "__main__":
    main()
