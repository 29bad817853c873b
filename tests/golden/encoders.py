"""What torchvision's encoders hold, for tests/graph/test_encoders.c: a group an encoder of the table in harness/graph/encoders.h.

    python encoders.py    # remakes encoders.h5 beside this file

<encoder>/names, <encoder>/shapes [n, 4]: parameters and running statistics of torchvision's own network without its classifier, in the
    order of its state_dict; convolutions OIHW, a shape of fewer dimensions with zeros behind.
Needs torch, torchvision, numpy and h5py (made with 2.15.0, 0.29.2, 2.4.6, 3.16.0).
"""
import os

import torchvision

from marks import open_file, put_names
from step import put

ENCODERS = ["resnet18", "resnet34", "resnet50"]


def main():
    with open_file(os.path.join(os.path.dirname(os.path.abspath(__file__)), "encoders.h5")) as file:
        for name in ENCODERS:
            tensors = {key: list(values.shape) for key, values in getattr(torchvision.models, name)().state_dict().items()
                       if not key.startswith("fc.") and not key.endswith("num_batches_tracked")}
            put_names(file, f"{name}/names", list(tensors))
            put(file, f"{name}/shapes", [shape + [0] * (4 - len(shape)) for shape in tensors.values()], "i4")


if __name__ == "__main__":
    main()
