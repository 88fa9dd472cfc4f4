"""Dense networks against PyTorch."""
import tempfile
import time

from harness import TEST_DATA, THREADS, Paced, apus, case, data, devices, in_turns, peer_dump, version

AREA = "Neural networks"


def torch_net(folder, batch, classes=False, threads=THREADS, bfloat16=False, **adam):
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
                with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
                    value = loss(net(x[low:low + batch]), y[low:low + batch])
                value.backward()
                optimizer.step()
                if number and not bfloat16:  # the loss of the epoch that nobody times, else of both
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


@case("net-bfloat16", AREA, "Both, products in bfloat16")
def net_bfloat16(record):
    """As net-1024 and net-784 with products of operands rounded to bfloat16, beside PyTorch's autocast; weights and sums are
    float32 on both sides."""
    for layers, inputs, classes in (("1024,512,1", 1024, False), ("512,512,10", 784, True)):
        folder = peer_dump("mlp", "--layers", layers, "--inputs", inputs, "--n", 16_384)
        peer, losses = torch_net(folder, 4096, classes=classes, bfloat16=True)
        ours = Paced("net", "--layers", layers, "--batch", 4096, "--folder", folder, "--bfloat16", devices=["cpu"], runs=5)
        theirs = in_turns(peer, ours.round, pairs=5)[0]
        record.speed(f"an epoch, {inputs}-{layers.replace(',', '-')}", ours.seconds["cpu"], theirs,
                     version("torch") + ", autocast", target=0.95)
        record.quality(f"loss of the second epoch, {inputs}-{layers.replace(',', '-')}", ours.result["cases"][0]["loss"],
                       losses[-1], version("torch") + ", autocast", tolerance=0.01, better="lower")


def ctr_data(folder):
    import numpy as np
    rng = np.random.default_rng(3)
    rows, sizes = 40_960, (429, 512, 256, 1)
    np.save(folder / "x.npy", rng.standard_normal((rows, 13), np.float32))
    ids = rng.integers(0, 100_000, (rows, 26))
    np.save(folder / "ids.npy", ids.astype(np.float32))
    np.save(folder / "y.npy", (rng.random(rows) < 0.1 + 0.8 * (ids[:, 0] % 2)).astype(np.float32))
    for index, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        bound = (6 / (inputs + outputs)) ** 0.5
        np.save(folder / f"w{index}.npy", rng.uniform(-bound, bound, (inputs, outputs)).astype(np.float32))


