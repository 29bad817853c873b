"""PyTorch's FCN-8s training step beside byolab's, taking turns on one machine: the ratios and the memory that the README states.

Both do the same work: torchvision's ResNet without its classifier, FCN-8s heads on the stages at strides 8, 16 and 32 (two 3x3
convolutions C -> C/8 -> C/8 with batch norm and ReLU, a 1x1 convolution with bias), scores enlarged and added bilinearly up to the crop,
mean cross-entropy over the labelled pixels, SGD with momentum and weight decay. A batch is ready in memory; loading and augmentation are
outside the timed window. A tenth of the pixels is unlabelled in PyTorch's batch.

    python segmentation_step.py build/byolab [--precision f32 bf16] [--encoder resnet18] [--pairs 5]

Needs torch and torchvision. byolab and each kind of PyTorch (its activations channels_last, or contiguous as it makes them) are a process
each, started at once, which measures, warm, when it is its turn; a turn's figure is that of its median step. bf16 is autocast, f32 is f32.
The last lines are a kind's each: the medians and each process's peak memory (turns.py).
"""
import os
import sys

import turns

EXPERIMENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../experiments/bench/segmentation_step.yaml")
KINDS = ["channels_last", "contiguous"]
CROP, BATCH, CLASSES, IGNORED = 256, 8, 19, 255  # the experiment file has the same


# ---- PyTorch: one process, a line "images per second" for each line it reads ----

def pytorch_network(a, torch):
    import torchvision
    from torch import nn

    def head(channels):
        narrow = channels // 8
        return nn.Sequential(nn.Conv2d(channels, narrow, 3, padding=1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(inplace=True),
                             nn.Conv2d(narrow, narrow, 3, padding=1, bias=False), nn.BatchNorm2d(narrow), nn.ReLU(inplace=True),
                             nn.Conv2d(narrow, CLASSES, 1))

    def resized(x, like):
        return nn.functional.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)

    class Segmentation(nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = getattr(torchvision.models, a.encoder)()
            width = self.encoder.fc.in_features // 8
            del self.encoder.fc, self.encoder.avgpool
            self.score8, self.score16, self.score32 = head(2 * width), head(4 * width), head(8 * width)

        def forward(self, images):
            e = self.encoder
            stride8 = e.layer2(e.layer1(e.maxpool(e.relu(e.bn1(e.conv1(images))))))
            stride16 = e.layer3(stride8)
            scores8, scores16, scores32 = self.score8(stride8), self.score16(stride16), self.score32(e.layer4(stride16))
            scores16 = scores16 + resized(scores32, scores16)
            return resized(scores8 + resized(scores16, scores8), images)

    return Segmentation()


def pytorch_step(a, torch):
    from torch import nn

    torch.manual_seed(0)
    memory = torch.channels_last if a.kind == "channels_last" else torch.contiguous_format
    network = pytorch_network(a, torch).to(memory_format=memory)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    images = torch.randn(BATCH, 3, CROP, CROP).contiguous(memory_format=memory)
    labels = torch.randint(CLASSES, (BATCH, CROP, CROP))
    labels[torch.rand(labels.shape) < 0.1] = IGNORED

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=a.precision[0] == "bf16"):
            loss = nn.functional.cross_entropy(network(images), labels, ignore_index=IGNORED)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def serve_pytorch(a):
    import torch

    torch.set_num_threads(a.threads)
    step = pytorch_step(a, torch)

    turns.serve(step, BATCH, 3, lambda: turns.median_of_steps(step, a.steps), torch.__version__)


# ---- both sides ----

def pytorch(a, kind, precision):
    return turns.Side(f"PyTorch {kind}", [sys.executable, os.path.abspath(__file__), "--serve", kind, "--precision", precision,
                                          "--encoder", a.encoder, "--steps", a.steps, "--threads", a.threads])


def measure(a, precision):
    ours = turns.byolab(a, precision, EXPERIMENT, ["--segmentation"], {})
    peers = [pytorch(a, kind, precision) for kind in a.kinds]
    turns.compare(f"FCN-8s step, {a.encoder}, crop {CROP}, batch {BATCH}, {precision}", ours, peers, a.pairs)


def main():
    parser = turns.parser_of(__doc__, KINDS)
    parser.add_argument("--precision", nargs="+", default=["f32", "bf16"], choices=["f32", "bf16"])
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--encoder", default="resnet18", choices=["resnet18", "resnet50"])
    parser.add_argument("--steps", type=int, default=5, help="timed in a turn")
    parser.add_argument("--threads", type=int, default=2, help="of both")
    turns.run(parser, serve_pytorch, measure)


if __name__ == "__main__":
    main()
