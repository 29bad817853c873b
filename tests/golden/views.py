"""Writes views.h5 beside itself: inputs and outputs of torchvision.transforms.v2.functional at fixed parameters.

Needs torch, torchvision, numpy and h5py. tests/datasets/test_views.c compares datasets/ with what stands in the file.
"""
import pathlib

import h5py
import numpy as np
import torch
import torchvision
import torchvision.transforms.v2.functional as F

SIZE = 20


def image():
    """Smooth colours and noise; rows of grays, pure colours, ties between channels, and the ends of the range."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[0:SIZE, 0:SIZE] / (SIZE - 1)
    planes = np.stack([x, y, 0.5 + 0.5 * np.sin(9 * x + 5 * y)]) * 0.7 + 0.3 * random.random((3, SIZE, SIZE))
    levels = [0, 0.25, 0.5, 1]
    corners = np.array([[r, g, b] for r in levels for g in levels for b in levels])  # every tie and every sector of hue
    planes[:, :3, :] = corners[:3 * SIZE].T.reshape(3, 3, SIZE)
    planes[:, 3, :] = np.linspace(0, 1, SIZE)  # grays
    return torch.from_numpy(planes.astype(np.float32))


def main():
    src = image()
    crops = [  # top, left, height, width, out, antialias
        (0, 0, 20, 20, 20, 1), (0, 0, 20, 20, 32, 1), (3, 5, 9, 12, 20, 1), (3, 5, 9, 12, 20, 0), (19, 19, 1, 1, 8, 1),
        (2, 0, 18, 7, 16, 1), (2, 0, 18, 7, 16, 0), (0, 0, 20, 20, 7, 1), (0, 0, 20, 20, 7, 0), (1, 2, 17, 11, 12, 1),
        (1, 2, 17, 11, 12, 0),
    ]
    cubic_crops = [(0, 0, 20, 20, 20, 1), (0, 0, 20, 20, 27, 0), (3, 5, 9, 12, 13, 1), (3, 5, 9, 12, 13, 0), (0, 0, 20, 20, 7, 1),
                   (0, 0, 20, 20, 7, 0), (2, 1, 18, 3, 9, 1), (2, 1, 18, 3, 9, 0), (19, 0, 1, 1, 4, 1), (19, 0, 1, 1, 4, 0)]
    center_crops = [(0, 8, "bilinear"), (0, 7, "bilinear"), (27, 14, "bilinear"), (13, 8, "bicubic")]  # resize, size
    blurs = [(3, 0.1), (3, 0.7), (3, 2.0), (5, 1.3), (23, 2.0)]
    thresholds = [0.25, 1]
    factors = [0, 0.2, 0.77, 1, 1.45, 1.8]
    turns = [-0.5, -0.2, -0.013, 0, 0.09, 0.2, 0.5]
    with h5py.File(pathlib.Path(__file__).with_suffix(".h5"), "w") as file:
        file.attrs["torch"], file.attrs["torchvision"] = str(torch.__version__), str(torchvision.__version__)

        def write(name, value):
            value = np.asarray(value)  # compressed where that saves more than a chunk's index costs
            file.create_dataset(name, data=value, compression="gzip" if value.nbytes > 8192 else None, track_times=False)

        write("image", src)
        write("crop/parameters", np.array(crops, dtype=np.int32))
        for i, (top, left, height, width, out, antialias) in enumerate(crops):
            write(f"crop/{i}", F.resized_crop(src, top, left, height, width, [out, out], antialias=bool(antialias)))
        write("cubic/parameters", np.array(cubic_crops, dtype=np.int32))
        for i, (top, left, height, width, out, antialias) in enumerate(cubic_crops):
            write(f"cubic/{i}", F.resized_crop(src, top, left, height, width, [out, out], F.InterpolationMode.BICUBIC, bool(antialias)))
        write("center/parameters", np.array([(resize, size, mode == "bicubic") for resize, size, mode in center_crops], dtype=np.int32))
        for i, (resize, size, mode) in enumerate(center_crops):
            resized = F.resize(src, [resize, resize], F.InterpolationMode(mode), antialias=True) if resize else src
            write(f"center/{i}", F.center_crop(resized, [size, size]))
        write("solarize/parameters", np.array(thresholds))
        write("solarize/out", torch.stack([F.solarize(src, t) for t in thresholds]))
        write("blur/parameters", np.array(blurs))
        write("blur/out", torch.stack([F.gaussian_blur(src, [k, k], [s, s]) for k, s in blurs]))
        for name, adjust, values in [("brightness", F.adjust_brightness, factors), ("contrast", F.adjust_contrast, factors),
                                     ("saturation", F.adjust_saturation, factors), ("hue", F.adjust_hue, turns)]:
            write(f"{name}/parameters", np.array(values))
            write(f"{name}/out", torch.stack([adjust(src, v) for v in values]))
        write("grayscale", F.rgb_to_grayscale(src, 3))
        write("flip", F.horizontal_flip(src))
        mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
        write("normalize", F.normalize(src, mean, std))


main()
