"""
In a pipeline and in a grid search
==================================

:class:`tensorly_norank.NoRankDecomposition` is the decomposition with scikit-learn's methods. Its
samples keep their shape: images stay images, so that encoders can use their modes.
"""

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_score,
    train_test_split,
)
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from tensorly_norank import NoRankDecomposition
from tensorly_norank.plotting import plot_embedding

images = load_digits().images[:800]  # (800, 8, 8)
digits = load_digits().target[:800]

# %%
# A pipeline embeds, then asks the nearest neighbours. Each fold is embedded by a fit that has not
# seen it. The encoder is named to save time; ``"auto"`` would choose it in every fold.

ours = NoRankDecomposition(encoder="mlp", random_state=0)
folds = StratifiedKFold(2, shuffle=True, random_state=0)
flatten = FunctionTransformer(lambda samples: samples.reshape(len(samples), -1))
for name, steps in {"no rank": [ours], "9 principal components": [flatten, PCA(9)]}.items():
    model = make_pipeline(*steps, KNeighborsClassifier(3))
    scores = cross_val_score(model, images, digits, cv=folds)
    print(f"{name}: {scores.mean():.3f} of held-out digits named correctly")

# %%
# A search over encoders and margins. The score is the share of held-out triplets in order: a digit
# lies nearer to one of its kind than to another. With
# ``validation_fraction=0`` (and a ``rank``) nothing is counted, which saves time in a search.

search = GridSearchCV(
    NoRankDecomposition(rank=9, validation_fraction=0, n_iter_max=15, tol=0, random_state=0),
    {"encoder": ["linear", "mlp"], "margin": [0.4, 0.8]},
    cv=folds,
)
fitted, new, fitted_digits, new_digits = train_test_split(
    images, digits, test_size=300, stratify=digits, random_state=0
)
search.fit(fitted, fitted_digits)
table = pd.DataFrame(search.cv_results_)
print(table.pivot(index="param_encoder", columns="param_margin", values="mean_test_score").round(4))

# %%
# The best one, on images that the search has not seen. ``decomposition_`` is the CP tensor.

best = search.best_estimator_
print(f"{best.score(new, new_digits):.4f} of their triplets are in order")
print(best.decomposition_)
plot_embedding(best.transform(new), new_digits).set_title("New digits")
plt.show()
