"""What golden scripts share that keep whole networks in small files; tests/rigs/golden_marks.h reads what is written here.

put_tensors: tensors one after another in one flat data set, beside their names and sizes.
put_marks: two numbers a tensor in place of its values: its products with the directions j = 1 and 2, at value i (file layout, from 1)
    cos(j i). A tensor that is off in any value is off in these by about as much, but for an unlikely accident.
"""
import h5py
import numpy as np
import torch
import torch.nn as nn

from step import put, to_file_layout


def put_names(file, path, names):
    names = np.array(names, dtype="S")
    file.create_dataset(path, data=names, track_times=False, compression="gzip", compression_opts=9, chunks=names.shape)


def put_tensors(file, group, tensors):
    put_names(file, f"{group}/names", list(tensors))
    put(file, f"{group}/counts", [tensor.numel() for tensor in tensors.values()], "i4")
    values = np.concatenate([to_file_layout(tensor).ravel() for tensor in tensors.values()]).astype("f4")
    file.create_dataset(f"{group}/values", data=values, track_times=False, compression="gzip", compression_opts=9, shuffle=True,
                        chunks=values.shape)


def marks(tensor):
    values = to_file_layout(tensor).ravel()
    place = np.arange(1, values.size + 1)
    return [values @ np.cos(j * place) for j in (1, 2)]


def put_marks(file, group, tensors):
    put_names(file, f"{group}/names", list(tensors))
    put(file, f"{group}/marks", np.array([marks(tensor) for tensor in tensors.values()]))


def tensors_of(networks):
    """Parameters and running statistics of several networks: {"online/conv1.weight": ...}."""
    return {f"{network}/{name}": values for network, module in networks.items() for name, values in module.state_dict().items()
            if not name.endswith("num_batches_tracked")}


def gradients_of(networks):
    return {f"{network}/{name}": parameter.grad.clone() for network, module in networks.items()
            for name, parameter in module.named_parameters() if parameter.grad is not None}


def head(inputs, hidden, out, depth=2, norm="hidden", hidden_bias=True, out_bias=True):
    """`depth` linear layers with [batch norm] and ReLU between them; norm: none, hidden, or all (after the last one too)."""
    layers = []
    for layer in range(depth):
        last = layer == depth - 1
        layers.append(nn.Linear(inputs, out if last else hidden, bias=out_bias if last else hidden_bias))
        inputs = hidden
        if norm == "all" or (norm == "hidden" and not last):
            layers.append(nn.BatchNorm1d(out if last else hidden))
        if not last:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def stir(network, bits=8):
    """Norms, biases and running statistics that do not hide an error behind 1 and 0; all rounded to so many bits of mantissa."""
    with torch.no_grad():
        for name, values in network.state_dict().items():
            if name.endswith("running_var"):
                values.uniform_(0.5, 1.5)
            elif name.endswith("running_mean") or (name.endswith(("weight", "bias")) and values.dim() == 1):
                values.add_(0.2 * torch.randn_like(values))
            if values.is_floating_point():
                mantissa, exponent = np.frexp(values.double().numpy())
                values.copy_(torch.from_numpy(np.ldexp(np.round(mantissa * 2 ** bits) / 2 ** bits, exponent)))
    return network


def open_file(path):
    return h5py.File(path, "w", libver="v110")
