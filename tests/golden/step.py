"""Golden BYOL steps by PyTorch, for tests/graph/test_golden_step.c.

    python step.py                       # remakes step_trained.h5 and step_cases.h5 beside this file (a few minutes)
    python step.py --full-width FILE     # a file like step_trained.h5 at width 64, heads 4096 / 256 (not committed);
    build/tests/test_golden_step FILE    # ... and how far every backend is from it, beside PyTorch's own distances
    python step.py --spread FILE         # measures only PyTorch's own distances in bf16 again, on another processor

step_trained.h5: two views of a batch of images, trained weights of the online network, of a target that lags behind it and of
    the predictor; three losses of SGD steps and the gradient of the first one in f64; how far PyTorch itself is from those in
    four f32 variants; and in bf16 autocast, from the same weights on several smaller batches (bf16/..., spread.py). At random
    weights the loss is 4 whatever the code does: hence trained ones.
step_cases.h5: in f64, a table of cases (random and trained weights, pairings, targets, heads): loss, every gradient and the
    running statistics of one step, and ten losses under an optimiser with an EMA after each step.

Weights and images are representable in f32. Convolution weights are stored OHWI, images NHWC. To keep the files small, weights
are rounded to a few bits before anything is computed from them, and gradients to integers in a unit far below their RMS.
Needs torch, torchvision, numpy and h5py (made with 2.15.0, 0.29.2, 2.4.6, 3.16.0).
"""
import argparse
import copy
import math
import os

import h5py
import numpy as np
import torch
import torch.nn as nn
from torchvision.models.resnet import BasicBlock, ResNet

import spread
from spread import nmse

FOLDER = os.path.dirname(os.path.abspath(__file__))
TAU = 0.99
SGD = {"kind": "sgd", "lr": 0.05, "weight_decay": 5e-4}
SPREAD_BATCH, SPREAD_DRAWS = 4, 32
PACKED_FROM = 4096  # values of a data set that is worth compressing


# ---- networks, by torchvision's names ----

class Encoder(ResNet):
    """torchvision's ResNet-18 with `width` channels in the first stage, a 3x3 stem without pooling, and no classifier."""

    def __init__(self, width):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, width, 1, 1, 64
        self.conv1 = nn.Conv2d(3, width, 3, 1, 1, bias=False)
        self.bn1, self.relu = nn.BatchNorm2d(width), nn.ReLU()
        self.maxpool = self.fc = nn.Identity()
        self.layer1 = self._make_layer(BasicBlock, width, 2)
        self.layer2 = self._make_layer(BasicBlock, 2 * width, 2, stride=2)
        self.layer3 = self._make_layer(BasicBlock, 4 * width, 2, stride=2)
        self.layer4 = self._make_layer(BasicBlock, 8 * width, 2, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))


def head(inputs, hidden, outputs, batch_norm=True):
    norm = [nn.BatchNorm1d(hidden)] if batch_norm else []
    return nn.Sequential(nn.Linear(inputs, hidden), *norm, nn.ReLU(), nn.Linear(hidden, outputs))


class Online(Encoder):
    def __init__(self, sizes):
        super().__init__(sizes["width"])
        self.projector = head(8 * sizes["width"], sizes["hidden"], sizes["out"])

    def forward(self, x):
        return self.projector(super().forward(x))


class Predictor(nn.Module):
    def __init__(self, sizes, batch_norm=True):
        super().__init__()
        self.predictor = head(sizes["out"], sizes["hidden"], sizes["out"], batch_norm)

    def forward(self, z):
        return self.predictor(z)

    def without_batch_norm(self, sizes):
        other = Predictor(sizes, batch_norm=False).to(next(self.parameters()))
        for ours, theirs in ((0, 0), (2, 3)):
            other.predictor[ours].load_state_dict(self.predictor[theirs].state_dict())
        return other


