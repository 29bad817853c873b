"""PyTorch's BYOL step beside byolab's, in interleaved pairs on one machine: the ratio that the README states.

Both do the same work: ResNet-18 with the CIFAR stem, heads 4096 / 256 with batch norm, two views of a batch through the online
network (forward and backward) and the target (forward), the symmetric loss of crossed views, SGD with momentum and weight
decay, EMA of the target. Views are ready in memory; loading and augmentation are outside the timed window.

    python byol_step.py build/byolab [--precision f32 bf16] [--pairs 5] [--batch 64]

Needs torch and torchvision. Each figure is the median of the steps of one process; a pair is one process of each, one after
the other; the last line of a precision is the median of the pairs' ratios.
"""
import argparse
import os
import re
import statistics
import subprocess
import sys
import time

EXPERIMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../experiments/bench/pytorch_step.yaml")


def pytorch_images_per_second(precision, batch, steps):
    import copy

    import torch
    import torchvision
    from torch import nn

    def head(inputs):
        return nn.Sequential(nn.Linear(inputs, 4096), nn.BatchNorm1d(4096), nn.ReLU(inplace=True), nn.Linear(4096, 256))

    encoder = torchvision.models.resnet18()
    encoder.conv1, encoder.maxpool, encoder.fc = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity(), nn.Identity()
    online = nn.Sequential(encoder, head(512)).to(memory_format=torch.channels_last)
    target = copy.deepcopy(online).requires_grad_(False)
    predictor = head(256)
    trained = list(online.parameters()) + list(predictor.parameters())
    optimizer = torch.optim.SGD(trained, lr=0.03, momentum=0.9, weight_decay=5e-4)
    views = [torch.randn(batch, 3, 32, 32).contiguous(memory_format=torch.channels_last) for _ in range(2)]

    def distance(p, z):
        return (2 - 2 * nn.functional.cosine_similarity(p.float(), z.float(), dim=-1)).mean()

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            predictions = [predictor(online(view)) for view in views]
            with torch.no_grad():
                projections = [target(view) for view in views]
            loss = distance(predictions[0], projections[1]) + distance(predictions[1], projections[0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 0.01)

    seconds = []
    for i in range(3 + steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return batch / statistics.median(seconds[3:])


def byolab_images_per_second(byolab, precision, batch, steps):
    out = subprocess.run([byolab, "bench", EXPERIMENT, "--brief", "--steps", str(steps), "--set", f"train.precision={precision}",
                          "--set", f"train.batch={batch}"], check=True, capture_output=True, text=True).stdout
    return float(re.search(r"median ([\d.]+) images/s", out).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("byolab", nargs="?", help="the program")
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--pytorch", choices=["f32", "bf16"], help=argparse.SUPPRESS)  # one measurement, in a process of its own
    arguments = parser.parse_args()
    if arguments.pytorch:
        print(pytorch_images_per_second(arguments.pytorch, arguments.batch, arguments.steps))
        return
    if not arguments.byolab:
        parser.error("say where the program is, for example build/byolab")
    for precision in arguments.precision:
        ratios = []
        for pair in range(arguments.pairs):
            peer = float(subprocess.run([sys.executable, __file__, "--pytorch", precision, "--batch", str(arguments.batch), "--steps",
                                         str(arguments.steps)], check=True, capture_output=True, text=True).stdout)
            ours = byolab_images_per_second(arguments.byolab, precision, arguments.batch, arguments.steps)
            ratios.append(ours / peer)
            print(f"{precision} pair {pair + 1}: pytorch {peer:.1f} images/s, byolab {ours:.1f}, ratio {ratios[-1]:.3f}", flush=True)
        print(f"{precision}: median ratio {statistics.median(ratios):.3f}, lowest {min(ratios):.3f}, highest {max(ratios):.3f}", flush=True)


if __name__ == "__main__":
    main()
