"""Views per second of the blog's recipe on 32 pixels, torchvision.transforms.v2 and byolab, on one thread each.

Needs torch and torchvision, and byolab's libraries: `python tests/peers/views.py BUILD_FOLDER [--pairs 5]`. Both start from
bytes in memory. torchvision gets one float tensor (3, 32, 32) an image, as the blog's DataLoader workers do; byolab fills
whole batches through its loader, with one thread. The two take turns; the last line has the medians and the ratios.
"""
import argparse
import ctypes as c
import sys
import time

import torch
import torchvision
from torchvision.transforms import v2

import turns

torch.set_num_threads(1)
SCALE, RATIO, JITTER, SIGMA = (0.08, 1.0), (3 / 4, 4 / 3), (0.8, 0.8, 0.8, 0.2), (0.1, 2.0)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COUNT = 1024

peer = v2.Compose([
    v2.RandomResizedCrop((32, 32), scale=SCALE, ratio=RATIO, antialias=True),
    v2.RandomHorizontalFlip(0.5),
    v2.RandomApply([v2.ColorJitter(*JITTER)], p=0.8),
    v2.RandomApply([v2.GaussianBlur(3, SIGMA)], p=0.5),
    v2.RandomGrayscale(0.2),
    v2.Normalize(MEAN, STD),
])


class Options(c.Structure):  # bl_dataset_options
    _fields_ = [("name", c.c_char_p), ("root", c.c_char_p), ("seed", c.c_uint64), ("train", c.c_int), ("test", c.c_int),
                ("validation", c.c_int), ("split_seed", c.c_uint64), ("limit", c.c_int), ("scene_splits", c.c_uint), ("crop", c.c_int),
                ("width", c.c_int), ("height", c.c_int), ("labelled", c.c_bool)]


class Transform(c.Structure):  # bl_transform
    _fields_ = [("kind", c.c_int), ("p", c.c_double), ("size", c.c_int), ("scale", c.c_double * 2), ("ratio", c.c_double * 2),
                ("antialias", c.c_bool), ("interpolation", c.c_int), ("resize", c.c_int), ("threshold", c.c_double),
                ("brightness", c.c_double), ("contrast", c.c_double), ("saturation", c.c_double), ("hue", c.c_double), ("rule", c.c_int),
                ("kernel", c.c_int), ("sigma", c.c_double * 2), ("mean", c.c_double * 3), ("std", c.c_double * 3)]


class Recipe(c.Structure):  # bl_recipe
    _fields_ = [("items", Transform * 12), ("count", c.c_int)]


def recipe():
    items = [
        Transform(kind=0, p=1, size=32, scale=SCALE, ratio=RATIO, antialias=True),
        Transform(kind=1, p=0.5),
        Transform(kind=2, p=0.8, brightness=JITTER[0], contrast=JITTER[1], saturation=JITTER[2], hue=JITTER[3]),
        Transform(kind=4, p=0.5, kernel=3, sigma=SIGMA),
        Transform(kind=3, p=0.2),
        Transform(kind=7, p=1, mean=MEAN, std=STD),
    ]
    return Recipe((Transform * 12)(*items), len(items))


class Ours:
    def __init__(self, folder):
        base = c.CDLL(f"{folder}/lib/libbyolab_base.so", mode=c.RTLD_GLOBAL)
        self.library = c.CDLL(f"{folder}/lib/libbyolab_datasets.so")
        base.bl_error.restype = c.c_char_p
        self.error = base.bl_error
        dataset, self.loader, self.recipe = c.c_void_p(), c.c_void_p(), recipe()
        self.check(self.library.bl_dataset_open(c.byref(dataset), c.byref(Options(name=b"shapes", train=COUNT, test=10))))
        self.check(self.library.bl_view_loader_create(c.byref(self.loader), dataset, 0, c.byref(self.recipe), 1, c.c_uint64(0), 1, 1))
        self.library.bl_dataset_image.restype = c.POINTER(c.c_uint8 * (COUNT * 3072))
        pixels = self.library.bl_dataset_image(dataset, 0, c.c_int64(0)).contents
        self.images = torch.frombuffer(pixels, dtype=torch.uint8).reshape(COUNT, 32, 32, 3).permute(0, 3, 1, 2).contiguous()
        self.order, self.views = (c.c_uint32 * COUNT)(*range(COUNT)), (c.c_float * (COUNT * 3072))()

    def check(self, status):
        if status:
            sys.exit(self.error().decode())

    def epoch(self, number):
        self.check(self.library.bl_loader_submit(self.loader, 0, self.order, COUNT, number, self.views, None))
        self.check(self.library.bl_loader_wait(self.loader, 0))


def seconds(work):
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--pairs", type=int, default=5)
    a = parser.parse_args()
    ours = Ours(a.build)
    to_float = v2.ToDtype(torch.float32, scale=True)
    rates = []
    with turns.queue_paused():
        for turn in range(a.pairs + 1):
            rates.append((8 * COUNT / seconds(lambda: [ours.epoch(10 * turn + i) for i in range(8)]),
                          COUNT / seconds(lambda: [peer(to_float(image)) for image in ours.images])))
    what = "the blog's views, 32 px, one core"
    print(turns.figure(what, f"torchvision {torchvision.__version__}", "views", rates[1:]))  # the first warmed up


if __name__ == "__main__":
    main()
