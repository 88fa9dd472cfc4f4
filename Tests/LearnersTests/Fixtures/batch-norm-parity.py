"""Writes batch-norm-parity.safetensors: losses of PyTorch for networks with batch normalization, as image-parity.py does.

Beside the losses, of SGD: `NAME.sgd.weights.KEY` for the running statistics behind the last step, and `NAME.sgd.outputs`,
what the network then gives in inference.
"""
import parity
import tensor_file
import torch
from parity import GlobalMean, nn

torch.set_num_threads(1)
torch.manual_seed(5)


nets = {
    # name: shape (columns, or channels, height, width), layers, objective
    "columns": ((8,), nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 12, bias=False),
        nn.BatchNorm1d(12, eps=1e-3, momentum=0.3), nn.Tanh(), nn.Linear(12, 3)), "classes"),
    "channels": ((2, 8, 7), nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2),
        nn.BatchNorm2d(5), nn.SiLU(), GlobalMean(), nn.Linear(5, 1)), "binary"),
}


def statistics(tensors, name, net, x, optimizer):
    if optimizer != "sgd":
        return
    net.eval()
    tensors[f"{name}.sgd.outputs"] = net(x).detach()
    for key, value in net.state_dict().items():
        if "running" in key or "tracked" in key:
            tensors[f"{name}.sgd.weights.{key}"] = value.clone()


tensor_file.write("batch-norm-parity.safetensors", parity.train_pictures(nets, statistics))
