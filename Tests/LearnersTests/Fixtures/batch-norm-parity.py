"""Writes batch-norm-parity.safetensors: losses of PyTorch for networks with batch normalization, as image-parity.py does.

Beside the losses, of SGD: `NAME.sgd.weights.KEY` for the running statistics behind the last step, and `NAME.sgd.outputs`,
what the network then gives in inference.
"""
import tensor_file
import torch

torch.set_num_threads(1)
torch.manual_seed(5)
nn = torch.nn
ROWS = 24


class GlobalMean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


nets = {
    # name: shape (columns, or channels, height, width), layers, objective
    "columns": ((8,), nn.Sequential(
        nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 12, bias=False),
        nn.BatchNorm1d(12, eps=1e-3, momentum=0.3), nn.Tanh(), nn.Linear(12, 3)), "classes"),
    "channels": ((2, 8, 7), nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 5, 2),
        nn.BatchNorm2d(5), nn.SiLU(), GlobalMean(), nn.Linear(5, 1)), "binary"),
}
optimizers = {
    "sgd": (200, lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)),
    "adam": (20, lambda p: torch.optim.Adam(p, lr=0.01)),
}
tensors = {}
for name, (shape, net, kind) in nets.items():
    x = torch.randn(ROWS, *shape)
    tensors[f"{name}.features"] = x if len(shape) == 1 else x.permute(0, 2, 3, 1).flatten(1)
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
        net.train()
        o = make(net.parameters())
        losses = []
        for _ in range(steps):
            o.zero_grad()
            value = loss(net(x), target)
            losses.append(value.item())
            value.backward()
            o.step()
        tensors[f"{name}.{optimizer}.losses"] = torch.tensor(losses, dtype=torch.float64)
        if optimizer == "sgd":
            net.eval()
            tensors[f"{name}.sgd.outputs"] = net(x).detach()
            for key, value in net.state_dict().items():
                if "running" in key or "tracked" in key:
                    tensors[f"{name}.sgd.weights.{key}"] = value.clone()
tensor_file.write("batch-norm-parity.safetensors", tensors)
