"""Golden values of ResNet-34 and -50, bilinear resizing and FCN-8s by PyTorch in f64, for tests/graph/test_golden_segmentation.c.

    python segmentation.py                  # remakes segmentation.h5 beside this file (a few minutes)
    python segmentation.py --spread FILE    # measures only PyTorch's own distances again, on another processor

resize/...: torch.nn.functional.interpolate(mode="bilinear", align_corners=False) up, down and both: y, and dx of a random dy.
start/...: stirred weights and running statistics of torchvision's ResNet-18, -34 and -50, 4 channels wide with their own stem, of FCN-8s'
    heads on each, and of a linear classifier.
resnet50, resnet50_dilated (replace_stride_with_dilation=[False, True, True]): a classifier on two images: loss, logits, every gradient
    and all running statistics behind that as marks (marks.py).
fcn_resnet18, fcn_resnet34, fcn_resnet50, fcn_frozen (ResNet-18 with its running statistics, heads alone trained): the same of a segmentation of images
    that are not square, some pixels unlabelled; then loss and logits under all running statistics on an image of odd size.
whole/...: FCN-8s on a wider ResNet-18, several times with other weights that `formed` makes of their names: three losses of SGD steps on the
    same images in f64, and how far PyTorch in bf16 autocast is from that and from the first gradient (spread.py).
    (On so few pixels ResNet-50's gradient in bf16 is noise, PyTorch's too: its nodes are held one by one.)
Needs torch, torchvision, numpy and h5py (made with 2.15.0, 0.29.2, 2.4.6, 3.16.0).
"""
import argparse
import os

import h5py
import numpy as np
import torch
import torch.nn as nn
import torchvision
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

import marks
import spread
from step import put

FOLDER = os.path.dirname(os.path.abspath(__file__))
WIDTH, BATCH, CLASSES = 4, 2, 5
WHOLE_WIDTH, LEARNING_RATE, WHOLE_SEEDS = 16, 0.02, 32
SQUARE, WIDE, ODD = (64, 64), (64, 96), (50, 71)
BLOCKS = {18: (BasicBlock, [2, 2, 2, 2]), 34: (BasicBlock, [3, 4, 6, 3]), 50: (Bottleneck, [3, 4, 6, 3])}

SIZES = {"up_by_eight": ((2, 3), (16, 24)), "up_odd": ((3, 5), (10, 11)), "down_odd": ((11, 9), (4, 5)), "down_past_pixels": ((17, 16), (3, 2)),
         "up_and_down": ((5, 12), (9, 4)), "one_pixel": ((1, 1), (6, 3)), "to_one_pixel": ((6, 5), (1, 1))}


class Encoder(ResNet):
    def __init__(self, depth, dilate=(False, False, False), width=WIDTH):
        nn.Module.__init__(self)
        self._norm_layer, self.inplanes, self.dilation, self.groups, self.base_width = nn.BatchNorm2d, width, 1, 1, 64
        block, counts = BLOCKS[depth]
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._make_layer(block, width, counts[0])
        self.layer2 = self._make_layer(block, 2 * width, counts[1], stride=2, dilate=dilate[0])
        self.layer3 = self._make_layer(block, 4 * width, counts[2], stride=2, dilate=dilate[1])
        self.layer4 = self._make_layer(block, 8 * width, counts[3], stride=2, dilate=dilate[2])
        theirs = getattr(torchvision.models, f"resnet{depth}")(replace_stride_with_dilation=list(dilate))
        assert set(self.state_dict()) == {name for name in theirs.state_dict() if not name.startswith("fc.")}
        strides = [[m.stride, m.dilation, m.padding, m.kernel_size] for m in theirs.modules() if isinstance(m, nn.Conv2d)]
        assert strides == [[m.stride, m.dilation, m.padding, m.kernel_size] for m in self.modules() if isinstance(m, nn.Conv2d)]

    def taps(self, x):
        x = self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))
        s8 = self.layer2(x)
        s16 = self.layer3(s8)
        return s8, s16, self.layer4(s16)

    def forward(self, x):
        return self.taps(x)[2].mean((2, 3))


