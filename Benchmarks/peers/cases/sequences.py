"""Sequence models against PyTorch."""
import json
import struct
import time

from harness import TEST_DATA, THREADS, Paced, apus, case, data, devices, in_turns, version

AREA = "Neural networks"


def torch_sasrec(items, length, d, blocks, heads, hidden, dropout=0.0):
    """The network that `apus train sequence` trains, of PyTorch's own modules: vectors of items and positions, blocks
    that normalize first, products with the items' vectors. Answers body and table."""
    import torch
    nn = torch.nn

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = nn.Embedding(length, d)
            self.drop = nn.Dropout(dropout)
            self.blocks = nn.ModuleList(
                nn.TransformerEncoderLayer(d, heads, hidden, dropout, "gelu", batch_first=True, norm_first=True)
                for _ in range(blocks))
            for block in self.blocks:
                block.self_attn.dropout = 0.0
            self.norm = nn.LayerNorm(d)
            self.mask = torch.triu(torch.full((length, length), float("-inf")), diagonal=1)

        def forward(self, x):
            x = self.drop(x + self.positions.weight[:x.shape[1]])
            for block in self.blocks:
                x = block(x, src_mask=self.mask[:x.shape[1], :x.shape[1]], is_causal=True)
            return self.norm(x)

    body = Body()
    nn.init.normal_(body.positions.weight, std=0.02)
    for name, p in body.named_parameters():
        if p.dim() == 2 and "positions" not in name:
            nn.init.xavier_uniform_(p)
        elif "bias" in name:
            nn.init.zeros_(p)
    return body, nn.Parameter(torch.randn(items, d) * 0.02)


def write_weights(path, body, table, drop):
    """The weights under our names, as safetensors. `drop`: whether our body has a layer of dropout."""
    tensors = {"items.weight": table.detach(), "body.0.weight": body.positions.weight.detach()}
    first = 2 if drop else 1
    for index, block in enumerate(body.blocks):
        for key, value in block.state_dict().items():
            tensors[f"body.{first + index}.{key}"] = value
    for key, value in body.norm.state_dict().items():
        tensors[f"body.{first + len(body.blocks)}.{key}"] = value
    header, blob = {}, b""
    for key, value in tensors.items():
        part = value.contiguous().numpy().tobytes()
        header[key] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(blob), len(blob) + len(part)]}
        blob += part
    text = json.dumps(header).encode()
    text += b" " * (-(len(text) + 8) % 64)
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob)


@case("sequence", AREA, "SASRec, d = 64, length 50, batch 128, full softmax over 12,000 items")
def sequence(record):
    """One epoch of 512 sequences without padding: two blocks of two heads, Adam, the same weights and batches of the same
    sequences in each side's order. Every position is predicted among all items."""
    import numpy as np
    import torch
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)
    items, length, d, batch, count = 12_000, 50, 64, 128, 512

    def make(folder):
        draw = np.random.default_rng(7)
        np.save(folder / "sequences.npy", np.stack(
            [draw.permutation(items)[:length + 1] for _ in range(count)]).astype(np.float32))
        torch.manual_seed(1)
        body, table = torch_sasrec(items, length, d, 2, 2, d)
        write_weights(folder / "weights.safetensors", body, table, False)

    folder = data("sequence-12000", make)
    x = torch.from_numpy(np.load(folder / "sequences.npy")).long()
    torch.manual_seed(1)
    body, table = torch_sasrec(items, length, d, 2, 2, d)
    start = {k: v.clone() for k, v in body.state_dict().items()}, table.detach().clone()
    losses = []

    def epoch():
        body.load_state_dict(start[0])
        table.data.copy_(start[1])
        optimizer = torch.optim.Adam([table, *body.parameters()], lr=1e-3)
        for number in range(2):
            total, begin = 0.0, time.perf_counter()
            for low in range(0, count, batch):
                rows = x[low:low + batch]
                optimizer.zero_grad(set_to_none=True)
                logits = body(table[rows[:, :-1]]) @ table.T
                value = torch.nn.functional.cross_entropy(logits.view(-1, items), rows[:, 1:].reshape(-1))
                value.backward()
                optimizer.step()
                total += value.item() * len(rows)
            losses.append(total / count)
        return time.perf_counter() - begin

    ours = Paced("sequence", "--folder", folder, devices=devices(), runs=3)
    theirs = in_turns(epoch, ours.round, pairs=3)[0]
    for device in ours.devices:
        record.speed("an epoch", ours.seconds[device], theirs, version("torch"),
                     target=2.0 if device == "cpu" else 1.0, device=device)
    record.details["sequences_per_second"] = {"ours": round(count / min(ours.seconds["cpu"])),
                                              "peer": round(count / min(theirs))}
    record.quality("loss of the first epoch", ours.result["cases"][0]["loss"], losses[0], version("torch"),
                   tolerance=0.002, better="lower")


