"""How far PyTorch in bf16 autocast is from f64 on whole steps: on several draws (other weights, or other images), in every memory format
and on every instruction set of oneDNN's that this machine can be kept to. tests/rigs/golden_spread.h judges by it.

    python SCRIPT --spread FILE    # where SCRIPT keeps such a spread: measures it once more, and leaves the rest of FILE as it is

One distance is luck: from the same weights of FCN-8s the furthest variant's third loss is 5 times as far as the nearest's, in the median of
32 draws. oneDNN reads a cap once, hence a process each.
"""
import json
import os
import statistics
import subprocess
import sys

import h5py
import numpy as np
import torch

STEPS = 3
FLAGS = {"AVX2": "avx2", "AVX512_CORE": "avx512bw", "AVX512_CORE_BF16": "avx512_bf16", "AVX512_CORE_AMX": "amx_bf16"}
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}


def nmse(gradients, truth):
    return (sum(float(((gradients[n] - truth[n]) ** 2).sum()) for n in truth) / sum(float((truth[n] ** 2).sum()) for n in truth))


def print_distances(three_steps, draws):
    """three_steps(draw, dtype, layout, autocast): the losses of three steps and the gradient of the first."""
    torch.set_num_threads(1)
    losses, distances = [], {name: [] for name in LAYOUTS}
    for draw in range(draws):
        exact, truth = three_steps(draw, torch.float64, torch.contiguous_format, False)
        losses.append(exact)
        for name, layout in LAYOUTS.items():
            rounded, gradients = three_steps(draw, torch.float32, layout, True)
            distances[name].append([nmse(gradients, truth), *(abs(a - b) for a, b in zip(rounded, exact))])
    print(json.dumps({"losses": losses, "distances": distances}))


def put_spread(path, group, script):
    """Replaces {group}/losses [draws, 3] in f64, /variants, and /distances [variants, draws, 4]: of the first step's gradient (NMSE), and of
    three losses."""
    with open("/proc/cpuinfo") as file:
        flags = set(file.read().split())
    losses, names, distances = None, [], []
    for cap in (cap for cap, flag in FLAGS.items() if flag in flags):
        output = subprocess.run([sys.executable, script, "--distances", path], env={**os.environ, "ONEDNN_MAX_CPU_ISA": cap},
                                stdout=subprocess.PIPE, check=True).stdout
        measured = json.loads(output)
        losses = losses or measured["losses"]
        assert np.abs(np.array(losses) - measured["losses"]).max() < 1e-11
        for name, values in measured["distances"].items():
            names.append(f"{cap.lower()} {name}")
            distances.append(values)
            print(names[-1], *("{:.3g}".format(statistics.median(column)) for column in zip(*values)), "(medians)", flush=True)
    with h5py.File(path, "r+", libver="v110") as file:
        for name, values in (("losses", losses), ("variants", np.array(names, dtype="S")), ("distances", distances)):
            if f"{group}/{name}" in file:
                del file[f"{group}/{name}"]
            file.create_dataset(f"{group}/{name}", data=values, track_times=False)