class Method:
    """One BYOL step. target None: the online network's own projections; predictor None: the identity."""

    def __init__(self, online, target, predictor, pairing="crossed", stop_gradient=True):
        self.online, self.target, self.predictor = online, target, predictor
        self.crossed, self.stop_gradient = pairing == "crossed", stop_gradient

    def networks(self):
        named = {"online": self.online, "target": self.target, "predictor": self.predictor}
        return {name: network for name, network in named.items() if network is not None}

    def copy(self, dtype=torch.float64):
        twin = copy.deepcopy(self)
        for network in twin.networks().values():
            network.to(dtype).train()
            for module in network.modules():
                if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                    module.reset_running_stats()
        return twin

    def loss(self, views):
        z_online = [self.online(view) for view in views]
        p = [self.predictor(z) for z in z_online] if self.predictor is not None else z_online
        if self.target is not None:
            with torch.no_grad():
                z = [self.target(view) for view in views]
        else:
            z = [z.detach() for z in z_online] if self.stop_gradient else z_online
        pairs = ((p[0], z[1]), (p[1], z[0])) if self.crossed else ((p[0], z[0]), (p[1], z[1]))
        return sum(distance(a, b) for a, b in pairs)

    def move_target(self):
        if self.target is not None:
            with torch.no_grad():
                for xi, theta in zip(self.target.parameters(), self.online.parameters()):
                    xi.mul_(TAU).add_(theta, alpha=1 - TAU)

    def optimizer(self, kind, lr, weight_decay=0.0, nesterov=False, decay_norms=True, predictor_lr_scale=1.0):
        groups = []
        for name in ("online", "predictor"):
            network = self.networks().get(name)
            for parameter in network.parameters() if network is not None else ():
                decays = decay_norms or parameter.dim() > 1
                groups.append({"params": [parameter], "lr": lr * (predictor_lr_scale if name == "predictor" else 1),
                               "weight_decay": weight_decay if decays else 0.0})
        return torch.optim.Adam(groups) if kind == "adam" else torch.optim.SGD(groups, lr=lr, momentum=0.9, nesterov=nesterov)


def distance(p, z):
    p, z = (x if x.dtype == torch.float64 else x.float() for x in (p, z))
    return (2 - 2 * nn.functional.cosine_similarity(p, z, dim=1)).mean()


# ---- images ----

def draw_images(rng, count, size=32):
    """Two views of `count` images made of a few waves: another shift, contrast, colour and noise each; (2, count, 3, S, S)."""
    row, column = np.mgrid[0:size, 0:size] / size
    views = np.zeros((2, count, 3, size, size))
    for image in range(count):
        waves = [(rng.integers(-4, 5, 2), rng.uniform(0, 2 * np.pi), rng.normal(size=3)) for _ in range(4)]
        for view in range(2):
            shift = rng.uniform(-0.15, 0.15, 2)
            for (u, v), phase, colour in waves:
                pattern = np.sin(2 * np.pi * (u * (row + shift[0]) + v * (column + shift[1])) + phase)
                views[view, image] += colour[:, None, None] * pattern
            views[view, image] *= rng.uniform(0.5, 1.0)
            views[view, image] += rng.normal(0, 0.3, (3, 1, 1)) + rng.normal(0, 0.1, (3, size, size))
    return np.clip(np.round(views * 32), -127, 127) / 32  # few bits: exact in f32, small in a file


