"""The same fit on the CPU and on a GPU.

    python benchmarks/devices.py
    python benchmarks/devices.py --sizes 400 4000 --encoders mlp

Samples are planted tensors of 64×64 entries, 8 classes, 5 components. Printed are, for each number
of samples, milliseconds a pass (the median over passes of the first fit, without the first pass),
seconds of a whole call with its count, the ratio of the two devices, and what was found: the
number of components, and the share of new samples whose three nearest neighbours name them rightly.
"""

import time
import warnings

import numpy as np
import tensorly as tl
import torch
from _options import encoder_name, parser_of, positive
from sklearn.neighbors import KNeighborsClassifier

from tensorly_norank import no_rank_decomposition
from tensorly_norank.datasets import simulate_planted

N_NEW = 400
MANY = 10_000


def planted(n_samples, seed):
    """Samples of float32, the last ones new, and their labels; numpy arrays."""
    bunch = simulate_planted(
        n_samples=n_samples + N_NEW, sample_shape=(64, 64), rank=5, n_classes=8, random_state=seed
    )
    return np.asarray(bunch.tensor, dtype=np.float32), np.asarray(bunch.labels)


def fit(tensor, labels, device, encoder, n_passes):
    """Milliseconds a pass, seconds, components, share of new samples that are recognised."""
    tensor = torch.from_numpy(tensor).to(device)
    passes = []
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = no_rank_decomposition(
            tensor[:-N_NEW],
            labels[:-N_NEW],
            encoder=encoder,
            n_iter_max=n_passes,
            random_state=0,
            callback=lambda state, error: passes.append(time.perf_counter()),
        )
    seconds = time.perf_counter() - start
    recognised = KNeighborsClassifier(3).fit(result.embedding.cpu(), labels[:-N_NEW])
    accuracy = recognised.score(result.transform(tensor[-N_NEW:]).cpu(), labels[-N_NEW:])
    return 1000 * np.median(np.diff(passes)), seconds, result.rank, accuracy


def main():
    """Run and print."""
    parser = parser_of(__doc__)
    parser.add_argument(
        "--sizes", type=positive, nargs="+", default=[400, 4000, 40_000], help="samples"
    )
    parser.add_argument(
        "--encoders", nargs="+", type=encoder_name, default=["mlp", "conv"], help="encoder of ours"
    )
    parser.add_argument("--devices", nargs="+", default=["cuda", "cpu"])
    parser.add_argument("--passes", type=positive, help="30, and 4 of 10,000 samples or more")
    options = parser.parse_args()
    tl.set_backend("pytorch")
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"{name}; {torch.get_num_threads()} threads; torch {torch.__version__}", flush=True)
    for n_samples in options.sizes:
        n_passes = options.passes or (4 if n_samples >= MANY else 30)
        tl.set_backend("numpy")
        tensor, labels = planted(n_samples, 0)
        tl.set_backend("pytorch")
        for encoder in options.encoders:
            rows = {}
            for device in options.devices:
                fit(tensor[: N_NEW + 200], labels[: N_NEW + 200], device, encoder, 2)  # warm-up
                rows[device] = fit(tensor, labels, device, encoder, n_passes)
                a_pass, seconds, rank, accuracy = rows[device]
                ratio = rows[device][0] / rows[options.devices[0]][0]
                of_all = rows[device][1] / rows[options.devices[0]][1]
                print(
                    f"{n_samples:6d} samples, {encoder:5} on {device:4}: {a_pass:9.1f} ms a pass "
                    f"(× {ratio:.1f}), {seconds:7.2f} s in all of {n_passes} passes "
                    f"(× {of_all:.1f}); {rank} components, {accuracy:.3f} recognised",
                    flush=True,
                )


if __name__ == "__main__":
    main()
