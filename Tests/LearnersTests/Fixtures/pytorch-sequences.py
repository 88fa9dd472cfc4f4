"""Writes pytorch-sequences.safetensors: losses of PyTorch for layers of sequences, with their weights and data.

For each net of layers: the initial state_dict as `NAME.weights.KEY` and `NAME.OPTIMIZER.losses`, the mean loss before
each full-batch step (200 of SGD with momentum, 20 of Adam). For the models `sasrec` and `gru`: the weights under our
names, and the mean cross-entropy over all next items before each of 20 steps of Adam. Run it in this folder.
"""
import json
import struct

import torch

torch.set_num_threads(1)
torch.manual_seed(3)
nn = torch.nn
L, D, ROWS = 7, 8, 24


def causal(n):
    return torch.triu(torch.full((n, n), float("-inf")), diagonal=1)


class Attention(nn.MultiheadAttention):
    def forward(self, x):
        return super().forward(x, x, x, need_weights=False)[0]


class Block(nn.TransformerEncoderLayer):
    def __init__(self, heads, hidden, activation, norm_first, is_causal, d=D):
        super().__init__(d, heads, hidden, 0.0, activation, batch_first=True, norm_first=norm_first)
        self.is_causal = is_causal

    def forward(self, x):
        return super().forward(x, src_mask=causal(x.shape[1]) if self.is_causal else None)


class First(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x)[0]


nets = {
    "attention": [Attention(D, 2, batch_first=True), nn.Linear(D, 1)],
    "transformer": [Block(2, 16, "gelu", True, True), Block(4, 12, "relu", False, False), nn.Linear(D, 1)],
    "simple": [First(nn.RNN(D, 10, batch_first=True)), nn.Linear(10, 1)],
    "gru": [First(nn.GRU(D, 10, batch_first=True)), First(nn.GRU(10, 6, batch_first=True)), nn.Linear(6, 1)],
    "lstm": [First(nn.LSTM(D, 10, batch_first=True)), nn.Linear(10, 1)],
}
optimizers = {
    "sgd": (200, lambda p: torch.optim.SGD(p, lr=0.002, momentum=0.9)),
    "adam": (20, lambda p: torch.optim.Adam(p, lr=0.005)),
}
tensors = {}
x = torch.randn(ROWS, L, D)
y = torch.randn(ROWS, L, 1)
tensors["features"], tensors["targets"] = x.reshape(ROWS, L * D), y.reshape(-1)
for name, layers in nets.items():
    net = nn.Sequential(*layers)
    for p in net.parameters():
        if p.dim() == 1:
            p.data += 0.1 * torch.randn_like(p)
    start = {k: v.detach().clone() for k, v in net.state_dict().items()}
    for key, value in start.items():
        tensors[f"{name}.weights.{key.replace('.inner.', '.')}"] = value
    for optimizer, (steps, make) in optimizers.items():
        net.load_state_dict(start)
        o = make(net.parameters())
        losses = []
        for _ in range(steps):
            o.zero_grad()
            # The sum over a row's outputs, the mean over the rows.
            value = ((net(x) - y) ** 2).sum() / ROWS
            losses.append(value.item())
            value.backward()
            o.step()
        tensors[f"{name}.{optimizer}.losses"] = torch.tensor(losses, dtype=torch.float64)

# Models of the next item: windows of 6 of sequences of unlike lengths, one batch.
ITEMS, LENGTH, F = 30, 6, 8
sequences = [torch.randperm(ITEMS)[: 2 + (7 * i) % 12].tolist() for i in range(14)]
tensors["sequences.lengths"] = torch.tensor([len(s) for s in sequences], dtype=torch.int32)
tensors["sequences.items"] = torch.tensor([i for s in sequences for i in s], dtype=torch.int32)
windows = []
for s in sequences:
    end = len(s) - 1
    while end > 0:
        begin = max(end - LENGTH, 0)
        windows.append((s[begin:end], s[begin + 1:end + 1]))
        end = begin
inputs = torch.zeros(len(windows), LENGTH, dtype=torch.long)
targets = torch.full((len(windows), LENGTH), -100)
for row, (a, b) in enumerate(windows):
    inputs[row, :len(a)] = torch.tensor(a)
    targets[row, :len(b)] = torch.tensor(b)


class Positions(nn.Embedding):
    def forward(self, x):
        return x + self.weight


bodies = {
    "sasrec": [Positions(LENGTH, F), Block(2, 12, "gelu", True, True, F), Block(2, 12, "gelu", True, True, F),
               nn.LayerNorm(F)],
    "gru": [First(nn.GRU(F, 12, batch_first=True)), nn.Linear(12, F)],
}
for name, layers in bodies.items():
    body, table = nn.Sequential(*layers), nn.Parameter(torch.randn(ITEMS, F) * 0.3)
    tensors[f"{name}.weights.items.weight"] = table.detach().clone()
    for key, value in body.state_dict().items():
        tensors[f"{name}.weights.body.{key.replace('.inner.', '.')}"] = value.clone()
    o = torch.optim.Adam([table, *body.parameters()], lr=0.01)
    losses = []
    for _ in range(20):
        o.zero_grad()
        logits = body(table[inputs]) @ table.T
        value = nn.functional.cross_entropy(logits.reshape(-1, ITEMS), targets.reshape(-1))
        losses.append(value.item())
        value.backward()
        o.step()
    tensors[f"{name}.losses"] = torch.tensor(losses, dtype=torch.float64)
    print(name, len(windows), losses[0], losses[-1])

names = {torch.float32: "F32", torch.float64: "F64", torch.int32: "I32"}
header, data = {}, b""
for key, value in sorted(tensors.items(), key=lambda item: (-item[1].element_size(), item[0])):
    part = value.detach().contiguous().numpy().tobytes()
    header[key] = {"dtype": names[value.dtype], "shape": list(value.shape), "data_offsets": [len(data), len(data) + len(part)]}
    data += part
text = json.dumps(header).encode()
text += b" " * (-(len(text) + 8) % 64)
with open("pytorch-sequences.safetensors", "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
