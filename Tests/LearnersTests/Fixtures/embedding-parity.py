"""Writes embedding-parity.safetensors: losses of PyTorch for networks with tables of vectors.

For each network: `NAME.features`, `NAME.identifiers`, `NAME.targets`, the initial state_dict as `NAME.weights.KEY`, and
`NAME.OPTIMIZER.losses`, the mean loss before each full-batch step (200 of SGD, 20 of the others). Tables have sparse
gradients: SGD without momentum, SparseAdam, Adagrad, and Adagrad with one accumulator for a row. Run it in this folder,
with torch installed; the file is small and in the repository.
"""
import tensor_file
import torch

torch.set_num_threads(1)
torch.manual_seed(1)
nn = torch.nn
ROWS, NUMBERS, LEVELS, UNITS = 48, 5, (7, 4, 11), 6


class Tables(nn.ModuleList):
    """Vectors of single identifiers; where: append, replace or sum."""

    def __init__(self, units, where):
        super().__init__([nn.Embedding(rows, units, sparse=True) for rows in LEVELS])
        self.where = where
        for table in self:
            nn.init.normal_(table.weight, std=0.3)

    def forward(self, x):
        x, ids = x
        vectors = [table(ids[:, place]) for place, table in enumerate(self)]
        if self.where == "sum":
            return sum(vectors)
        return torch.cat(([x] if self.where == "append" else []) + vectors, 1)


class Bags(nn.ModuleList):
    """Means of the identifiers 0 to 2, below 0 for none, and the vector of the fourth."""

    def __init__(self, units):
        super().__init__([nn.Embedding(9, units, sparse=True), nn.Embedding(4, units, sparse=True)])

    def forward(self, x):
        x, ids = x
        present = (ids[:, :3] >= 0).float()
        bag = (self[0](ids[:, :3].clamp(min=0)) * present[:, :, None]).sum(1)
        return torch.cat([bag / present.sum(1, keepdim=True).clamp(min=1), self[1](ids[:, 3])], 1)


class Numbers(nn.Sequential):
    def forward(self, x):
        return super().forward(x[0])


class Sum(nn.ModuleList):
    def forward(self, x):
        return sum(branch(x) for branch in self)


class Concatenation(nn.ModuleList):
    def forward(self, x):
        return torch.cat([branch(x) for branch in self], 1)


class Interaction(nn.Module):
    def forward(self, x):
        vectors = x.reshape(len(x), -1, UNITS)
        products = vectors @ vectors.transpose(1, 2)
        a, b = torch.tril_indices(products.shape[1], products.shape[1], -1)
        return torch.cat([x[:, :UNITS], products[:, a, b]], 1)


nets = {
    "wide-deep": nn.Sequential(
        Sum([
            nn.Sequential(Tables(UNITS, "append"), nn.Linear(NUMBERS + 3 * UNITS, 10), nn.ReLU(), nn.Linear(10, 1)),
            Numbers(nn.Linear(NUMBERS, 1, bias=False)),
            nn.Sequential(Tables(1, "sum")),
        ])),
    "dlrm": nn.Sequential(
        Concatenation([
            Numbers(nn.Linear(NUMBERS, UNITS), nn.ReLU()),
            nn.Sequential(Tables(UNITS, "replace")),
        ]), Interaction(), nn.Linear(UNITS + 6, 8), nn.ReLU(), nn.Linear(8, 1)),
    "bags": nn.Sequential(Bags(UNITS), nn.Linear(2 * UNITS, 8), nn.Tanh(), nn.Linear(8, 1)),
}


class RowWiseAdagrad(torch.optim.Optimizer):
    def __init__(self, parameters, lr, eps=1e-8):
        super().__init__(parameters, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                gradient = p.grad.coalesce()
                rows, values = gradient.indices()[0], gradient.values()
                squares = self.state[p].setdefault("squares", torch.zeros(len(p)))
                squares[rows] += values.square().mean(1)
                p[rows] -= group["lr"] * values / (squares[rows].sqrt()[:, None] + group["eps"])


optimizers = {
    "sgd": (200, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9), lambda p: torch.optim.SGD(p, lr=0.05)),
    "adam": (20, lambda p: torch.optim.Adam(p, lr=0.01), lambda p: torch.optim.SparseAdam(p, lr=0.01)),
    "adagrad": (20, lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-8),
                lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-8)),
    "row-wise": (20, lambda p: torch.optim.Adagrad(p, lr=0.05, eps=1e-8), lambda p: RowWiseAdagrad(p, lr=0.05)),
}
tensors = {}
for name, net in nets.items():
    x = torch.randn(ROWS, NUMBERS)
    if name == "bags":
        ids = torch.cat([torch.randint(-1, 9, (ROWS, 3)), torch.randint(0, 4, (ROWS, 1))], 1)
    else:
        ids = torch.stack([torch.randint(0, rows, (ROWS,)) for rows in LEVELS], 1)
    target = (torch.rand(ROWS, 1) < 0.2 + 0.6 * (ids[:, :1] % 2)).float()
    tensors[f"{name}.features"], tensors[f"{name}.targets"] = x, target
    tensors[f"{name}.identifiers"] = ids.to(torch.int32)
    start = {k: v.detach().clone() for k, v in net.state_dict().items()}
    for key, value in start.items():
        tensors[f"{name}.weights.{key}"] = value
    tables = [m.weight for m in net.modules() if isinstance(m, nn.Embedding)]
    others = [p for p in net.parameters() if all(p is not table for table in tables)]
    loss = nn.BCEWithLogitsLoss()
    for optimizer, (steps, make, make_for_tables) in optimizers.items():
        net.load_state_dict(start)
        both = make(others), make_for_tables(tables)
        losses = []
        for _ in range(steps):
            for o in both:
                o.zero_grad()
            value = loss(net((x, ids)), target)
            losses.append(value.item())
            value.backward()
            for o in both:
                o.step()
        tensors[f"{name}.{optimizer}.losses"] = torch.tensor(losses, dtype=torch.float64)
tensor_file.write("embedding-parity.safetensors", tensors)
