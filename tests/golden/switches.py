"""Golden steps of BYOL's variants by PyTorch in f64, for tests/graph/test_golden_switches.c.

    python switches.py           # remakes switches.h5 beside this file (seconds)

Every case is one row of VARIANTS: the switches of the method, in words of this file. Written for each: three updates' losses, every
gradient of the first update (summed over its micro steps), and every parameter and running statistic after the third, as marks
(marks.py). The step is written as the papers have it: separate forwards for the views, a loop over the groups of rows that share
statistics, distances by their definition. All weights start from the same encoder, the target's from another draw; running
statistics start away from 0 and 1. Needs torch, torchvision, numpy and h5py (made with 2.15.0, 0.29.2, 2.4.6, 3.16.0).
"""
import copy
import os
from types import SimpleNamespace

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as functional

import marks
from step import Encoder, draw_images, put, views_at

FOLDER = os.path.dirname(os.path.abspath(__file__))
WIDTH, SIZE, BATCH, HIDDEN, OUT, UPDATES = 2, 8, 8, 12, 6, 3
LR, MOMENTUM, WEIGHT_DECAY, TAU = 0.05, 0.9, 5e-4, 0.9

DEFAULTS = dict(projector={}, predictor={}, predictor_learns=True, predictor_lr_scale=1, target="ema", target_moves="after",
                target_running=False, average_buffers=False, stop_gradient=True, pairing="crossed", normalization="l2",
                reduction="sum", one_direction=False, statistics_rows=BATCH, stem_padding=1, zero_init_residual=False, accumulate=1)
SIMSIAM = dict(projector=dict(depth=3, norm="all", hidden_bias=False, out_bias=False), predictor=dict(hidden_bias=False),
               target="online", reduction="half")
