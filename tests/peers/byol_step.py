"""PyTorch's BYOL step beside byolab's, taking turns on one machine: the ratios that the README states.

Both do the same work: a ResNet of torchvision (with the CIFAR stem at 32 pixels), heads 4096 / 256 with batch norm, two views of a
batch through the online network (forward and backward) and the target (forward), the symmetric loss of crossed views, SGD with
momentum and weight decay, EMA of the target. Views are ready in memory; loading and augmentation are outside the timed window.

    python byol_step.py build/byolab [--precision f32 bf16] [--pairs 5] [--batch 64]
    python byol_step.py build/byolab --encoder resnet50 --size 224 --batch 16
    python byol_step.py build/byolab --device cuda --precision bf16 --batch 512 --kinds eager compiled
    python byol_step.py build/byolab --device cuda --precision bf16 --batch 256 --size 224 --kinds eager compiled

Needs torch and torchvision. byolab and each kind of PyTorch (eager, compiled by torch.compile) are a process each, started at once, which
measures, warm, when it is its turn. byolab's figure is that of its median step. So is PyTorch's on a CPU; on a GPU it is all steps
of a turn with one wait at their end, so that Python runs ahead as it does in training (byolab's steps come one ahead too, and
bring their batch from the host). bf16 is autocast, f32 is f32 (tf32: TF32, as byolab's), memory is channels_last, cuDNN
picks PyTorch's convolutions by timing. The last lines are a kind's each: the medians, and on a CPU each process's peak memory (turns.py).
"""
import os
import sys
import time

import turns

EXPERIMENTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../experiments/bench")
KINDS = ["eager", "compiled"]
BACKENDS = {"cpu": "onednn", "cuda": "cudnn"}


# ---- PyTorch: one process, a line "images per second" for each line it reads ----

def pytorch_step(a, torch):
    import copy

    import torchvision
    from torch import nn

    def head(inputs):
        return nn.Sequential(nn.Linear(inputs, 4096), nn.BatchNorm1d(4096), nn.ReLU(inplace=True), nn.Linear(4096, 256))

    torch.manual_seed(0)
    device = torch.device(a.device)
    encoder = getattr(torchvision.models, a.encoder)()
    features = encoder.fc.in_features
    encoder.fc = nn.Identity()
    if a.size == 32:
        encoder.conv1, encoder.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
    online = nn.Sequential(encoder, head(features)).to(device, memory_format=torch.channels_last)
    target = copy.deepcopy(online).requires_grad_(False)
    predictor = head(256).to(device)
    trained = list(online.parameters()) + list(predictor.parameters())
    optimizer = torch.optim.SGD(trained, lr=0.03, momentum=0.9, weight_decay=5e-4)
    views = [torch.randn(a.batch, 3, a.size, a.size, device=device).contiguous(memory_format=torch.channels_last) for _ in range(2)]

    def distance(p, z):
        return (2 - 2 * nn.functional.cosine_similarity(p.float(), z.float(), dim=-1)).mean()

    def loss_of(first, second):
        predictions = [predictor(online(view)) for view in (first, second)]
        with torch.no_grad():
            projections = [target(view) for view in (first, second)]
        return distance(predictions[0], projections[1]) + distance(predictions[1], projections[0])

    if a.kind == "compiled":
        loss_of = torch.compile(loss_of)

    def step():
        with torch.autocast(device.type, torch.bfloat16, enabled=a.precision[0] == "bf16"):
            loss = loss_of(*views)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(list(target.parameters()), list(online.parameters()), 0.01)

    return step


def serve_pytorch(a):
    import torch

    if a.threads:
        torch.set_num_threads(a.threads)
    on_gpu = a.device == "cuda"
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = a.precision[0] != "f32"
    step = pytorch_step(a, torch)

    def mean_of_all():
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(a.steps):
            step()
        torch.cuda.synchronize()
        return (time.perf_counter() - start) / a.steps

    turns.serve(step, a.batch, 10 if on_gpu else 3, mean_of_all if on_gpu else lambda: turns.median_of_steps(step, a.steps),
                torch.__version__)


# ---- both sides ----

def pytorch(a, kind, precision):
    return turns.Side(f"PyTorch {kind}", [sys.executable, os.path.abspath(__file__), "--serve", kind, "--precision", precision, "--device",
                                          a.device, "--encoder", a.encoder, "--size", a.size, "--batch", a.batch, "--steps", a.steps,
                                          "--threads", a.threads])


def measure(a, precision):
    experiment = os.path.join(EXPERIMENTS, "pytorch_step.yaml" if a.size == 32 else "pytorch_step_224.yaml")
    peers = [pytorch(a, kind, precision) for kind in a.kinds]
    ours = turns.byolab(a, precision, experiment, ["--backend", BACKENDS[a.device]], {"train.batch": a.batch})
    what = f"BYOL step, {a.encoder}, {a.size} px, batch {a.batch}, {precision}"
    turns.compare(what, ours, peers, a.pairs, seconds=a.seconds, with_memory=a.device == "cpu")


def main():
    parser = turns.parser_of(__doc__, KINDS)
    parser.add_argument("--device", default="cpu", choices=BACKENDS)
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16"], choices=["f32", "tf32", "bf16"])
    parser.add_argument("--kinds", nargs="+", default=["eager"], choices=KINDS)
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--size", type=int, default=32, choices=[32, 224])
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=6, help="timed in a turn")
    parser.add_argument("--seconds", type=float, default=0, help="no further pair that would end after this many (0: all pairs)")
    parser.add_argument("--threads", type=int, default=0, help="of both on the CPU (0: their own choice)")
    turns.run(parser, serve_pytorch, measure)


if __name__ == "__main__":
    main()
