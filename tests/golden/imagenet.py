"""Golden values of ImageNet's stem by PyTorch in f64, for tests/graph/test_golden_imagenet.c.

    python imagenet.py           # remakes imagenet.h5 beside this file (seconds)

max_pool/...: torch.nn.functional.max_pool2d of images behind a ReLU and rounded, so that about half of the windows hold their largest
    value more than once: y, and dx of a random dy.
step/...: torchvision's ResNet-18 with its own stem (7x7 with stride 2, max pooling), 4 channels wide, and a linear classifier on two
    images of 64 pixels, one a class: loss and logits in training, every gradient and all running statistics behind that as marks
    (marks.py), then the features under the running statistics.
Needs torch, torchvision, numpy and h5py (made with 2.15.0, 0.29.2, 2.4.6, 3.16.0).
"""
import os

import numpy as np
import torch
import torch.nn as nn
import torchvision

import marks
from step import Encoder, draw_images, put

FOLDER = os.path.dirname(os.path.abspath(__file__))
WIDTH, SIZE, BATCH = 4, 64, 2

POOLS = {"stem": dict(shape=(2, 5, 12, 10), kernel=3, stride=2, padding=1),
         "odd_sizes": dict(shape=(2, 3, 9, 7), kernel=3, stride=2, padding=1),
         "side_by_side": dict(shape=(1, 4, 8, 6), kernel=2, stride=2, padding=0),
         "every_pixel": dict(shape=(1, 3, 6, 7), kernel=3, stride=1, padding=1)}


class ImageNetEncoder(Encoder):
    def __init__(self, width):
        super().__init__(width)
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.maxpool = nn.MaxPool2d(3, 2, 1)


def nhwc(tensor):
    return tensor.detach().permute(0, 2, 3, 1).contiguous()


def pool(file, name, shape, kernel, stride, padding):
    x = torch.randn(shape, dtype=torch.float64).relu().round()
    results = []
    for memory_format in (torch.contiguous_format, torch.channels_last):
        leaf = x.clone(memory_format=memory_format).requires_grad_()
        y = nn.functional.max_pool2d(leaf, kernel, stride, padding)
        dy = dy if results else (torch.randn_like(y) * 16).round() / 16
        y.backward(dy)
        results.append((y.detach(), leaf.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results)), "the two memory layouts route ties alike"
    windows = nn.functional.pad(x, (padding,) * 4, value=-torch.inf).unfold(2, kernel, stride).unfold(3, kernel, stride)
    tied = ((windows == windows.amax((4, 5), keepdim=True)).sum((4, 5)) > 1).double().mean().item()
    assert tied > 0.3
    for key, value in (("x", x), ("y", results[0][0]), ("dy", dy), ("dx", results[0][1])):
        put(file, f"max_pool/{name}/{key}", nhwc(value), "f4")  # exact: few bits, few terms
    print(f"{name}: {x.shape} -> {y.shape}, {tied:.0%} of the windows hold their largest value more than once")


def step(file):
    encoder, classifier = marks.stir(ImageNetEncoder(WIDTH), bits=4), nn.Module()
    theirs = {name for name in torchvision.models.resnet18().state_dict() if not name.startswith("fc.")}
    assert set(encoder.state_dict()) == theirs and torchvision.models.resnet18().conv1.weight.shape[2:] == encoder.conv1.weight.shape[2:]
    classifier.fc = nn.Linear(8 * WIDTH, BATCH)
    marks.stir(classifier)
    networks = {"online": encoder.double().train(), "classifier": classifier.double()}
    images = torch.from_numpy(draw_images(np.random.default_rng(8), BATCH, SIZE)[0] * 8).round() / 8
    put(file, "step/images", nhwc(images), "f4")
    marks.put_tensors(file, "step/start", marks.tensors_of(networks))
    logits = classifier.fc(encoder(images))
    loss = nn.functional.cross_entropy(logits, torch.arange(BATCH))
    loss.backward()
    put(file, "step/logits", logits.detach())
    put(file, "step/loss", loss.item())
    marks.put_marks(file, "step/gradients", marks.gradients_of(networks))
    marks.put_marks(file, "step/after", marks.tensors_of(networks))
    with torch.no_grad():
        put(file, "step/features", encoder.eval()(images))
    print(f"step: loss {loss.item():.6f}")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(8)
    with marks.open_file(os.path.join(FOLDER, "imagenet.h5")) as file:
        for name, value in (("width", WIDTH), ("size", SIZE), ("batch", BATCH)):
            put(file, f"options/{name}", value)
        for name, options in POOLS.items():
            pool(file, name, **options)
        step(file)


if __name__ == "__main__":
    main()
