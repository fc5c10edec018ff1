"""python evaluate.py <checkpoint> [<predictions.npz>]: prints the test accuracy last."""

import sys

import numpy as np
import torch
from shapes.data import split
from shapes.module import network

weights = {name.removeprefix("net."): value for name, value in torch.load(sys.argv[1], weights_only=True)["state_dict"].items()}
net = network(len(weights["0.bias"]))
net.load_state_dict(weights)
x, y = split(2, 500).tensors
with torch.no_grad():
    p = net.eval()(x).softmax(1)
if len(sys.argv) > 2:
    np.savez(sys.argv[2], predictions=p.numpy(), targets=y.numpy())
print(f"test/acc={(p.argmax(1) == y).float().mean().item():.4f}")
