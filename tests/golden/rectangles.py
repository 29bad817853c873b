"""Writes rectangles.h5 beside itself: what torchvision.transforms.v2.functional makes of images that are not square.

Needs torch, torchvision, numpy and h5py. tests/datasets/test_view_rectangles.c compares datasets/ with what stands in the file.
"""
import pathlib

import h5py
import numpy as np
import torch
import torchvision
import torchvision.transforms.v2.functional as F

WIDE = (11, 24)  # height, width


def main():
    random = np.random.default_rng(6)
    y, x = np.mgrid[0:WIDE[0], 0:WIDE[1]] / 11
    wide = np.stack([x / 3, y, 0.5 + 0.5 * np.sin(5 * x + 3 * y)]) * 0.6 + 0.3 * random.random((3, *WIDE))
    wide = torch.from_numpy((np.rint(255 * wide) / 255).astype(np.float32))  # what bytes can say
    images = [wide, wide.transpose(1, 2).contiguous()]
    # Of the wide one: top, left, height, width, out, antialias.
    crops = [(0, 0, 11, 11, 8, 1), (1, 9, 9, 15, 13, 1), (1, 9, 9, 15, 5, 0), (10, 3, 1, 20, 30, 1)]
    centers = [(0, 8), (0, 11), (7, 7), (7, 4), (17, 16)]  # resize, size
    blurs = [(3, 0.7), (21, 2.0)]
    with h5py.File(pathlib.Path(__file__).with_suffix(".h5"), "w") as file:
        file.attrs["torch"], file.attrs["torchvision"] = str(torch.__version__), str(torchvision.__version__)

        def write(name, value):
            file.create_dataset(name, data=np.asarray(value), track_times=False)

        write("wide", wide)
        write("crop/parameters", np.array(crops, dtype=np.int32))
        write("center/parameters", np.array(centers, dtype=np.int32))
        write("blur/parameters", np.array(blurs))
        for k, image in enumerate(images):  # the second one stands upright, and so do its boxes
            for i, (top, left, height, width, out, antialias) in enumerate(crops):
                box = (top, left, height, width) if k == 0 else (left, top, width, height)
                write(f"crop/{k}/{i}", F.resized_crop(image, *box, [out, out], antialias=bool(antialias)))
            for i, (resize, size) in enumerate(centers):
                resized = F.resize(image, [resize], antialias=True) if resize else image
                write(f"center/{k}/{i}", F.center_crop(resized, [size, size]))
            for i, (kernel, sigma) in enumerate(blurs):
                write(f"blur/{k}/{i}", F.gaussian_blur(image, [kernel, kernel], [sigma, sigma]))
            write(f"flip/{k}", F.horizontal_flip(image))


if __name__ == "__main__":
    main()
