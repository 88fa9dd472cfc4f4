"""Writes pytorch-parity.safetensors: losses of PyTorch for small networks, with their weights and data.

For each network: `NAME.features`, `NAME.targets` or `NAME.labels`, the initial state_dict as `NAME.weights.KEY`, and
`NAME.OPTIMIZER.losses`, the mean loss before each full-batch step (200 of SGD with momentum, 20 of the others). Run it in
this folder, with torch installed; the file is small and in the repository.
"""
import parity
import tensor_file
import torch

torch.set_num_threads(1)
torch.manual_seed(0)


class Residual(torch.nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


nn = torch.nn
nets = {
    "binary": (nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 1)), "binary"),
    "classes": (nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 12), nn.SiLU(), nn.Linear(12, 4)), "classes"),
    "residual": (
        nn.Sequential(
            nn.LayerNorm(8), Residual(nn.Linear(8, 16), nn.GELU(), nn.LayerNorm(16), nn.Linear(16, 8), nn.Tanh()),
            nn.Linear(8, 2)),
        "squared",
    ),
    "sigmoid": (nn.Sequential(nn.Linear(8, 10), nn.Sigmoid(), nn.Linear(10, 6), nn.Tanh(), nn.Linear(6, 1)), "huber"),
    "softmax": (nn.Sequential(nn.Linear(8, 10), nn.Softmax(dim=1), nn.Linear(10, 2)), "squared"),
}
optimizers = {
    "sgd": (200, lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9)),
    "adam": (20, lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.001)),
    "adamw": (20, lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1)),
    "adagrad": (20, lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-8)),
}
rows = 48
tensors = {}
for name, (net, kind) in nets.items():
    x = torch.randn(rows, 8)
    outputs = net(x).shape[1]
    tensors[f"{name}.features"] = x
    if kind == "classes":
        target = torch.randint(0, outputs, (rows,))
        tensors[f"{name}.labels"] = target.to(torch.int32)
        loss = nn.CrossEntropyLoss(label_smoothing=0.1)
    else:
        if kind == "binary":
            target = (torch.rand(rows, 1) < 0.5).float()
            loss = nn.BCEWithLogitsLoss()
        else:
            target = torch.randn(rows, outputs)
            # The sum over the outputs, the mean over the rows.
            one = nn.MSELoss() if kind == "squared" else nn.HuberLoss(delta=0.7)
            loss = lambda a, b, one=one, outputs=outputs: one(a, b) * outputs
        tensors[f"{name}.targets"] = target
    parity.train(tensors, name, net, x, target, loss, optimizers)

tensor_file.write("pytorch-parity.safetensors", tensors)
