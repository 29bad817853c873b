"""Golden steps of classifiers by PyTorch in f64, for tests/protocols/test_golden_finetune.c.

    python finetune.py           # remakes finetune.h5 beside this file (seconds)

A narrow ResNet-18 with a head, trained ten steps on a few images by SGD with Nesterov momentum and a cosine: whole, or frozen (running
statistics, no gradient beyond the features). Written for each case: ten losses and shares of right answers, the gradients of the
first step and every parameter and running statistic at the end as marks (marks.py), logits and accuracy on images not trained on.
Needs torch, torchvision, numpy and h5py (made with 2.15.0, 0.29.2, 2.4.6, 3.16.0).
"""
import copy
import os

import numpy as np
import torch
import torch.nn as nn

import marks
from step import Encoder, draw_images, put, views_at

FOLDER = os.path.dirname(os.path.abspath(__file__))
WIDTH, SIZE, BATCH, CLASSES, HIDDEN, STEPS, HEAD_SCALE = 2, 8, 12, 3, 10, 10, 10
LR, MOMENTUM, WEIGHT_DECAY = 0.02, 0.9, 1e-3

CASES = {
    "fine_tuned": {},
    "fine_tuned_with_a_hidden_layer": dict(hidden=HIDDEN),
    "partly_labelled": dict(unlabelled=(1, 6, 7)),
    "frozen": dict(frozen=True),
    "frozen_with_a_hidden_layer": dict(frozen=True, hidden=HIDDEN),
}


def run(file, name, encoder, images, test_images, labels, test_labels, hidden=0, frozen=False, unlabelled=()):
    encoder, fc = copy.deepcopy(encoder).double(), nn.Module()
    inputs = 8 * WIDTH
    fc.fc = nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, CLASSES)) if hidden else nn.Linear(inputs, CLASSES)
    marks.stir(fc).double()
    networks = {"online": encoder, "classifier": fc}
    marks.put_tensors(file, f"{name}/head", marks.tensors_of({"classifier": fc}))
    encoder.train(not frozen).requires_grad_(not frozen)
    groups = [{"params": list(fc.parameters()), "lr": LR * HEAD_SCALE}]
    if not frozen:
        groups.append({"params": list(encoder.parameters()), "lr": LR})
    optimizer = torch.optim.SGD(groups, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    labels = labels.clone()
    labels[list(unlabelled)] = -1
    losses, correct = [], []
    for step in range(STEPS):
        logits = fc.fc(encoder(views_at(images, BATCH, step, torch.float64)[0]))
        loss = nn.functional.cross_entropy(logits, labels, ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        correct.append((logits.argmax(1) == labels)[labels >= 0].double().mean().item())
        if step == 0:
            marks.put_marks(file, f"{name}/gradients", marks.gradients_of(networks))
        optimizer.step()
        cosine.step()
    put(file, f"{name}/labels", labels)
    put(file, f"{name}/losses", losses)
    put(file, f"{name}/correct", correct)
    marks.put_marks(file, f"{name}/after", marks.tensors_of(networks))
    encoder.eval()
    with torch.no_grad():
        logits = fc.fc(encoder(test_images))
    accuracy = (logits.argmax(1) == test_labels).double().mean().item()
    put(file, f"{name}/test/logits", logits)
    put(file, f"{name}/test/accuracy", accuracy)
    put(file, f"{name}/test/loss", nn.functional.cross_entropy(logits, test_labels).item())
    print(f"{name}: loss {losses[0]:.4f} ... {losses[-1]:.4f}, correct {correct[0]:.2f} ... {correct[-1]:.2f}, test {accuracy:.2f}")


def main():
    torch.set_num_threads(1)
    torch.manual_seed(4)
    encoder = marks.stir(Encoder(WIDTH))
    rng = np.random.default_rng(4)
    images, test_images = draw_images(rng, BATCH, SIZE), draw_images(rng, 8, SIZE)[0]
    labels, test_labels = torch.arange(BATCH) % CLASSES, torch.arange(8) % CLASSES
    with marks.open_file(os.path.join(FOLDER, "finetune.h5")) as file:
        for name, value in (("width", WIDTH), ("size", SIZE), ("batch", BATCH), ("classes", CLASSES), ("hidden", HIDDEN), ("lr", LR),
                            ("momentum", MOMENTUM), ("weight_decay", WEIGHT_DECAY), ("head_scale", HEAD_SCALE)):
            put(file, f"options/{name}", value)
        put(file, "images/view1", images[0].transpose(0, 2, 3, 1), "f4")
        put(file, "images/view2", images[1].transpose(0, 2, 3, 1), "f4")
        put(file, "test/images", test_images.transpose(0, 2, 3, 1), "f4")
        put(file, "test/labels", test_labels)
        marks.put_tensors(file, "encoder", marks.tensors_of({"online": encoder}))
        for name, options in CASES.items():
            run(file, name, encoder, images, torch.from_numpy(test_images), labels, test_labels, **options)


if __name__ == "__main__":
    main()