def views_at(images, batch, step, dtype):
    """The batch of a step: row i is image i % count, view 1 rolled by (step + 5 k, 3 step + 2 k) pixels and view 2 by
    (2 step + 3 k, step + 5 k), k = i / count. tests/graph/test_golden_step.c repeats it."""
    count = images.shape[1]
    shifts = [[(step + 5 * k, 3 * step + 2 * k), (2 * step + 3 * k, step + 5 * k)] for k in range(-(-batch // count))]
    return [torch.from_numpy(np.concatenate([np.roll(images[view], shift[view], (2, 3)) for shift in shifts])[:batch]).to(dtype)
            for view in range(2)]


# ---- files ----

def keep_bits(network, mantissa_bits):
    """Rounds every parameter to so many bits of mantissa (24: f32 as it is)."""
    with torch.no_grad():
        for parameter in network.parameters():
            mantissa, exponent = np.frexp(parameter.double().numpy())
            rounded = np.ldexp(np.round(mantissa * 2 ** mantissa_bits) / 2 ** mantissa_bits, exponent)
            parameter.copy_(torch.from_numpy(rounded))


def to_file_layout(tensor):
    array = tensor.detach().cpu().double().numpy()
    return array.transpose(0, 2, 3, 1) if array.ndim == 4 else array  # OIHW -> OHWI


def put(file, path, array, dtype="f8"):
    array = np.asarray(array)
    packing = {"compression": "gzip", "compression_opts": 9, "shuffle": True, "chunks": array.shape}
    file.create_dataset(path, data=array.astype(dtype), track_times=False, **(packing if array.size >= PACKED_FROM else {}))


def put_gradients(file, group, gradients, bits):
    """Integers, in a unit of 2^-bits of the tensor's RMS: an NMSE of 2^(-2 bits) / 12, below what the test allows. Small tensors
    keep 45 bits. Those far below the rest (a bias before batch norm has true gradient 0) count as 1e-6 of the whole, as the
    test divides."""
    whole = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients.values()))
    for name, g in gradients.items():
        rms = max(float(g.double().norm()), 1e-6 * whole) / math.sqrt(g.numel())
        unit = rms * 2.0 ** -(bits if g.numel() >= PACKED_FROM else 45)
        put(file, f"{group}/{name}", np.round(to_file_layout(g) / unit), "i8")
        put(file, f"{group}_unit/{name}", unit)


def put_parameters(file, group, networks):
    for network, module in networks.items():
        for name, parameter in module.named_parameters():
            put(file, f"{group}/{network}/{name}", to_file_layout(parameter), "f4")


def gradients_of(method):
    return {f"{network}/{name}": parameter.grad for network, module in method.networks().items() if network != "target"
            for name, parameter in module.named_parameters()}


# ---- training a little ----

def trained(sizes, steps, batch, seed):
    torch.manual_seed(seed)
    online = Online(sizes)
    method = Method(online, copy.deepcopy(online).requires_grad_(False), Predictor(sizes))
    optimizer = method.optimizer("sgd", lr=0.1, weight_decay=5e-4)
    rng = np.random.default_rng(seed)
    for step in range(steps):
        views = [torch.from_numpy(view).float() for view in draw_images(rng, batch)]
        loss = method.loss(views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.move_target()
        if step % 20 == 0 or step == steps - 1:
            print(f"  training step {step}: loss {loss.item():.4f}", flush=True)
    return method


# ---- step_trained.h5: the whole step, and how far PyTorch is from itself ----

def three_steps(method, images, batch, optimizer_options, dtype, layout=torch.contiguous_format, autocast=False, first=0):
    """Losses of three steps on the batches from `first` on, and the gradient of the first."""
    method = method.copy(dtype)
    for network in method.networks().values():
        network.to(memory_format=layout)
    optimizer = method.optimizer(**optimizer_options)
    losses, gradients = [], None
    for step in range(first, first + spread.STEPS):
        views = [view.contiguous(memory_format=layout) for view in views_at(images, batch, step, dtype)]
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = method.loss(views)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        gradients = gradients or {name: g.double().clone() for name, g in gradients_of(method).items()}
        optimizer.step()
        method.move_target()
    return losses, gradients


def make_trained(path, sizes, image_count, steps, train_batch, seed, weight_bits, gradient_bits):
    method = trained(sizes, steps, train_batch, seed)
    for network in method.networks().values():
        keep_bits(network, weight_bits)
    images = draw_images(np.random.default_rng(seed + 1), image_count)
    options = SGD
    losses, truth = three_steps(method, images, sizes["batch"], options, torch.float64)
    print(f"  f64: losses {losses}", flush=True)
    variants = {}
    for name, layout, onednn in (("nchw", torch.contiguous_format, True), ("channels_last", torch.channels_last, True),
                                 ("nchw_without_onednn", torch.contiguous_format, False),
                                 ("channels_last_without_onednn", torch.channels_last, False)):
        with torch.backends.mkldnn.flags(enabled=onednn):
            variants["f32/" + name] = three_steps(method, images, sizes["batch"], options, torch.float32, layout)
    distances = {}  # NMSE of the whole gradient; worst of the three losses
    for name, (ours, gradients) in variants.items():
        distances[name] = [nmse(gradients, truth), max(abs(a - b) for a, b in zip(ours, losses))]
        print("  {}: whole gradient {:.3g}, worst of three losses {:.3g}".format(name, *distances[name]), flush=True)
    with h5py.File(path, "w", libver="v110") as file:
        for name in ("width", "hidden", "out", "batch"):
            put(file, f"sizes/{name}", sizes[name])
        for view in range(2):
            put(file, f"images/view{view + 1}", images[view].transpose(0, 2, 3, 1), "f4")
        put_parameters(file, "weights", method.networks())
        for name, value in (("lr", options["lr"]), ("weight_decay", options["weight_decay"]), ("tau", TAU)):
            put(file, f"step/{name}", value)
        put(file, "step/losses", losses)
        put_gradients(file, "step/gradients", truth, gradient_bits)
        for name, values in distances.items():
            put(file, f"distance/{name}", values)
        put(file, "bf16/batch", SPREAD_BATCH)
    spread.put_spread(path, "bf16", os.path.abspath(__file__))
    return method, images


def read_trained(file):
    """What make_trained has put: the method in f64, and the images."""
    sizes = {name: int(value[()]) for name, value in file["sizes"].items()}
    method = Method(Online(sizes), Online(sizes).requires_grad_(False), Predictor(sizes))
    for network, module in method.networks().items():
        module.double()
        with torch.no_grad():
            for name, parameter in module.named_parameters():
                values = torch.from_numpy(file[f"weights/{network}/{name}"][()])
                parameter.copy_(values.permute(0, 3, 1, 2) if values.dim() == 4 else values)
    return method, np.stack([file[f"images/view{view + 1}"][()].astype("f8").transpose(0, 3, 1, 2) for view in range(2)])


def print_distances(path):
    with h5py.File(path) as file:
        method, images = read_trained(file)
    spread.print_distances(lambda draw, *how: three_steps(method, images, SPREAD_BATCH, SGD, *how, first=spread.STEPS * draw), SPREAD_DRAWS)


# ---- step_cases.h5: mathematics, in f64 ----

def make_cases(path, sizes, batch, method, images, weight_bits, gradient_bits):
    torch.manual_seed(7)
    online, predictor = Online(sizes), Predictor(sizes)
    for network in (online, predictor):
        with torch.no_grad():  # norms and biases that do not hide an error behind 1 and 0
            for parameter in network.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.2 * torch.randn_like(parameter))
        keep_bits(network, weight_bits)
    own, lagging, plain = method.online, method.target, method.predictor.without_batch_norm(sizes)
    adam = {"kind": "adam", "lr": 1e-3}
    cases = {  # what the step is made of, and the optimiser of its ten losses
        "random_crossed": (Method(online, copy.deepcopy(online), predictor), adam),
        "trained_crossed": (Method(own, lagging, method.predictor), SGD),
        "trained_same_view": (Method(own, lagging, plain, pairing="same_view"),
                              {**SGD, "nesterov": True, "decay_norms": False, "predictor_lr_scale": 10}),
        "trained_online_no_predictor": (Method(own, None, None), {**adam, "weight_decay": 1e-2}),
        "trained_online_with_gradient": (Method(own, None, method.predictor, stop_gradient=False), adam),
    }
    with h5py.File(path, "w", libver="v110") as file:
        put(file, "batch", batch)
        put_parameters(file, "random", {"online": online, "predictor": predictor})
        for name, (case, options) in cases.items():
            step = case.copy()
            loss = step.loss(views_at(images, batch, 0, torch.float64))
            loss.backward()
            put(file, f"{name}/loss", loss.item())
            put_gradients(file, f"{name}/gradients", gradients_of(step), gradient_bits)
            for network, module in step.networks().items():
                for buffer, values in module.named_buffers():
                    if not buffer.endswith("num_batches_tracked"):
                        put(file, f"{name}/buffers/{network}/{buffer}", values)
            losses = ten_losses(case.copy(), images, batch, options)
            put(file, f"{name}/losses", losses)
            print(f"  {name}: {losses[0]:.6f} ... {losses[-1]:.6f}", flush=True)


def ten_losses(method, images, batch, optimizer_options):
    optimizer = method.optimizer(**optimizer_options)
    losses = []
    for step in range(10):
        loss = method.loss(views_at(images, batch, step, torch.float64))
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        optimizer.step()
        method.move_target()
    return losses


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full-width", metavar="FILE")
    parser.add_argument("--spread", metavar="FILE")
    parser.add_argument("--distances", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.distances:
        print_distances(arguments.distances)
    elif arguments.spread:
        spread.put_spread(arguments.spread, "bf16", os.path.abspath(__file__))
    elif arguments.full_width:
        full = {"width": 64, "hidden": 4096, "out": 256, "batch": 16}
        make_trained(arguments.full_width, full, image_count=16, steps=30, train_batch=32, seed=1, weight_bits=24, gradient_bits=22)
    else:
        narrow = {"width": 8, "hidden": 32, "out": 16, "batch": 64}
        made, drawn = make_trained(os.path.join(FOLDER, "step_trained.h5"), narrow, image_count=16, steps=100, train_batch=64,
                                   seed=1, weight_bits=12, gradient_bits=16)
        make_cases(os.path.join(FOLDER, "step_cases.h5"), narrow, 4, made, drawn, weight_bits=8, gradient_bits=29)
