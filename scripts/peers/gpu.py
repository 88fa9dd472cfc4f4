#!/usr/bin/env python3
"""What others reach on the same NVIDIA GPU, as one JSON object, for scripts/gpu-check.

    gpu.py [--sizes 1024,2048,4096,8192] [--candidates 10000000] [--runs 7]

Needs PyTorch with CUDA (its products are cuBLAS's); implicit's CUDA path is measured too where it is installed. Figures:
float32 products without tensor units, with TF32, and of bfloat16; the 10 and 100 best of 1,000 queries by a product and
`topk`, candidate tiles where the scores don't fit; an iteration of implicit's ALS on data shaped like MovieLens 20M.
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
                    lambda: top_k(torch, arguments.candidates, arguments.runs), implicit_als):
        try:
            result["cases"] += measure()
        except Exception as error:  # a peer that does not run here is worth a line, and no more
            result.setdefault("failed", []).append(f"{type(error).__name__}: {error}")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
