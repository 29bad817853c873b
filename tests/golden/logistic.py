"""Golden logistic regression by scikit-learn and a golden linear classifier by torch's SGD, for tests/protocols/test_logistic.c.

    python logistic.py           # remakes logistic.h5 beside this file (seconds)

Features of overlapping classes of different sizes; part of the rows is held out. For every l2 of a grid: weights and intercepts
of LogisticRegression(C = 1 / (l2 rows)), and accuracies on both parts. lbfgs of scikit-learn stops where its loss no longer falls,
so every solution is then refined by Newton's method until no gradient entry exceeds 1e-13; the two must agree to 1e-3.
SGD: a linear layer on the same rows, in batches in order, Nesterov momentum and a cosine: every loss, and the layer at the end.
Needs torch, numpy, scikit-learn and h5py (made with 2.15.0, 2.4.6, 1.9.1, 3.16.0).
"""
import os

import numpy as np
import torch
import torch.nn as nn
from sklearn.linear_model import LogisticRegression

from marks import open_file
from step import put

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROWS, WIDTH, CLASSES, FITTED, STEPS, BATCH = 90, 7, 4, 60, 12, 15
GRID = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]


def draw(seed=15):
    rng = np.random.default_rng(seed)
    labels = rng.choice(CLASSES, ROWS, p=[0.4, 0.3, 0.2, 0.1])
    centres = 0.6 * rng.normal(size=(CLASSES, WIDTH))
    features = (centres[labels] + rng.normal(size=(ROWS, WIDTH))) * [1, 1, 2, 0.5, 1, 3, 1] + 0.7
    return np.round(features * 1024) / 1024, labels, rng.permutation(ROWS)


def refine(x, y, weights, intercepts, l2):
    """Newton's method on  mean cross-entropy + l2 / 2 |W|^2  within  sum of intercepts = 0."""
    a = torch.from_numpy(np.hstack([x, np.ones((len(x), 1))]))
    y = torch.from_numpy(y)
    penalised = torch.ones(CLASSES, WIDTH + 1, dtype=torch.float64)
    penalised[:, -1] = 0

    def objective(flat):
        w = flat.view(CLASSES, WIDTH + 1)
        return nn.functional.cross_entropy(a @ w.T, y) + l2 / 2 * (penalised * w ** 2).sum()

    w = torch.from_numpy(np.hstack([weights, intercepts[:, None]])).ravel()
    for _ in range(20):
        gradient = torch.autograd.functional.jacobian(objective, w)
        if gradient.abs().max() < 1e-13:
            break
        w = w - torch.linalg.pinv(torch.autograd.functional.hessian(objective, w), hermitian=True) @ gradient
    assert gradient.abs().max() < 1e-13
    w = w.view(CLASSES, WIDTH + 1).numpy()
    return w[:, :-1], w[:, -1] - w[:, -1].mean()


def descend(file, x, y):
    torch.manual_seed(0)
    layer = nn.Linear(WIDTH, CLASSES)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.copy_((parameter * 1024).round() / 1024)
    layer = layer.double()
    put(file, "sgd/start/weight", layer.weight.detach())
    put(file, "sgd/start/bias", layer.bias.detach())
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    losses = []
    for step in range(STEPS):
        rows = torch.arange(step * BATCH, (step + 1) * BATCH) % ROWS
        loss = nn.functional.cross_entropy(layer(torch.from_numpy(x)[rows]), torch.from_numpy(y)[rows])
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        cosine.step()
    put(file, "sgd/losses", losses)
    put(file, "sgd/end/weight", layer.weight.detach())
    put(file, "sgd/end/bias", layer.bias.detach())


def main():
    torch.set_num_threads(1)
    x, y, order = draw()
    fitted, held_out = order[:FITTED], order[FITTED:]
    weights, intercepts, accuracies = [], [], []
    for l2 in GRID:
        model = LogisticRegression(C=1 / (l2 * FITTED), tol=1e-10, max_iter=100000).fit(x[fitted], y[fitted])
        w, b = refine(x[fitted], y[fitted], model.coef_, model.intercept_, l2)
        print(f"l2 {l2:g}: refined by {max(np.abs(w - model.coef_).max(), np.abs(b - model.intercept_).max()):.2g}", end=", ")
        assert np.allclose(w, model.coef_, atol=1e-3) and np.allclose(b, model.intercept_ - model.intercept_.mean(), atol=1e-3)
        logits = x @ w.T + b
        margin = np.sort(logits, 1)
        print(f"smallest margin {np.min(margin[:, -1] - margin[:, -2]):.2g}", end=", ")
        right = logits.argmax(1) == y
        weights.append(w), intercepts.append(b), accuracies.append([right[fitted].mean(), right[held_out].mean()])
        print("accuracy {:.3f} fitted, {:.3f} held out".format(*accuracies[-1]))
    with open_file(os.path.join(FOLDER, "logistic.h5")) as file:
        put(file, "features", x)
        put(file, "labels", y)
        put(file, "classes", CLASSES)
        put(file, "fitted", fitted)
        put(file, "held_out", held_out)
        put(file, "l2", GRID)
        put(file, "weights", np.array(weights))
        put(file, "intercepts", np.array(intercepts))
        put(file, "accuracies", np.array(accuracies))
        descend(file, x, y)


if __name__ == "__main__":
    main()