def score(channels):
    narrow = channels // 8
    return nn.Sequential(nn.Conv2d(channels, narrow, 3, padding=1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(),
                         nn.Conv2d(narrow, narrow, 3, padding=1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(),
                         nn.Conv2d(narrow, CLASSES, 1))


class Heads(nn.Module):
    def __init__(self, depth, width=WIDTH):
        super().__init__()
        width *= BLOCKS[depth][0].expansion
        self.score8, self.score16, self.score32 = score(2 * width), score(4 * width), score(8 * width)

    def forward(self, taps, size):
        s8, s16, s32 = (head(tap) for head, tap in zip((self.score8, self.score16, self.score32), taps))
        return resized(resized(resized(s32, s16.shape[-2:]) + s16, s8.shape[-2:]) + s8, size)


def resized(x, size):
    return nn.functional.interpolate(x, size=tuple(size), mode="bilinear", align_corners=False)


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).contiguous()


def resize(file, name, from_size, to_size):
    x = ((torch.randn(1, 3, *from_size, dtype=torch.float64) * 16).round() / 16).requires_grad_()
    y = resized(x, to_size)
    dy = (torch.randn_like(y) * 16).round() / 16
    y.backward(dy)
    for key, value in (("x", x), ("y", y), ("dy", dy), ("dx", x.grad)):
        put(file, f"resize/{name}/{key}", nhwc(value), "f4" if key in ("x", "dy") else "f8")


def draw_images(rng, size):
    """Blocks of 4 x 4 pixels of few values: small in a file, and no two alike."""
    coarse = rng.integers(-8, 9, (BATCH, 3, size[0] // 4 + 1, size[1] // 4 + 1)) / 8
    return torch.from_numpy(coarse.repeat(4, 2).repeat(4, 3)[:, :, :size[0], :size[1]].copy())


def draw_labels(rng, size):
    coarse = rng.integers(-1, CLASSES, (BATCH, size[0] // 8 + 1, size[1] // 8 + 1))
    labels = coarse.repeat(8, 1).repeat(8, 2)[:, :size[0], :size[1]].copy()
    return torch.from_numpy(np.where(labels < 0, 255, labels))


def put_scores(file, group, logits, loss):
    marked = logits.permute(0, 2, 3, 1) if logits.dim() == 4 else logits
    put(file, f"{group}/logits", marks.marks(marked.detach().reshape(-1)))
    put(file, f"{group}/loss", loss.item())


def put_step(file, name, networks, logits, loss):
    loss.backward()
    put_scores(file, name, logits, loss)
    marks.put_marks(file, f"{name}/gradients", marks.gradients_of(networks))
    marks.put_marks(file, f"{name}/after", marks.tensors_of(networks))
    print(f"{name}: loss {loss.item():.6f}")


def classify(file, name, encoder, classifier):
    logits = classifier.fc(encoder(file_images(file, SQUARE)))
    put_step(file, name, {"online": encoder, "classifier": classifier}, logits, nn.functional.cross_entropy(logits, torch.arange(BATCH)))


def segment(file, name, encoder, heads, frozen=False):
    def scored(size):
        logits = heads(encoder.taps(file_images(file, size)), size)
        return logits, nn.functional.cross_entropy(logits, file_labels(file, size), ignore_index=255)
    if frozen:
        encoder.eval().requires_grad_(False)
    logits, loss = scored(WIDE)
    correct = (logits.argmax(1) == file_labels(file, WIDE))[file_labels(file, WIDE) != 255].double().mean()
    put(file, f"{name}/correct", correct.item())
    put_step(file, name, {"online": encoder, "fcn": heads}, logits, loss)
    encoder.eval(), heads.eval()
    with torch.no_grad():
        put_scores(file, f"{name}/inference", *scored(ODD))


# ---- whole steps ----

def drawn(name, count):
    """`count` numbers of -1 to 1 that depend on the name alone: FNV-1a of its bytes, then of each place's. Exact wherever it is computed."""
    state = np.uint32(2166136261)
    with np.errstate(over="ignore"):
        for byte in name.encode():
            state = (state ^ np.uint32(byte)) * np.uint32(16777619)
        values = np.full(count, state, np.uint32)
        place = np.arange(count, dtype=np.uint32)
        for shift in (0, 8, 16, 24):
            values = (values ^ (place >> np.uint32(shift) & np.uint32(255))) * np.uint32(16777619)
        values ^= values >> np.uint32(15)
    return values.astype(np.float64) / 2 ** 31 - 1


def formed(networks, seed):
    """Every parameter and running statistic from its name, in f32: weights by fan in, norms and biases that do not hide an error."""
    for network, module in networks.items():
        for name, values in module.state_dict().items():
            if name.endswith("num_batches_tracked"):
                continue
            plain = drawn(f"{seed}/{network}/{name}", values.numel())
            if values.dim() > 1:
                plain *= np.sqrt(6 / (values.numel() / len(values)))
            elif name.endswith(("running_var", "weight")):
                plain = (1 if name.endswith("var") else 0.5) * (1 + plain / 4)
            else:
                plain /= 4
            shape = [values.shape[axis] for axis in ((0, 2, 3, 1) if values.dim() == 4 else range(values.dim()))]
            tensor = torch.from_numpy(plain.astype("f4").reshape(shape))
            values.copy_(tensor.permute(0, 3, 1, 2) if values.dim() == 4 else tensor)
    return networks


def three_steps(file, seed, dtype, layout, autocast):
    """Losses of three steps on the same images, and the gradient of the first."""
    networks = formed({"online": Encoder(18, width=WHOLE_WIDTH), "fcn": Heads(18, WHOLE_WIDTH)}, seed)
    networks = {name: module.to(dtype).to(memory_format=layout).train() for name, module in networks.items()}
    optimizer = torch.optim.SGD([p for module in networks.values() for p in module.parameters()], lr=LEARNING_RATE, momentum=0.9)
    images, losses, gradients = file_images(file, WIDE).to(dtype).contiguous(memory_format=layout), [], None
    for _ in range(spread.STEPS):
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = networks["fcn"](networks["online"].taps(images), WIDE)
            loss = nn.functional.cross_entropy(logits, file_labels(file, WIDE), ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        gradients = gradients or {name: g.double() for name, g in marks.gradients_of(networks).items()}
        optimizer.step()
    return losses, gradients


def file_images(file, size):
    return torch.from_numpy(file[f"images/{size[0]}x{size[1]}"][()]).double().permute(0, 3, 1, 2)


def file_labels(file, size):
    return torch.from_numpy(file[f"labels/{size[0]}x{size[1]}"][()]).long()


def put_start(file, networks):
    for name, (network, module) in networks.items():
        marks.put_tensors(file, f"start/{name}", marks.tensors_of({network: marks.stir(module, bits=2)}))
    return {name: {key: value.clone() for key, value in module.state_dict().items()} for name, (_, module) in networks.items()}


def prepared(module, start):
    module.load_state_dict(start)
    return module.double().train()


def make(path):
    torch.set_num_threads(1)
    torch.manual_seed(6)
    rng = np.random.default_rng(6)
    with marks.open_file(path) as file:
        for name, value in (("width", WIDTH), ("batch", BATCH), ("classes", CLASSES)):
            put(file, f"options/{name}", value)
        for name, sizes in SIZES.items():
            resize(file, name, *sizes)
        for size in (SQUARE, WIDE, ODD):
            file.create_dataset(f"images/{size[0]}x{size[1]}", data=nhwc(draw_images(rng, size)).numpy().astype("f4"), track_times=False,
                                compression="gzip", compression_opts=9, shuffle=True, chunks=(BATCH, *size, 3))
            file.create_dataset(f"labels/{size[0]}x{size[1]}", data=draw_labels(rng, size).numpy().astype("u1"), track_times=False,
                                compression="gzip", compression_opts=9, chunks=(BATCH, *size))
        classifier = nn.Module()
        classifier.fc = nn.Linear(8 * WIDTH * Bottleneck.expansion, BATCH)
        start = put_start(file, {"resnet18": ("online", Encoder(18)), "resnet50": ("online", Encoder(50)),
                                 "classifier": ("classifier", classifier), "fcn18": ("fcn", Heads(18)), "fcn50": ("fcn", Heads(50))})
        start |= put_start(file, {"resnet34": ("online", Encoder(34)), "fcn34": ("fcn", Heads(34))}) # last: the others' draws stay
        for name, dilate in (("resnet50", (False, False, False)), ("resnet50_dilated", (False, True, True))):
            fresh = nn.Module()
            fresh.fc = nn.Linear(8 * WIDTH * Bottleneck.expansion, BATCH)
            classify(file, name, prepared(Encoder(50, dilate), start["resnet50"]), prepared(fresh, start["classifier"]))
        for name, depth, frozen in (("fcn_resnet18", 18, False), ("fcn_resnet34", 34, False), ("fcn_resnet50", 50, False),
                                    ("fcn_frozen", 18, True)):
            segment(file, name, prepared(Encoder(depth), start[f"resnet{depth}"]), prepared(Heads(depth), start[f"fcn{depth}"]), frozen)
        for name, value in (("width", WHOLE_WIDTH), ("lr", LEARNING_RATE)):
            put(file, f"whole/{name}", value)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spread", metavar="FILE")
    parser.add_argument("--distances", metavar="FILE", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.distances:
        with h5py.File(arguments.distances) as file:
            spread.print_distances(lambda *draw: three_steps(file, *draw), WHOLE_SEEDS)
        return
    path = arguments.spread or os.path.join(FOLDER, "segmentation.h5")
    if not arguments.spread:
        make(path)
    spread.put_spread(path, "whole", os.path.abspath(__file__))


if __name__ == "__main__":
    main()