def torch_ctr(folder, merged):
    """As torch_net: sparse gradients of the tables, which are one (with offsets) or 26 modules."""
    import numpy as np
    import torch
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)
    x, y = torch.from_numpy(np.load(folder / "x.npy")), torch.from_numpy(np.load(folder / "y.npy"))[:, None]
    ids = torch.from_numpy(np.load(folder / "ids.npy").astype(np.int64))
    layers = []
    for index in range(3):
        w = np.load(folder / f"w{index}.npy")
        linear = torch.nn.Linear(*w.shape)
        linear.weight.data, linear.bias.data = torch.from_numpy(w.T.copy()), torch.zeros(w.shape[1])
        layers += [linear, torch.nn.ReLU()]
    top = torch.nn.Sequential(*layers[:-1])
    if merged:
        ids = ids + torch.arange(26) * 100_000
        tables = torch.nn.ModuleList([torch.nn.Embedding(2_600_000, 16, sparse=True)])
    else:
        tables = torch.nn.ModuleList([torch.nn.Embedding(100_000, 16, sparse=True) for _ in range(26)])
    loss = torch.nn.BCEWithLogitsLoss()
    start = {key: value.clone() for key, value in top.state_dict().items()}
    losses = []

    def epoch():
        top.load_state_dict(start)
        for table in tables:
            table.weight.data.zero_()
        dense = torch.optim.Adam(top.parameters(), lr=1e-3, eps=1e-7, fused=True)
        sparse = torch.optim.SparseAdam(list(tables.parameters()), lr=1e-3, eps=1e-7)
        for number in range(2):
            total, begin = 0.0, time.perf_counter()
            for low in range(0, len(x), 2048):
                dense.zero_grad(set_to_none=True)
                sparse.zero_grad(set_to_none=True)
                part = ids[low:low + 2048]
                if merged:
                    vectors = tables[0](part).flatten(1)
                else:
                    vectors = torch.cat([table(part[:, place]) for place, table in enumerate(tables)], 1)
                value = loss(top(torch.cat([x[low:low + 2048], vectors], 1)), y[low:low + 2048])
                value.backward()
                dense.step()
                sparse.step()
                total += value.item()
            seconds = time.perf_counter() - begin
            losses.append(total / (len(x) // 2048))
        return seconds
    return epoch, losses


@case("ctr", AREA, "26 tables of 100 k x 16, 429-512-256-1, batch 2,048")
def ctr(record):
    """One epoch of 40,960 rows, Adam, lazy in the tables (SparseAdam), from the same weights, two threads on both
    sides; PyTorch with sparse gradients of one table with offsets, which is faster than 26."""
    folder = data("ctr", ctr_data)
    peer, losses = torch_ctr(folder, merged=True)
    ours = Paced("net", "--layers", "512,256,1", "--tables", 26, "--batch", 2048, "--folder", folder,
                 devices=devices(), runs=3)
    theirs = in_turns(peer, ours.round, pairs=3)[0]
    for device in ours.devices:
        record.speed("an epoch", ours.seconds[device], theirs, version("torch"), target=2.0 if device == "cpu" else None,
                     device=device)
    record.details["samples_per_second"] = {"ours": round(40_960 / min(ours.seconds["cpu"])),
                                            "peer": round(40_960 / min(theirs))}


QUANTIZED = {
    "bank-marketing": ("bank-marketing/bank-full.csv", ["--delimiter", ";", "--target", "y", "--positive", "yes", "--drop",
                                                        "duration"]),
    "telco-churn": ("telco-churn/Telco-Customer-Churn.csv", ["--target", "Churn", "--positive", "Yes"]),
    "online-shoppers": ("online-shoppers/online_shoppers_intention.csv", ["--target", "Revenue", "--positive", "true"]),
}


@case("net-8-bits", AREA, "Networks in 8 bits: quality, size, speed of prediction")
def eight_bits(record):
    """`apus quantize` on nets of three tables: ROC AUC on what was held out, and the bytes of the parameters, before and
    after. Predictions of 100,000 rows by two networks as in net-1024 and net-784, by turns with float32."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, (file, flags) in QUANTIZED.items():
            model = f"{scratch}/net.apus"
            apus("train", "net", "--data", TEST_DATA / file, *flags, "--seed", 42, "--output", model, "--device", "cpu",
                 "--quiet", "--json")
            report = apus("quantize", "--model", model, "--data", TEST_DATA / file, "--output", f"{scratch}/small.apus",
                          "--device", "cpu", "--quiet", "--json")
            area, size = report["metrics"]["roc_auc"], report["parameter_bytes"]
            record.at_most(f"{name}: share of the AUC lost", 1 - area["after"] / area["before"], 0.005, "",
                           peer="our float32")
            record.at_most(f"{name}: bytes of the parameters", size["after"] / size["before"], 0.3, "", peer="our float32")
    for layers, inputs in (("1024,1024,512,1", 1024), ("512,512,10", 784)):
        arguments = ("net", "--predict", "--layers", layers, "--inputs", inputs, "--rows", 100_000)
        plain, small = Paced(*arguments), Paced(*arguments, "--eight-bits")
        theirs = in_turns(lambda: plain.round()["cpu"], small.round)[0]
        record.speed(f"prediction, {inputs}-{layers.replace(',', '-')}", small.seconds["cpu"], theirs, "our float32",
                     target=2.0)
