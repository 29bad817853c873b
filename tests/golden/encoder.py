"""A golden encoder in a safetensors file, and the check of an exported one by torchvision.

    python encoder.py            # remakes encoder.safetensors and encoder.h5 beside this file
    python encoder.py --check FILE.safetensors RUN.h5 CIFAR [--rows N]   # loads an export strictly, compares its features with the run's

encoder.safetensors: the whole state_dict of a torchvision ResNet-18 with the CIFAR stem, 4 channels wide, as torch saves one: OIHW, f32,
    num_batches_tracked as i64 scalars, a classifier (fc) that an encoder does not need; metadata mean, std, image_size, resize.
encoder.h5: /images [6, 16, 16, 3] as the network gets them and /features [6, 32] in f64, with running statistics. The weights are those
    of the file, which are exact in f32. tests/weights/test_weights.c reads both.
--check: CIFAR is the folder of test_batch.bin. An export of width 64 goes into torchvision.models.resnet18 itself (3x3 stem, no pooling),
    another into the same class at its width, with load_state_dict(strict=True); the classifier is left out. Images go through the mean and
    std of the file's metadata; the features of the run's file, /features/test (the first N with --rows), must agree to 1e-5 of
    each image's length. Exit status 1 if not.
Needs torch, torchvision, numpy and h5py (made with 2.15.0, 0.29.2, 2.4.6, 3.16.0).
"""
import argparse
import json
import os
import sys

import h5py
import numpy as np
import torch
import torch.nn as nn
import torchvision

from marks import open_file, stir
from step import Encoder, draw_images, put

FOLDER = os.path.dirname(os.path.abspath(__file__))
DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}


def write_safetensors(path, tensors, metadata):
    header, blob = {"__metadata__": metadata}, b""
    for name, tensor in tensors.items():
        dtype, kind = ("I64", "<i8") if tensor.dtype == torch.int64 else ("F32", "<f4")
        data = tensor.detach().numpy().astype(kind).tobytes()
        header[name] = {"dtype": dtype, "shape": list(tensor.shape), "data_offsets": [len(blob), len(blob) + len(data)]}
        blob += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text + blob)


def read_safetensors(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        blob = file.read()
    metadata, tensors = header.pop("__metadata__", {}), {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        tensors[name] = torch.from_numpy(np.frombuffer(blob[begin:end], DTYPES[entry["dtype"]]).reshape(entry["shape"]).copy())
    return tensors, metadata


def make():
    torch.manual_seed(6)
    encoder = stir(Encoder(4), bits=24)
    encoder.fc = nn.Linear(32, 10)
    for name, values in encoder.named_buffers():
        if name.endswith("num_batches_tracked"):
            values.fill_(7)
    write_safetensors(os.path.join(FOLDER, "encoder.safetensors"), encoder.state_dict(),
                      {"format": "pt", "mean": "0.4914 0.4822 0.4465", "std": "0.247 0.2435 0.2616", "image_size": "16", "resize": "none"})
    images = draw_images(np.random.default_rng(6), 6, 16)[0]
    encoder.fc = nn.Identity()
    with torch.no_grad():
        features = encoder.double().eval()(torch.from_numpy(images))
    with open_file(os.path.join(FOLDER, "encoder.h5")) as file:
        put(file, "images", images.transpose(0, 2, 3, 1), "f4")
        put(file, "features", features)


def cifar_test_images(folder, count):
    records = np.fromfile(os.path.join(folder, "test_batch.bin"), np.uint8).reshape(-1, 1 + 3 * 32 * 32)[:count]
    return torch.from_numpy(records[:, 1:].reshape(-1, 3, 32, 32).copy()).double() / 255


def network_for(width):
    if width != 64:
        return Encoder(width)
    network = torchvision.models.resnet18()
    network.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    network.maxpool = network.fc = nn.Identity()
    return network


def check(weights_path, run_path, cifar, rows):
    tensors, metadata = read_safetensors(weights_path)
    tensors = {name: values for name, values in tensors.items() if not name.startswith("fc.")}
    network = network_for(tensors["conv1.weight"].shape[0])
    network.load_state_dict(tensors, strict=True)
    with h5py.File(run_path) as file:
        theirs = torch.from_numpy(file["features/test"][:rows].astype("f8"))
    mean, std = (torch.tensor([float(x) for x in metadata[key].split()], dtype=torch.float64)[:, None, None] for key in ("mean", "std"))
    images = (cifar_test_images(cifar, len(theirs)) - mean) / std
    network.double().eval()
    with torch.no_grad():
        ours = torch.cat([network(some) for some in images.split(250)])
    errors = ours - theirs
    worst, value = (errors.norm(dim=1) / ours.norm(dim=1)).max().item(), (errors.abs().max() / ours.square().mean().sqrt()).item()
    print(f"{len(ours)} images, {len(tensors)} tensors loaded strictly: an image's features differ by {worst:.3g} of their length at most, "
          f"a value by {value:.3g} of all features' RMS")
    return worst <= 1e-5


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", nargs=3, metavar=("FILE.safetensors", "RUN.h5", "CIFAR"))
    parser.add_argument("--rows", type=int)
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(0 if check(*arguments.check, arguments.rows) else 1)
    make()
