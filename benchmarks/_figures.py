"""Figures of an embedding that the benchmarks share: scikit-learn's."""

import numpy as np
from scipy.spatial.distance import pdist
from sklearn.cluster import KMeans
from sklearn.manifold import trustworthiness
from sklearn.metrics import (
    adjusted_rand_score,
    balanced_accuracy_score,
    roc_auc_score,
    silhouette_score,
)
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors


def held_out_figures(embedding, labels, samples, fitted=None, fitted_labels=None):
    """Of held-out samples; 3-NN too where fitted samples have the labels.

    AUC is that of telling pairs of a class from other pairs by their distance; `trust.` is the
    trustworthiness of the 10 nearest neighbours.
    """
    clusters = KMeans(len(np.unique(labels)), n_init=10, random_state=0).fit_predict(embedding)
    nearest = NearestNeighbors(n_neighbors=1).fit(embedding).kneighbors()[1][:, 0]
    figures = {
        "silhouette": silhouette_score(embedding, labels),
        "ARI": adjusted_rand_score(labels, clusters),
        "recall@1": np.mean(labels[nearest] == labels),
        "AUC": verification_auc(embedding, labels),
        "trust.": trustworthiness(samples.reshape(len(samples), -1), embedding, n_neighbors=10),
    }
    if fitted is not None:
        predicted = KNeighborsClassifier(3).fit(fitted, fitted_labels).predict(embedding)
        figures["3-NN"] = np.mean(predicted == labels)
        figures["balanced"] = balanced_accuracy_score(labels, predicted)
    return figures


def verification_auc(embedding, labels):
    """How well distances tell "same class" from "another class", over all pairs."""
    first, second = np.triu_indices(len(labels), 1)
    return roc_auc_score(labels[first] == labels[second], -pdist(embedding))


def summary(rows):
    """Mean ± standard deviation over splits, a line."""
    return "  ".join(
        f"{key} {np.mean([row[key] for row in rows]):.3f}±{np.std([row[key] for row in rows]):.3f}"
        for key in rows[0]
    )
