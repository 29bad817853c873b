"""Golden optimisers and schedules, for tests/graph/test_golden_optimizers.c.

    python optimizers.py         # remakes optimizers.h5 beside this file (seconds)

Optimisers: a few tensors, gradients of ten steps that do not depend on them, ten learning rates; every parameter after every step
in f64. SGD and Adam are torch.optim's; LARS is written out twice, as DeepMind's BYOL has it (decay, adapt, momentum, learning
rate) and as solo-learn has it (the decay's norm apart in the denominator, clipped by the learning rate, a tensor without weights
or gradient left alone). Schedules: torch.optim.lr_scheduler, solo-learn's warm-up, BYOL's tau; the value of every step.
Needs torch, torchvision, numpy and h5py (made with 2.15.0, 0.29.2, 2.4.6, 3.16.0).
"""
import math
import os

import numpy as np
import torch
from torch.optim import SGD, Adam
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, MultiStepLR, ReduceLROnPlateau, SequentialLR

import marks
from step import put

FOLDER = os.path.dirname(os.path.abspath(__file__))
STEPS = 10
TENSORS = {"a.weight": (5, 3), "a.bias": (5,), "norm.weight": (5,), "norm.bias": (5,), "b.weight": (2, 5), "b.bias": (2,),
           "zero.weight": (3, 4), "quiet.weight": (2, 3)}  # no weights at first; no gradient in some steps
SCALES = {name: 10.0 if name.startswith("b.") else 1.0 for name in TENSORS}


class Lars:
    """DeepMind's order. Tensors of one dimension are not adapted and, unless decay_norms, do not decay."""

    def __init__(self, parameters, momentum=0.9, weight_decay=0.0, eta=1e-3, epsilon=0.0, nesterov=False, decay_norms=False):
        self.parameters, self.momentum, self.weight_decay, self.nesterov = parameters, momentum, weight_decay, nesterov
        self.eta, self.epsilon, self.decay_norms = eta, epsilon, decay_norms
        self.velocities = [torch.zeros_like(p) for p in parameters]

    def adapted(self, p, g, lr):
        if p.dim() > 1 or self.decay_norms:
            g = g + self.weight_decay * p
        if p.dim() > 1 and p.norm() > 0 and g.norm() > 0:
            g = g * self.eta * p.norm() / (g.norm() + self.epsilon)
        return g

    def step(self, gradients, lrs):
        for p, m, g, lr in zip(self.parameters, self.velocities, gradients, lrs):
            g = self.adapted(p, g, lr)
            m.mul_(self.momentum).add_(g)
            p.sub_(lr * (g + self.momentum * m if self.nesterov else m))


class SoloLearnLars(Lars):
    def adapted(self, p, g, lr):
        if p.dim() == 1 or p.norm() == 0 or g.norm() == 0:
            return g
        trust = self.eta * p.norm() / (g.norm() + self.weight_decay * p.norm() + self.epsilon)
        return min(trust / lr, 1) * (g + self.weight_decay * p)


class TorchOptimizer:
    def __init__(self, kind, parameters, weight_decay=0.0, decay_norms=True, **options):
        self.parameters = parameters
        groups = [{"params": [p], "weight_decay": weight_decay if decay_norms or p.dim() > 1 else 0.0} for p in parameters]
        self.optimizer = kind(groups, lr=1.0, **options)

    def step(self, gradients, lrs):
        for p, g, group, lr in zip(self.parameters, gradients, self.optimizer.param_groups, lrs):
            p.grad, group["lr"] = g.clone(), lr
        self.optimizer.step()


OPTIMIZERS = {  # name: how to make it, whether the scales hold
    "sgd": (lambda p: TorchOptimizer(SGD, p, weight_decay=0.05, momentum=0.9), True),
    "sgd_nesterov": (lambda p: TorchOptimizer(SGD, p, weight_decay=0.05, decay_norms=False, momentum=0.9, nesterov=True), True),
    "adam": (lambda p: TorchOptimizer(Adam, p, weight_decay=0.05, betas=(0.9, 0.99), eps=1e-6), True),
    "lars_deepmind": (lambda p: Lars(p, weight_decay=0.05, eta=0.02), True),
    "lars_nesterov_decaying_norms": (lambda p: Lars(p, weight_decay=0.05, eta=0.02, nesterov=True, decay_norms=True, epsilon=1e-3), True),
    "lars_solo_learn": (lambda p: SoloLearnLars(p, weight_decay=0.05, eta=0.5, epsilon=1e-8), False),
    "lars_solo_learn_nesterov": (lambda p: SoloLearnLars(p, weight_decay=0.05, eta=0.5, epsilon=1e-8, nesterov=True), False),
}


