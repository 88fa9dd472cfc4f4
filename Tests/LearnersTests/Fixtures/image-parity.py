"""Writes image-parity.safetensors: losses of PyTorch for networks over pictures and sequences, as pytorch-parity.py does.

`NAME.features` has the channels of a pixel beside each other, and pixels row by row; flattening keeps that order. Weights
of convolutions are PyTorch's, channels x inputs x height x width.
"""
import tensor_file
import torch

torch.set_num_threads(1)
torch.manual_seed(2)
nn = torch.nn
ROWS = 24


class Flatten(nn.Module):
    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


class GlobalMean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


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
optimizers = {
    "sgd": (200, lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)),
    "adam": (20, lambda p: torch.optim.Adam(p, lr=0.01)),
}
tensors = {}
for name, (shape, net, kind) in nets.items():
    x = torch.randn(ROWS, *shape)
    tensors[f"{name}.features"] = x.permute(0, 2, 3, 1).flatten(1)
    if kind == "classes":
        target = torch.randint(0, 3, (ROWS,))
        tensors[f"{name}.labels"] = target.to(torch.int32)
        loss = nn.CrossEntropyLoss()
    else:
        target = (torch.rand(ROWS, 1) < 0.5).float()
        tensors[f"{name}.targets"] = target
        loss = nn.BCEWithLogitsLoss()
    start = {k: v.detach().clone() for k, v in net.state_dict().items()}
    for key, value in start.items():
        tensors[f"{name}.weights.{key}"] = value
    for optimizer, (steps, make) in optimizers.items():
        net.load_state_dict(start)
        o = make(net.parameters())
        losses = []
        for _ in range(steps):
            o.zero_grad()
            value = loss(net(x), target)
            losses.append(value.item())
            value.backward()
            o.step()
        tensors[f"{name}.{optimizer}.losses"] = torch.tensor(losses, dtype=torch.float64)
tensor_file.write("image-parity.safetensors", tensors)