LIGHTLY = dict(projector=dict(hidden_bias=False), predictor=dict(hidden_bias=False), target_moves="before", reduction="half")
VARIANTS = {
    "deepmind": dict(projector=dict(out_bias=False), predictor=dict(out_bias=False)),
    "lightly": LIGHTLY,
    "solo_learn": dict(stem_padding=2),
    "simsiam": SIMSIAM,
    "linear_predictor": dict(predictor=dict(depth=1), predictor_lr_scale=10),
    "deep_heads": dict(projector=dict(norm="none", depth=3), predictor=dict(norm="all", depth=3), reduction="mean"),
    "projector_of_one_layer": dict(projector=dict(depth=1, norm="all")),
    "fixed_predictor": dict(predictor_learns=False),
    "no_predictor_no_stop_gradient": dict(predictor=None, target="online", stop_gradient=False),
    "frozen_target": dict(target="frozen"),
    "averaged_buffers": dict(average_buffers=True),
    "running_target": dict(average_buffers=True, target_running=True),
    "running_target_moved_before": dict(average_buffers=True, target_running=True, target_moves="before"),
    "one_direction": dict(one_direction=True),
    "one_direction_half_same_view": dict(one_direction=True, reduction="half", pairing="same_view"),
    "loss_plain": dict(normalization="none"),
    "loss_plain_with_gradient": dict(normalization="none", target="online", stop_gradient=False),
    "loss_layer_norm": dict(normalization="layer_norm"),
    "loss_layer_norm_with_gradient": dict(normalization="layer_norm", target="online", stop_gradient=False, reduction="mean"),
    "loss_batch_norm": dict(normalization="batch_norm"),
    "loss_batch_norm_with_gradient": dict(normalization="batch_norm", target="online", stop_gradient=False, pairing="same_view"),
    "half_a_view": dict(statistics_rows=BATCH // 2),
    "zero_init_residual": dict(zero_init_residual=True),
    "two_micro_steps": dict(accumulate=2),
    "two_micro_steps_moved_before": dict(LIGHTLY, accumulate=2, average_buffers=True),
}


class Method:
    def __init__(self, variant, encoder, target_encoder):
        self.v = v = SimpleNamespace(**{**DEFAULTS, **variant})
        inputs = 8 * WIDTH
        self.networks = {"online": self.branch(encoder, inputs)}
        if v.target != "online":
            self.networks["target"] = self.branch(target_encoder, inputs).requires_grad_(False)
        if v.predictor is not None:
            predictor = nn.Module()
            predictor.predictor = marks.stir(marks.head(OUT, HIDDEN, OUT, **v.predictor)).requires_grad_(v.predictor_learns)
            self.networks["predictor"] = predictor
        for network in self.networks.values():
            network.double().train()
        if v.target_running:
            self.networks["target"].eval()
        if v.average_buffers:  # instead of running statistics of its own
            for module in self.networks["target"].modules():
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                    module.momentum = 0.0

    def branch(self, encoder, inputs):
        network = copy.deepcopy(encoder)
        network.conv1.padding = (self.v.stem_padding,) * 2
        network.projector = marks.stir(marks.head(inputs, HIDDEN, OUT, **self.v.projector))
        if self.v.zero_init_residual:
            for name, parameter in network.named_parameters():
                if name.endswith("bn2.weight"):
                    nn.init.zeros_(parameter)
        return network

    def project(self, network, view):
        return torch.cat([network.projector(network(rows)) for rows in view.split(self.v.statistics_rows)])

    def predict(self, z):
        if "predictor" not in self.networks:
            return z
        return torch.cat([self.networks["predictor"].predictor(rows) for rows in z.split(self.v.statistics_rows)])

    def normalized(self, x):
        if self.v.normalization == "l2":
            return functional.normalize(x, dim=1)
        if self.v.normalization == "layer_norm":
            return functional.normalize(x - x.mean(1, keepdim=True), dim=1)
        if self.v.normalization == "batch_norm":
            return functional.batch_norm(x, None, None, training=True, eps=1e-5) / x.shape[1] ** 0.5
        return x

    def loss(self, views):
        z_online = [self.project(self.networks["online"], view) for view in views]
        p = [self.predict(z) for z in z_online]
        z = z_online if self.v.target == "online" else [self.project(self.networks["target"], view) for view in views]
        if self.v.stop_gradient:
            z = [one.detach() for one in z]
        if self.v.pairing == "crossed":
            z = z[::-1]
        distances = [(self.normalized(a) - self.normalized(b)).square().sum(1).mean() for a, b in zip(p, z)]
        total = distances[0] if self.v.one_direction else sum(distances)
        return {"sum": total, "mean": total / 2, "half": total / 4 - 1 if not self.v.one_direction else total / 2 - 1}[self.v.reduction]

    def move_target(self):
        if self.v.target != "ema":
            return
        target, online = self.networks["target"], self.networks["online"]
        pairs = list(zip(target.parameters(), online.parameters()))
        if self.v.average_buffers:
            pairs += [(xi, theta) for xi, theta in zip(target.buffers(), online.buffers()) if xi.is_floating_point()]
        with torch.no_grad():
            for xi, theta in pairs:
                xi.mul_(TAU).add_(theta, alpha=1 - TAU)

    def optimizer(self):
        groups = [{"params": [parameter for parameter in network.parameters() if parameter.requires_grad],
                   "lr": LR * (self.v.predictor_lr_scale if name == "predictor" else 1)}
                  for name, network in self.networks.items() if name != "target"]
        return torch.optim.SGD([group for group in groups if group["params"]], momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)


def run(method, images):
    """Losses of every micro step, and the gradients of the first update, summed over its micro steps."""
    v, optimizer, losses, first = method.v, method.optimizer(), [], None
    for update in range(UPDATES):
        if v.target_moves == "before":
            method.move_target()
        optimizer.zero_grad()
        for _ in range(v.accumulate):
            loss = method.loss(views_at(images, BATCH, len(losses), torch.float64))
            loss.backward()
            losses.append(loss.item())
        first = first or marks.gradients_of(method.networks)
        for network in method.networks.values():
            for parameter in network.parameters():
                if parameter.grad is not None:
                    parameter.grad /= v.accumulate
        optimizer.step()
        if v.target_moves == "after":
            method.move_target()
    return losses, first


def main():
    torch.set_num_threads(1)
    torch.manual_seed(3)
    encoder, target_encoder = (marks.stir(Encoder(WIDTH)) for _ in range(2))
    images = draw_images(np.random.default_rng(3), BATCH, SIZE)
    with marks.open_file(os.path.join(FOLDER, "switches.h5")) as file:
        for name, value in (("width", WIDTH), ("size", SIZE), ("batch", BATCH), ("hidden", HIDDEN), ("out", OUT), ("updates", UPDATES),
                            ("lr", LR), ("momentum", MOMENTUM), ("weight_decay", WEIGHT_DECAY), ("tau", TAU)):
            put(file, f"options/{name}", value)
        for view in range(2):
            put(file, f"images/view{view + 1}", images[view].transpose(0, 2, 3, 1), "f4")
        marks.put_tensors(file, "encoder", marks.tensors_of({"online": encoder, "target": target_encoder}))
        for name, variant in VARIANTS.items():
            method = Method(variant, encoder, target_encoder)
            start = marks.tensors_of(method.networks)
            marks.put_tensors(file, f"{name}/heads", {key: start[key] for key in start if "/projector." in key or "/predictor." in key})
            losses, gradients = run(method, images)
            put(file, f"{name}/losses", losses)
            marks.put_marks(file, f"{name}/gradients", gradients)
            marks.put_marks(file, f"{name}/after", marks.tensors_of(method.networks))
            print(f"{name}: {losses[0]:.6f} ... {losses[-1]:.6f}, {len(gradients)} gradients")


if __name__ == "__main__":
    main()
