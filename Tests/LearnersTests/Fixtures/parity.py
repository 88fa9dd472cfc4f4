"""What the fixtures of PyTorch parity share: examples, and the losses of a few steps from the same weights."""
import torch

nn = torch.nn
ROWS = 24


class GlobalMean(nn.Module):
    def forward(self, x):
        return x.mean((2, 3))


def train(tensors, name, net, x, target, loss, optimizers, behind=None):
    """Notes the weights of a network, and its losses before each step of every optimizer, from these weights on.
    `behind(optimizer)` is called when the steps of one are done."""
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
        if behind:
            behind(optimizer)


def train_pictures(nets, behind=None):
    """Tensors of networks over columns or pictures: name -> (shape, layers, objective)."""
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
        train(tensors, name, net, x, target, loss, optimizers,
              behind and (lambda optimizer: behind(tensors, name, net, x, optimizer)))
    return tensors
