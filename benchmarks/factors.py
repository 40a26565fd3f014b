"""The one-pass factor fit beside `parafac(fixed_modes=[0])` from the same start.

    python benchmarks/factors.py
    python benchmarks/factors.py --shape 20000 48 48
    python benchmarks/factors.py --missing 0.2

Both run 20 iterations in float64; medians over repeats that take turns. `difference` is the largest
one between the two reconstructions' factors, relative to the largest entry. With `--missing` that
share of the entries is hidden by a mask (parafac fills it in again in every iteration), and the
misfit of both on what was observed is printed, relative to its norm.
"""

import warnings

import numpy as np
import tensorly as tl
from _options import parser_of, positive
from _timing import medians
from tensorly.cp_tensor import CPTensor, cp_normalize
from tensorly.decomposition import parafac

from tensorly_norank import fit_factors

RANK, N_ITER = 12, 20
NOISE = 0.5  # of the data with holes, in units of the signal


def compare(shape, n_repeats):
    """Print a line for one shape."""
    rng = np.random.default_rng(0)
    tensor = tl.tensor(rng.normal(size=shape))
    start = [rng.normal(size=(length, RANK)) for length in shape]

    def ours():
        init = CPTensor((None, list(start)))
        return fit_factors(tensor, start[0], 0, init=init, n_iter_max=N_ITER, tol=0)

    def peer():
        init = CPTensor((None, list(start)))
        return cp_normalize(
            parafac(tensor, RANK, init=init, fixed_modes=[0], n_iter_max=N_ITER, tol=0)
        )

    seconds, results = medians({"ours": ours, "peer": peer}, n_repeats)
    difference = max(
        np.abs(one - two).max() / np.abs(two).max()
        for one, two in zip(results["ours"].factors, results["peer"].factors, strict=True)
    )
    print(
        f"{'×'.join(map(str, shape)):>14}  {seconds['ours']:8.3f} s  {seconds['peer']:8.3f} s  "
        f"{seconds['peer'] / seconds['ours']:9.1f}  {difference:.1e}"
    )


def compare_with_holes(shape, missing, n_repeats):
    """Print a line for one shape, of planted components and noise."""
    rng = np.random.default_rng(0)
    truth = [rng.normal(size=(length, RANK)) for length in shape]
    signal = tl.cp_to_tensor((None, truth))
    tensor = signal + NOISE * signal.std() * rng.normal(size=shape)
    mask = (rng.random(shape) >= missing).astype(float)
    start = [truth[0], *(rng.normal(size=(length, RANK)) for length in shape[1:])]

    def ours():
        init = CPTensor((None, list(start)))
        return fit_factors(tensor, start[0], 0, init=init, n_iter_max=N_ITER, tol=0, mask=mask)

    def peer():
        init = CPTensor((None, list(start)))
        options = {"fixed_modes": [0], "n_iter_max": N_ITER, "tol": 0, "mask": mask}
        return parafac(tensor * mask, RANK, init=init, **options)

    seconds, results = medians({"ours": ours, "peer": peer}, n_repeats)
    misfit = {
        name: np.linalg.norm(mask * (tl.cp_to_tensor(cp) - tensor)) / np.linalg.norm(mask * tensor)
        for name, cp in results.items()
    }
    print(
        f"{'×'.join(map(str, shape)):>14}  {seconds['ours']:8.3f} s  {seconds['peer']:8.3f} s  "
        f"{seconds['peer'] / seconds['ours']:9.1f}  {misfit['ours']:.4f}  {misfit['peer']:.4f}"
    )


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--shape", type=positive, nargs="+", action="append")
    parser.add_argument("--repeats", type=positive, default=3, help="of which the median counts")
    parser.add_argument("--missing", type=float, default=0.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    last = "misfit of ours and peer" if options.missing else "difference"
    print(f"         shape        ours        peer  peer/ours  {last}")
    for shape in options.shape or [(500, 24, 24), (2000, 48, 48), (5000, 48, 48)]:
        if options.missing:
            compare_with_holes(tuple(shape), options.missing, options.repeats)
        else:
            compare(tuple(shape), options.repeats)


if __name__ == "__main__":
    main()