def make_optimizers(file):
    rng = np.random.default_rng(5)
    few_bits = lambda values: np.round(values * 256) / 256
    start = {name: few_bits(rng.normal(size=shape)) * (name != "zero.weight") for name, shape in TENSORS.items()}
    gradients = {name: few_bits(rng.normal(size=(STEPS, *shape))) for name, shape in TENSORS.items()}
    gradients["quiet.weight"][3:6] = 0
    lrs = 0.5 * (1 + np.cos(np.pi * np.arange(STEPS) / STEPS)) + 1 / 1024
    marks.put_names(file, "names", list(TENSORS))
    put(file, "counts", [math.prod(shape) for shape in TENSORS.values()])
    put(file, "scales", [SCALES[name] for name in TENSORS])
    put(file, "start", np.concatenate([start[name].ravel() for name in TENSORS]))
    put(file, "gradients", np.concatenate([gradients[name].reshape(STEPS, -1) for name in TENSORS], axis=1))
    put(file, "learning_rates", lrs)
    for name, (make, scaled) in OPTIMIZERS.items():
        parameters = [torch.from_numpy(start[tensor].copy()) for tensor in TENSORS]
        optimizer, after = make(parameters), []
        for step in range(STEPS):
            optimizer.step([torch.from_numpy(gradients[tensor][step].copy()) for tensor in TENSORS],
                           [float(lrs[step]) * (SCALES[tensor] if scaled else 1) for tensor in TENSORS])
            after.append(torch.cat([p.detach().ravel() for p in parameters]).numpy().copy())
        put(file, f"optimizers/{name}", np.array(after))


# ---- schedules: lr of every step ----

def walk(make, base, count, each=1, observed=None):
    """The learning rate of `count` steps; the scheduler steps after every `each`, with observed values where it wants them."""
    optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=base)
    scheduler, values = make(optimizer), []
    for step in range(count):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % each == 0:
            scheduler.step(*([observed[step // each]] if observed is not None else []))
    return values


def solo_learn(base, start, warmup, count):
    rise = [start + k * (base - start) / (warmup - 1) for k in range(warmup)]
    return rise + [base * (1 + math.cos(math.pi * k / (count - warmup))) / 2 for k in range(count - warmup)]


def goyal_then_cosine(base, start, warmup, count):
    """Torch's own pieces: a linear rise whose first step is one part of `warmup` above the start, then cosine."""
    first = (start + (base - start) / warmup) / base
    rise_and_fall = lambda o: [LinearLR(o, first, 1.0, warmup - 1), CosineAnnealingLR(o, count - warmup)]
    return walk(lambda o: SequentialLR(o, rise_and_fall(o), [warmup]), base, count)


def make_schedules(file):
    epochs = np.arange(40)
    falling = 2 * np.exp(-epochs / 6) + 0.3 + 0.05 * np.sin(2.1 * epochs)
    rising = 0.9 - 0.6 * np.exp(-epochs / 6) + 0.02 * np.sin(1.7 * epochs)
    put(file, "observed/falling", falling)
    put(file, "observed/rising", rising)
    plateau = lambda mode, least: lambda o: ReduceLROnPlateau(o, mode=mode, factor=0.3, patience=2, min_lr=least)
    schedules = {
        "cosine_per_step": walk(lambda o: CosineAnnealingLR(o, 24), 0.4, 24),
        "cosine_per_epoch": walk(lambda o: CosineAnnealingLR(o, 8, eta_min=0.01), 0.4, 24, each=3),
        "milestones_per_epoch": walk(lambda o: MultiStepLR(o, [2, 5, 6], 0.2), 0.4, 24, each=3),
        "milestones_inside_epochs": walk(lambda o: MultiStepLR(o, [14, 18], 0.1), 0.4, 24),
        "plateau_min": walk(plateau("min", 0.01), 0.4, 80, each=2, observed=falling),
        "plateau_max": walk(plateau("max", 1e-9), 0.4, 80, each=2, observed=rising),
        "warmup_cosine": goyal_then_cosine(0.4, 0.0, 6, 24),
        "warmup_from_start_cosine": goyal_then_cosine(0.4, 0.03, 6, 24),
        "solo_learn": solo_learn(0.4, 0.03, 6, 24),
    }
    for name, values in schedules.items():
        put(file, f"schedules/{name}", values)
    put(file, "schedules/tau_cosine", [1 - (1 - 0.99) * (math.cos(math.pi * k / 24) + 1) / 2 for k in range(24)])


if __name__ == "__main__":
    torch.set_num_threads(1)
    with marks.open_file(os.path.join(FOLDER, "optimizers.h5")) as made:
        make_optimizers(made)
        make_schedules(made)