def last_out(path, separator):
    """What `--split leave-last-out` makes of a file: each user's items in order but the last, and the last, where others
    have it, too. Items are numbered by first appearance; equal times are in the order of these numbers."""
    import numpy as np
    import pandas as pd
    table = pd.read_csv(path, sep=separator, header=None, names=["user", "item", "rating", "time"], dtype={0: str, 1: str})
    users, items = pd.factorize(table["user"])[0], pd.factorize(table["item"])[0]
    table = pd.DataFrame(dict(u=users, i=items, t=table["time"])).groupby(["u", "i"], as_index=False).t.max()
    table = table.sort_values(["u", "t", "i"])
    histories, last = [], []
    for _, own in table.groupby("u"):
        own = own.i.to_numpy()
        histories.append(own[:-1] if len(own) > 1 else own)
        last.append(own[-1] if len(own) > 1 else -1)
    known = np.zeros(items.max() + 1, bool)
    for own in histories:
        known[own] = True
    return histories, [j if j >= 0 and known[j] else -1 for j in last], known


def torch_next_item(histories, last, known, length, d, blocks, heads, hidden, dropout, epochs, batch, rate, seed):
    """NDCG@10 of a PyTorch SASRec of the same size and loss on the same windows, all items ranked, what is known left
    out."""
    import numpy as np
    import torch
    torch.manual_seed(seed)
    items = len(known)
    windows = []
    for own in histories:
        end = len(own) - 1
        while end > 0:
            begin = max(end - length, 0)
            windows.append((own[begin:end], own[begin + 1:end + 1]))
            end = begin
    inputs = torch.zeros(len(windows), length, dtype=torch.long)
    targets = torch.full((len(windows), length), -100)
    for row, (a, b) in enumerate(windows):
        inputs[row, :len(a)], targets[row, :len(b)] = torch.from_numpy(a.copy()), torch.from_numpy(b.copy())
    body, table = torch_sasrec(items, length, d, blocks, heads, hidden, dropout)
    optimizer = torch.optim.Adam([table, *body.parameters()], lr=rate)
    for _ in range(epochs):
        body.train()
        order = torch.randperm(len(windows))
        for low in range(0, len(windows), batch):
            rows = order[low:low + batch]
            optimizer.zero_grad(set_to_none=True)
            states, wanted = body(table[inputs[rows]]), targets[rows]
            chosen = wanted >= 0
            torch.nn.functional.cross_entropy(states[chosen] @ table.T, wanted[chosen]).backward()
            optimizer.step()
    body.eval()
    gain, people = 0.0, 0
    with torch.no_grad():
        asked = [u for u, j in enumerate(last) if j >= 0]
        for low in range(0, len(asked), 256):
            part = asked[low:low + 256]
            read = torch.zeros(len(part), length, dtype=torch.long)
            for row, user in enumerate(part):
                own = histories[user][-length:]
                read[row, :len(own)] = torch.from_numpy(own.copy())
            ends = torch.tensor([min(len(histories[u]), length) - 1 for u in part])
            scores = (body(table[read])[torch.arange(len(part)), ends] @ table.T).numpy()
            scores[:, ~known] = -np.inf
            for row, user in enumerate(part):
                scores[row, histories[user]] = -np.inf
                rank = int((scores[row] > scores[row, last[user]]).sum())
                gain += 1 / np.log2(rank + 2) if rank < 10 else 0.0
                people += 1
    return float(gain / people), people


SETS = {
    "MovieLens 100K": ("movielens-100k/u.data", "\t", ["--epochs", 40, "--dropout", 0.2]),
    "timed Amazon ratings": ("amazon-hin/user_item.tsv.gz", "\t", ["--epochs", 20, "--dropout", 0.5]),
}


@case("sequence-quality", AREA, "SASRec beside PyTorch's, ALS, BPR and item-item: NDCG@10 of everyone's last item")
def quality(record):
    """Leave-last-out, all items ranked, what a person has left out. PyTorch trains a network of the same size, loss and
    dropout on the same windows, as many epochs; the mean of three seeds on both sides. The others choose the best of four
    forms by held-out users, as `apus compare` does."""
    import torch
    torch.set_num_threads(THREADS)
    torch.set_flush_denormal(True)
    for name, (file, separator, flags) in SETS.items():
        path = TEST_DATA / file
        ours = []
        for seed in (1, 2, 3):
            model = data("sequence-models", lambda folder: None) / f"{seed}.apus"
            result = apus("train", "sequence", "--interactions", path, "--columns", "user,item,rating,time", "--split",
                          "leave-last-out", "--seed", seed, *flags, "--output", model, "--device", "cpu", "--quiet",
                          "--json")
            ours.append(result["metrics"]["ndcg@10"])
        used = dict(zip(flags[::2], flags[1::2]))
        split = last_out(path, separator)
        theirs = [torch_next_item(*split, length=50, d=64, blocks=2, heads=2, hidden=256, dropout=used["--dropout"],
                                  epochs=used["--epochs"], batch=128, rate=0.001, seed=seed)[0] for seed in (1, 2, 3)]
        mean, peer = sum(ours) / 3, sum(theirs) / 3
        record.quality(f"{name}: SASRec", mean, peer, version("torch"), tolerance=0.03 * peer,
                       ours_all=ours, theirs_all=theirs)
        compared = apus("compare", "--interactions", path, "--columns", "user,item,rating,time", "--split",
                        "leave-last-out", "--recommenders", "als,bpr,neighbors", "--trials", 4, "--order-by", "ndcg@10",
                        "--cutoffs", "10", "--device", "cpu", "--quiet", "--json")
        for entry in compared["recommenders"]:
            record.quality(f"{name}: SASRec over {entry['name']}", mean, entry["metrics"]["ndcg@10"],
                           f"our {entry['name']}", tolerance=0)
