"""Writes image-parity.safetensors: losses of PyTorch for networks over pictures and sequences, as pytorch-parity.py does.

`NAME.features` has the channels of a pixel beside each other, and pixels row by row; flattening keeps that order. Weights
of convolutions are PyTorch's, channels x inputs x height x width.
"""
import parity
import tensor_file
import torch
from parity import GlobalMean, nn

torch.set_num_threads(1)
torch.manual_seed(2)


class Flatten(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


nets = {
    # name: shape (channels, height, width), layers, objective
    "pictures": ((2, 8, 7), nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, (2, 3)), nn.GELU(), Flatten(),
        nn.Linear(15, 3)), "classes"),
    "means": ((1, 9, 9), nn.Sequential(
        nn.Conv2d(1, 4, 5, stride=2, padding=2), nn.Tanh(), nn.AvgPool2d(2, 1), GlobalMean(), nn.Linear(4, 1)), "binary"),
    "sequences": ((3, 1, 12), nn.Sequential(
        nn.Conv2d(3, 4, (1, 3), padding=(0, 1)), nn.SiLU(), nn.MaxPool2d((1, 3)), Flatten(), nn.Linear(16, 1)), "binary"),
}
tensor_file.write("image-parity.safetensors", parity.train_pictures(nets))
