#!/usr/bin/env python3
"""What others reach on the same NVIDIA GPU, as one JSON object, for scripts/gpu-check.

    gpu.py [--sizes 1024,2048,4096,8192] [--candidates 10000000] [--runs 7]

Needs PyTorch with CUDA (its products are cuBLAS's); implicit's CUDA path is measured too where it is installed. Figures:
float32 products without tensor units, with TF32, and of bfloat16; the 10 and 100 best of 1,000 queries by a product and
`topk`, candidate tiles where the scores don't fit; five iterations of K-means by products; epochs of perceptrons with fused
Adam, in float32 and under autocast; an iteration of implicit's ALS on data shaped like MovieLens 20M.
"""
import argparse
import json
import statistics
import sys
import time


def timed(torch, body, runs):
    body()
    torch.cuda.synchronize()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        body()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def products(torch, sizes, runs):
    found = []
    for n in sizes:
        for name, dtype, tf32 in (("float32", "float32", False), ("tf32", "float32", True), ("bfloat16", "bfloat16", False)):
            torch.backends.cuda.matmul.allow_tf32 = tf32
            a = torch.rand(n, n, device="cuda", dtype=getattr(torch, dtype))
            b = torch.rand(n, n, device="cuda", dtype=getattr(torch, dtype))
            c = torch.empty_like(a)
            # A queue of products, as `apus bench gemm` has it.
            count = max(1, int(2e12 / (2 * n**3)))
            seconds = timed(torch, lambda: [torch.matmul(a, b, out=c) for _ in range(count)], runs) / count
            found.append({"case": "gemm", "size": n, "type": name, "median_seconds": seconds,
                          "gflops": 2 * n**3 / seconds * 1e-9})
    return found


def top_k(torch, candidates, runs):
    torch.backends.cuda.matmul.allow_tf32 = False
    table, queries = torch.rand(candidates, 128, device="cuda"), torch.rand(1000, 128, device="cuda")
    found = []
    for k in (10, 100):
        def search():
            best = None
            for start in range(0, candidates, 2_000_000):
                scores, places = torch.topk(queries @ table[start:start + 2_000_000].T, k)
                places = places + start
                if best is None:
                    best = scores, places
                else:
                    both, kept = torch.topk(torch.cat([best[0], scores], 1), k)
                    best = both, torch.cat([best[1], places], 1).gather(1, kept)
            return best
        seconds = timed(torch, search, min(runs, 5))
        found.append({"case": "topk", "queries": 1000, "candidates": candidates, "dimensions": 128, "k": k,
                      "median_seconds": seconds})
    return found


def k_means(torch, runs, points=1_000_000, dimensions=128, clusters=1024, iterations=5):
    torch.backends.cuda.matmul.allow_tf32 = False
    x = torch.rand(points, dimensions, device="cuda")

    def run():
        centres = x[:clusters].clone()
        ones = torch.ones(points, device="cuda")
        for _ in range(iterations):
            half = (centres * centres).sum(1) / 2
            labels = torch.cat([(half - part @ centres.T).argmin(1) for part in x.split(131_072)])
            sums = torch.zeros_like(centres).index_add_(0, labels, x)
            counts = torch.zeros(clusters, device="cuda").index_add_(0, labels, ones)
            centres = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], centres)

    return [{"case": "kmeans", "points": points, "dimensions": dimensions, "clusters": clusters, "iterations": iterations,
             "median_seconds": timed(torch, run, min(runs, 5))}]


def nets(torch, runs, rows=65_536, batch=4096):
    found = []
    for widths in ((784, 512, 512, 10), (1024, 1024, 512, 1)):
        x = torch.rand(rows, widths[0], device="cuda")
        y = torch.randint(0, max(widths[-1], 2), (rows,), device="cuda")
        for half in (False, True):
            torch.backends.cuda.matmul.allow_tf32 = False
            layers = []
            for inputs, units in zip(widths, widths[1:]):
                layers += [torch.nn.Linear(inputs, units), torch.nn.ReLU()]
            model = torch.nn.Sequential(*layers[:-1]).cuda()
            optimizer = torch.optim.Adam(model.parameters(), fused=True)
            several = widths[-1] > 1
            loss = torch.nn.CrossEntropyLoss() if several else torch.nn.BCEWithLogitsLoss()

            def epoch():
                for part in torch.randperm(rows, device="cuda").split(batch):
                    optimizer.zero_grad(set_to_none=True)
                    with torch.autocast("cuda", torch.bfloat16, enabled=half):
                        out = model(x[part])
                        value = loss(out, y[part]) if several else loss(out[:, 0].float(), y[part].float())
                    value.backward()
                    optimizer.step()

            found.append({"case": "net", "layers": "-".join(map(str, widths)), "batch": batch, "rows": rows,
                          "type": "bfloat16" if half else "float32", "median_seconds": timed(torch, epoch, runs)})
    return found


def implicit_als():
    import numpy as np
    import scipy.sparse as sparse
    from implicit.gpu.als import AlternatingLeastSquares
    random = np.random.default_rng(42)
    users, items, entries = 138_000, 27_000, 20_000_000
    rows = random.choice(users, entries, p=(w := random.lognormal(size=users) + 0.1) / w.sum())
    ranks = (np.arange(items) + 10.0) ** -0.8
    columns = random.permutation(items)[random.choice(items, entries, p=ranks / ranks.sum())]
    data = sparse.csr_matrix((np.ones(entries, np.float32), (rows, columns)), shape=(users, items))
    found = []
    for factors in (128, 256):
        times = []
        model = AlternatingLeastSquares(factors=factors, iterations=6, regularization=0.01)
        model.fit(data, show_progress=False, callback=lambda iteration, elapsed, *rest: times.append(elapsed))
        found.append({"case": "als", "library": "implicit, CUDA, conjugate gradients", "factors": factors,
                      "interactions": int(data.nnz), "median_seconds": statistics.median(times[1:])})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", default="1024,2048,4096,8192")
    parser.add_argument("--candidates", type=int, default=10_000_000)
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    try:
        import torch
    except ImportError as error:
        sys.exit(f"gpu.py: {error}")
    if not torch.cuda.is_available():
        sys.exit("gpu.py: PyTorch sees no CUDA device")
    result = {"device": torch.cuda.get_device_name(), "torch": torch.__version__, "cuda": torch.version.cuda, "cases": []}
    sizes = [int(n) for n in arguments.sizes.split(",")]
    for measure in (lambda: products(torch, sizes, arguments.runs),
                    lambda: top_k(torch, arguments.candidates, arguments.runs),
                    lambda: k_means(torch, arguments.runs), lambda: nets(torch, arguments.runs), implicit_als):
        try:
            result["cases"] += measure()
        except Exception as error:  # a peer that does not run here is worth a line, and no more
            result.setdefault("failed", []).append(f"{type(error).__name__}: {error}")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
