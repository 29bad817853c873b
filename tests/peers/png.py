"""Street scenes decoded a second: Pillow, torchvision.io and byolab, on one core each.

Needs torch, torchvision, Pillow and numpy, byolab's libraries, and scenes in Cityscapes' folder format:

    python tests/peers/png.py BUILD_FOLDER data/camvid_cityscapes [--split train] [--scenes 100] [--pairs 5]

All read the same files, which are in memory after the first pass, and end with 8-bit RGB: a NumPy array from Pillow, a tensor of planes
from torchvision, rows of pixels from byolab, which also looks whether a file is still the one that was listed. They take turns; what is
compared is a turn's processor time, so that a machine with other work to do disturbs it little. The last lines have the medians and the
ratios.
"""
import argparse
import ctypes as c
import glob
import os
import sys
import time

import numpy
import PIL
import torch
import torchvision
from PIL import Image
from torchvision.io import read_image

import turns

torch.set_num_threads(1)
SPLITS = ["train", "val", "test", "train_extra"]


class Options(c.Structure):  # bl_scenes_options
    _fields_ = [("format", c.c_void_p), ("root", c.c_char_p), ("splits", c.c_uint), ("labelled", c.c_bool), ("seed", c.c_uint64),
                ("count", c.c_int), ("width", c.c_int), ("height", c.c_int)]


class Scene(c.Structure):  # bl_scene
    _fields_ = [("width", c.c_int), ("height", c.c_int), ("pixels", c.POINTER(c.c_uint8)), ("labels", c.c_void_p), ("capacity", c.c_size_t)]


class Ours:
    def __init__(self, folder, root, split):
        base = c.CDLL(f"{folder}/lib/libbyolab_base.so", mode=c.RTLD_GLOBAL)
        self.library = c.CDLL(f"{folder}/lib/libbyolab_datasets.so")
        base.bl_error.restype = c.c_char_p
        self.error = base.bl_error
        self.scenes, self.scene = c.c_void_p(), Scene()
        cityscapes = c.addressof(c.c_byte.in_dll(self.library, "bl_cityscapes"))
        options = Options(format=cityscapes, root=root.encode(), splits=1 << SPLITS.index(split))
        self.check(self.library.bl_scenes_open(c.byref(self.scenes), c.byref(options)))
        self.library.bl_scenes_name.restype = c.c_char_p

    def check(self, status):
        if status:
            sys.exit(self.error().decode())

    def name(self, index):
        return self.library.bl_scenes_name(self.scenes, c.c_int64(index)).decode()

    def read(self, index):
        self.check(self.library.bl_scenes_read(self.scenes, c.c_int64(index), c.byref(self.scene)))
        return self.scene


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("root")
    parser.add_argument("--split", default="train", choices=SPLITS)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--pairs", type=int, default=5)
    a = parser.parse_args()
    files = sorted(glob.glob(os.path.join(a.root, "leftImg8bit", a.split, "*", "*_leftImg8bit.png")))[:a.scenes]
    ours = Ours(a.build, a.root, a.split)
    peers = {
        f"Pillow {PIL.__version__}": lambda i: numpy.asarray(Image.open(files[i])),
        f"torchvision.io {torchvision.__version__}": lambda i: read_image(files[i]),
    }
    for i in range(len(files)):  # the same pixels of the same files
        theirs = numpy.asarray(Image.open(files[i]))
        scene = ours.read(i)
        assert os.path.basename(files[i]).startswith(os.path.basename(ours.name(i)))
        assert numpy.array_equal(theirs, numpy.ctypeslib.as_array(scene.pixels, theirs.shape))
        assert numpy.array_equal(theirs, read_image(files[i]).permute(1, 2, 0))

    def scenes_a_second(read):
        start = time.process_time()
        for i in range(len(files)):
            read(i)
        return len(files) / (time.process_time() - start)

    rates = {peer: [] for peer in peers}
    with turns.queue_paused():
        for _ in range(a.pairs):
            for peer, read in peers.items():
                rates[peer].append((scenes_a_second(ours.read), scenes_a_second(read)))
    for peer, pairs in rates.items():
        print(turns.figure(f"{len(files)} scenes of {theirs.shape[1]} x {theirs.shape[0]} decoded, one core", peer, "scenes", pairs))


if __name__ == "__main__":
    main()
