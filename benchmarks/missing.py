"""What missing entries cost; held out.

    python benchmarks/missing.py classes --data digits
    python benchmarks/missing.py entries --data serology

`classes`: half of the samples fitted, the other half named by their three nearest neighbours among
these, with 0 to 40 % of the entries of both halves missing, at random or in whole fibres along the
last mode. Printed are 3-NN accuracy, balanced and not, and by how much it falls behind the same
split without holes.
`entries`: how well the missing entries of a tensor are known, of all samples together: by
the model that fills them in for encoders, by our reconstruction, by parafac with a mask and as many
components, and by the mean sample. Root mean square error over the entries' standard deviation; and
the factor match score of ours and parafac with what they find without holes.
"""

import time
import warnings

import numpy as np
import tensorly as tl
import torch
from _data import NAMES, load
from _options import encoder_name, one_of, parser_of, positive
from _summary import means_and_errors, paired_summary
from held_out import split_samples
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from tensorly.datasets import load_kinetic
from tensorly.decomposition import parafac

from tensorly_norank import no_rank_decomposition
from tensorly_norank._imputation import Imputer
from tensorly_norank._replicates import factor_match_score

SHARES = (0.0, 0.05, 0.2, 0.4)
KINDS = ("at random", "fibres")


def draw_mask(shape, share, kind, rng):
    """Which entries are observed; no sample is hidden whole."""
    while True:
        drawn = shape if kind == "at random" else (*shape[:-1], 1)
        mask = np.broadcast_to(rng.random(drawn) >= share, shape).copy()
        if mask.reshape(len(mask), -1).any(axis=1).all():
            return mask


def name_classes(tensor, codes, mask, encoder, seed):
    """3-NN accuracy and balanced accuracy of the half that is not fitted, components, seconds."""
    fitted, new = split_samples(codes, seed, False)
    start = time.perf_counter()
    result = no_rank_decomposition(
        tensor[fitted], codes[fitted], mask=mask[fitted], encoder=encoder, random_state=seed
    )
    seconds = time.perf_counter() - start
    nearest = KNeighborsClassifier(3).fit(result.embedding, codes[fitted])
    predicted = nearest.predict(result.transform(tensor[new], mask[new]))
    accuracy = np.mean(predicted == codes[new])
    return accuracy, balanced_accuracy_score(codes[new], predicted), result.rank, seconds


def run_classes(name, encoder, n_splits):
    """Print a table of shares and kinds."""
    loaded = load(name)
    if loaded is None:
        return
    tensor, labels = loaded
    _, codes = np.unique(labels, return_inverse=True)
    rows = {}
    for seed in range(n_splits):
        for share in SHARES:
            for kind in KINDS if share else KINDS[:1]:
                mask = draw_mask(tensor.shape, share, kind, np.random.default_rng(seed))
                key = f"{share:.0%} {kind}" if share else "none"
                rows.setdefault(key, []).append(name_classes(tensor, codes, mask, encoder, seed))
    print(f"{name}, {encoder}, {n_splits} splits")
    paired_summary(rows, ("3-NN", "balanced 3-NN", "components", "seconds"), [0, 1])


def run_entries(name, encoder, n_splits):
    """Print errors on the missing entries, and how alike factors are."""
    if name == "kinetic":
        tensor, labels = np.asarray(load_kinetic().tensor, np.float64), None
    elif (loaded := load(name)) is None:
        return
    else:
        tensor, labels = np.asarray(loaded[0], np.float64), loaded[1]
    whole = no_rank_decomposition(tensor, labels, encoder=encoder, random_state=0)
    rank, spread = whole.rank, (tensor - tensor.mean(axis=0)).std()
    complete = parafac(tensor - tensor.mean(axis=0), rank, n_iter_max=200, random_state=0)
    print(f"{name}, {encoder}, {rank} components")
    for share in SHARES[1:]:
        for kind in KINDS:
            rows = []
            for seed in range(n_splits):
                mask = draw_mask(tensor.shape, share, kind, np.random.default_rng(seed))
                holes = np.where(mask, tensor, np.nan)
                mean = np.nan_to_num(np.nanmean(holes, axis=0), nan=np.nanmean(holes))
                result = no_rank_decomposition(
                    holes, labels, mask="nan", encoder=encoder, rank=rank, random_state=0
                )
                peer = parafac(
                    np.where(mask, tensor - mean, 0),
                    rank,
                    mask=mask.astype(float),
                    n_iter_max=200,
                    random_state=0,
                )
                guesses = [
                    Imputer(torch.from_numpy(holes))(torch.from_numpy(holes)).numpy(),
                    result.inverse_transform(result.embedding),
                    tl.cp_to_tensor(peer) + mean,
                    np.broadcast_to(mean, tensor.shape),
                ]
                errors = [np.sqrt(np.mean((one - tensor)[~mask] ** 2)) / spread for one in guesses]
                alike = factor_match_score(result, whole), factor_match_score(peer, complete)
                rows.append([*errors, *alike])
            what = ("imputed", "ours", "parafac", "mean", "FMS ours", "FMS parafac")
            cells = "  ".join(
                f"{name} {mean:.3f} ± {error:.3f}"
                for name, mean, error in zip(what, *means_and_errors(np.array(rows)), strict=True)
            )
            print(f"  {share:.0%} {kind:9}  {cells}", flush=True)


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument("kind", choices=["classes", "entries"])
    parser.add_argument(
        "--data", type=one_of((*NAMES, "kinetic")), default="digits", help="data sets"
    )
    parser.add_argument("--encoder", type=encoder_name, default="mlp", help="encoder of ours")
    parser.add_argument("--splits", type=positive, default=5, help="the first so many")
    options = parser.parse_args()
    if options.kind == "classes" and options.data == "kinetic":
        parser.error("kinetic has no classes: it is for `entries`")
    warnings.simplefilter("ignore")
    run = run_classes if options.kind == "classes" else run_entries
    run(options.data, options.encoder, options.splits)


if __name__ == "__main__":
    main()
