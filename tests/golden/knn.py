"""knn.h5: features, and what scikit-learn says of them. Run: python tests/golden/knn.py

Features are blurred class centres, so accuracies lie well between chance and one. Labels of set "unbalanced" are few for some
classes and begin with neither class 0 nor sorted; set "ties" holds rows that occur many times with different labels, where
scikit-learn promises no order: its answers come from a stable sort (lowest index first), written out here.
"""
import pathlib

import h5py
import numpy as np
import sklearn
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier

rng = np.random.default_rng(20)


def features(labels, width, noise):
    centres = rng.normal(size=(labels.max() + 1, width))
    values = centres[labels] + noise * rng.normal(size=(len(labels), width))
    return (values * rng.uniform(0.2, 5, size=(len(labels), 1))).astype(np.float32)  # lengths must not matter


def folds_of(labels, folds):
    fold = np.empty(len(labels), dtype=np.uint8)
    for number, (_, test) in enumerate(StratifiedKFold(folds).split(np.zeros(len(labels)), labels)):
        fold[test] = number
    return fold


def cross_validated(values, labels, k, folds=5):
    classifier = KNeighborsClassifier(n_neighbors=k, metric="cosine")
    return cross_val_score(classifier, values.astype(np.float64), labels, cv=folds).mean()


def weighted(bank, bank_labels, queries, query_labels, k, temperature):
    """Wu et al. 2018: the weights are exp(cos / T)."""
    classifier = KNeighborsClassifier(n_neighbors=k, metric="cosine", weights=lambda distance: np.exp((1 - distance) / temperature))
    return classifier.fit(bank.astype(np.float64), bank_labels).score(queries.astype(np.float64), query_labels)


def lowest_index_first(bank, bank_labels, queries, query_labels, k):
    normalised = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (bank.astype(np.float64), queries.astype(np.float64))]
    similarity = np.round(normalised[1] @ normalised[0].T, 9)  # equal rows are equal again
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
    votes = np.apply_along_axis(np.bincount, 1, bank_labels[nearest], minlength=bank_labels.max() + 1)
    return (votes.argmax(axis=1) == query_labels).mean()


with h5py.File(pathlib.Path(__file__).with_suffix(".h5"), "w", libver="earliest") as file:
    file.attrs["made_with"] = f"scikit-learn {sklearn.__version__}, numpy {np.__version__}"

    labels = rng.permutation(np.repeat(np.arange(10), 53)).astype(np.uint8)
    values = features(labels, 37, 2.2)
    group = file.create_group("balanced")
    group["values"], group["labels"] = values, labels
    group["fold"] = folds_of(labels, 5)
    group["k"] = [1, 5, 20]
    group["accuracy"] = [cross_validated(values, labels, k) for k in group["k"]]

    labels = rng.choice(7, p=[0.02, 0.3, 0.05, 0.25, 0.2, 0.015, 0.165], size=411).astype(np.uint8)
    labels[:3] = [4, 2, 6]
    values = features(labels, 24, 1.8)
    group = file.create_group("unbalanced")
    group["values"], group["labels"] = values, labels
    group["fold"], group["fold_of_three"] = folds_of(labels, 5), folds_of(labels, 3)
    group["k"] = [1, 5, 20]
    group["accuracy"] = [cross_validated(values, labels, k) for k in group["k"]]

    bank_labels = rng.integers(0, 10, 700).astype(np.uint8)
    query_labels = rng.integers(0, 10, 301).astype(np.uint8)
    both = features(np.concatenate([bank_labels, query_labels]), 48, 2.6)
    group = file.create_group("weighted")
    group["bank"], group["bank_labels"] = both[:700], bank_labels
    group["queries"], group["query_labels"] = both[700:], query_labels
    group["k"], group["temperature"] = [200, 200, 20, 1], [0.1, 0.02, 0.5, 0.1]
    group["accuracy"] = [
        weighted(both[:700], bank_labels, both[700:], query_labels, int(k), t) for k, t in zip(group["k"], group["temperature"])
    ]

    distinct = features(np.arange(40) % 4, 16, 1.5)
    bank, bank_labels = distinct[rng.integers(0, 40, 300)], rng.integers(0, 4, 300).astype(np.uint8)
    queries, query_labels = distinct[rng.integers(0, 40, 150)], rng.integers(0, 4, 150).astype(np.uint8)
    group = file.create_group("ties")
    group["bank"], group["bank_labels"] = bank, bank_labels
    group["queries"], group["query_labels"] = queries, query_labels
    group["k"] = [1, 2, 3, 10]
    group["accuracy"] = [lowest_index_first(bank, bank_labels, queries, query_labels, int(k)) for k in group["k"]]
    for name, members in file.items():
        print(name, members["accuracy"][:])
