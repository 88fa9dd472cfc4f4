"""Dense networks against PyTorch."""
import time

from harness import THREADS, Paced, case, devices, in_turns, peer_dump, version

AREA = "Neural networks"


def torch_net(folder, batch, classes=False, threads=THREADS, **adam):
    """A network with the weights of the folder, about to begin; answers a function that trains an epoch and gives its
    seconds, and the mean losses of the epochs as they went by."""
    import numpy as np
    import torch
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    x = torch.from_numpy(np.load(folder / "x.npy"))
    y = torch.from_numpy(np.load(folder / "y.npy"))
    y = y.long() if classes else y[:, None]
    layers = []
    for index in range(len(list(folder.glob("w*.npy")))):
        w = np.load(folder / f"w{index}.npy")
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data, linear.bias.data = torch.from_numpy(w.T.copy()), torch.zeros(w.shape[1])
        layers += [linear, torch.nn.ReLU()]
    net = torch.nn.Sequential(*layers[:-1])
    loss = torch.nn.CrossEntropyLoss() if classes else torch.nn.BCEWithLogitsLoss()
    start = {key: value.clone() for key, value in net.state_dict().items()}
    losses = []

    def epoch():
        # From the same weights each time, as ours: the second epoch is timed.
        net.load_state_dict(start)
        optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, eps=1e-7, **adam)
        for number in range(2):
            total, begin = 0.0, time.perf_counter()
            for low in range(0, len(x), batch):
                optimizer.zero_grad(set_to_none=True)
                value = loss(net(x[low:low + batch]), y[low:low + batch])
                value.backward()
                optimizer.step()
                if number:  # not in the first, which nobody times
                    continue
                total += value.item() * len(x[low:low + batch])
            seconds = time.perf_counter() - begin
            losses.append(total / len(x))
        return seconds
    return epoch, losses


@case("net-small", AREA, "20-64-64-1, batch 32, Adam")
def small(record):
    """One epoch of 20,000 rows from the same weights, in the same order; PyTorch at its best here: one thread, fused
    Adam. Ours is one operation on one core. On OpenCL a step is a list of launches."""
    folder = peer_dump("mlp", "--layers", "64,64,1", "--inputs", 20, "--n", 20_000)
    peer, losses = torch_net(folder, 32, threads=1, fused=True)
    ours = Paced("net", "--layers", "64,64,1", "--batch", 32, "--folder", folder, devices=["cpu"])
    theirs = in_turns(peer, ours.round)[0]
    record.speed("an epoch", ours.seconds["cpu"], theirs, version("torch") + ", 1 thread, fused Adam", target=20)
    record.details["samples_per_second"] = {"ours": round(20_000 / min(ours.seconds["cpu"])),
                                            "peer": round(20_000 / min(theirs))}


def large(record, layers, inputs, rows, classes):
    folder = peer_dump("mlp", "--layers", layers, "--inputs", inputs, "--n", rows)
    peer, _ = torch_net(folder, 4096, classes=classes)
    ours = Paced("net", "--layers", layers, "--batch", 4096, "--folder", folder, devices=devices(), runs=3)
    theirs = in_turns(peer, ours.round, pairs=3)[0]
    for device in ours.devices:
        record.speed("an epoch", ours.seconds[device], theirs, version("torch"), target=1.7 if device == "cpu" else 1.0,
                     device=device)


@case("net-1024", AREA, "1024-1024-512-1, batch 4,096, float32")
def net_1024(record):
    """One epoch of 16,384 rows from the same weights, Adam, two threads on both sides."""
    large(record, "1024,512,1", 1024, 16_384, False)


@case("net-784", AREA, "784-512-512-10, batch 4,096, float32")
def net_784(record):
    """As for 1024-1024-512-1; the labels are 0 and 1 of ten classes."""
    large(record, "512,512,10", 784, 16_384, True)
