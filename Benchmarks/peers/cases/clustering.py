"""K-means, DBSCAN and exact neighbours against scikit-learn and faiss."""
import json
import os
import subprocess
import tempfile
import time

from harness import CACHE, PAIRS, THREADS, Paced, apus, case, data, devices, in_turns, peer_dump, timed, version


def inertia(x, c, batch=20_000):
    """Sum of squared distances to the nearest centre, in float64, common to all sides."""
    import numpy as np
    c, total = np.asarray(c, np.float64), 0.0
    for low in range(0, len(x), batch):
        b = x[low:low + batch].astype(np.float64)
        total += np.maximum((b ** 2).sum(1) + ((c ** 2).sum(1) - 2 * b @ c.T).min(1), 0).sum()
    return float(total)


def library_of_faiss(avx512=False):
    """faiss as it is installed, or with the AVX-512 kernels of its OpenBLAS: that of its wheel, version 0.3.15, takes
    processors newer than itself for ones without AVX."""
    if avx512:
        os.environ["OPENBLAS_CORETYPE"] = "SkylakeX"  # read when the library is loaded
    import faiss
    os.environ.pop("OPENBLAS_CORETYPE", None)
    faiss.omp_set_num_threads(THREADS)
    return faiss


def kernels_of_faiss():
    """Its version, with the kernels that its OpenBLAS has taken."""
    from threadpoolctl import threadpool_info
    kernels = [x["architecture"] for x in threadpool_info() if "faiss" in x["filepath"] and x["user_api"] == "blas"]
    return version("faiss-cpu") + (f" ({kernels[0]} kernels)" if kernels else "")


def kmeans(record, n, d, k, iterations, pairs, algorithms, target, faiss_target=None, with_faiss=False, avx512=False):
    import numpy as np
    import sklearn.cluster
    from threadpoolctl import threadpool_limits
    folder = peer_dump("kmeans", "--n", n, "--d", d, "--k", k)
    x, start = np.load(folder / "x.npy"), np.load(folder / "init.npy")
    centers, times = {}, {}

    def peer(algorithm):
        def run():
            with threadpool_limits(THREADS):
                model = sklearn.cluster.KMeans(k, init=start, n_init=1, max_iter=iterations, tol=0, algorithm=algorithm)
                begin = time.perf_counter()
                model.fit(x)
                seconds = time.perf_counter() - begin
            centers[algorithm] = model.cluster_centers_
            return seconds / model.n_iter_
        return run

    faiss = library_of_faiss(avx512) if with_faiss else None

    def faiss_run():
        model = faiss.Kmeans(d, k, niter=iterations, max_points_per_centroid=n, min_points_per_centroid=1)
        begin = time.perf_counter()
        model.train(x, init_centroids=start)
        seconds = time.perf_counter() - begin
        centers["faiss"] = model.centroids
        return seconds / iterations

    bodies = [peer(a) for a in algorithms] + ([faiss_run] if with_faiss else [])
    ours = Paced("kmeans", "--data", folder / "x.npy", "--initial-centers", folder / "init.npy", "--iterations",
                 iterations, devices=devices(), runs=pairs)
    results = in_turns(*bodies, ours.round, pairs=pairs)
    names = algorithms + (["faiss"] if with_faiss else [])
    best = min(zip(algorithms, results), key=lambda pair: sorted(pair[1])[len(pair[1]) // 2])
    for name, seconds in zip(names, results):
        goal = faiss_target if name == "faiss" else target if name == best[0] else None
        record.speed(f"one iteration, {name}", ours.seconds["cpu"], seconds,
                     kernels_of_faiss() if name == "faiss" else version("scikit-learn"), target=goal)
    for device in ours.devices[1:]:
        record.speed("one iteration", ours.seconds[device], ours.seconds["cpu"], "our CPU device", target=1.0,
                     device=device)
    reference = inertia(x, centers[algorithms[0]])
    for one in ours.result["cases"]:
        record.at_most("inertia, relative difference", abs(one["loss"] / reference - 1), 1e-5, "", device=one["device"],
                       peer=version("scikit-learn"))


@case("kmeans-128", "Clustering", "K-means, a million points, d = 128, k = 1024")
def kmeans_128(record):
    """Lloyd's iteration from the same centres, with the same number of iterations and no tolerance; seconds of a whole
    fit, the points in memory, shared out among its iterations."""
    kmeans(record, 1_000_000, 128, 1024, 5, int(os.environ.get("APUS_COMPARE_PAIRS", "3")), ["lloyd"], 1.8, 4.0,
           with_faiss=True)


@case("kmeans-128-avx512", "Clustering", "K-means, the same, faiss with AVX-512 kernels")
def kmeans_128_avx512(record):
    """As before, but faiss is told to take its OpenBLAS's kernels for AVX-512 (`OPENBLAS_CORETYPE=SkylakeX`), which as
    installed it does not find on this processor."""
    kmeans(record, 1_000_000, 128, 1024, 5, int(os.environ.get("APUS_COMPARE_PAIRS", "3")), ["lloyd"], None,
           with_faiss=True, avx512=True)


@case("kmeans-4", "Clustering", "K-means, a million points, d = 4, k = 256")
def kmeans_4(record):
    """As above, in few dimensions, against the better of scikit-learn's two algorithms."""
    kmeans(record, 1_000_000, 4, 256, 20, PAIRS, ["lloyd", "elkan"], 4.0)


def cold(path):
    """Takes a file out of the system's cache."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


@case("kmeans-streamed", "Clustering", "K-means of a file of five times the memory limit, d = 64, k = 64")
def kmeans_streamed(record):
    """4 million points, 1 GB, with `--memory-limit 200MB`; the file out of the cache before each run, and every pass reads
    it anew. A pass beside `dd` reading the file, by turns."""
    import numpy as np

    def make(folder):
        rng = np.random.default_rng(5)
        centers = rng.normal(0, 2, (64, 64)).astype(np.float32)
        out = np.lib.format.open_memmap(folder / "x.npy", "w+", np.float32, (4_000_000, 64))
        for low in range(0, len(out), 100_000):
            out[low:low + 100_000] = rng.standard_normal((100_000, 64), np.float32) + \
                centers[rng.integers(0, 64, 100_000)]
        out.flush()
        np.save(folder / "init.npy", np.array(out[:64]))
    folder = data("kmeans-streamed", make)
    path, limit, reports = folder / "x.npy", 200_000_000, []

    def dd():
        cold(path)
        begin = time.perf_counter()
        subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=1M"], check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begin

    with tempfile.TemporaryDirectory() as scratch:
        def run():
            cold(path)
            report = apus("train", "kmeans", "--data", path, "--initial-centers", folder / "init.npy", "--clusters", 64,
                          "--iterations", 5, "--memory-limit", "200MB", "--device", "cpu", "--threads", THREADS,
                          "--output", f"{scratch}/m.apus", "--quiet", "--json")
            reports.append(report)
            seconds = report["seconds"]["per_iteration"]
            return sum(seconds) / len(seconds)
        theirs, ours = in_turns(dd, run, pairs=5)
    ratio = sorted(ours)[len(ours) // 2] / sorted(theirs)[len(theirs) // 2]
    record.speed("one pass", ours, theirs, "dd")
    record.at_most("a pass, in times of dd's", ratio, 1.3, "", peer="dd")
    record.at_most("peak memory", max(r["peak_memory_bytes"] for r in reports) / 1e6, limit / 1e6, "MB")


@case("neighbors-exact", "Similarity", "Exact cosine neighbours among 500 thousand vectors, d = 128")
def neighbors_exact(record):
    """Vectors of length 1; the index is built beforehand on both sides. 1,000 queries at once for the best 100, and one
    query at a time for the best 10."""
    neighbors(record, 4.0, 1.2)


@case("neighbors-exact-avx512", "Similarity", "The same, faiss with AVX-512 kernels")
def neighbors_exact_avx512(record):
    """As before, but faiss is told to take its OpenBLAS's kernels for AVX-512 (`OPENBLAS_CORETYPE=SkylakeX`), which as
    installed it does not find on this processor."""
    neighbors(record, None, None, avx512=True)


def neighbors(record, many_target, single_target, avx512=False):
    import numpy as np
    faiss = library_of_faiss(avx512)
    folder = peer_dump("topk", "--n", 500_000, "--d", 128, "--k", 100)
    x, q = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy")
    index = faiss.IndexFlatIP(128)
    index.add(x)
    answer = {}

    def batch():
        answer["batch"] = index.search(q, 100)

    def single():
        for row in range(20):
            index.search(q[row:row + 1], 10)
    pairs = min(PAIRS, 5)
    many = Paced("neighbors", "--vectors-file", folder / "vectors.npy", "--queries-file", folder / "queries.npy",
                 "--count", 100, devices=["cpu"], runs=pairs)
    theirs = in_turns(timed(batch), many.round, pairs=pairs)[0]
    record.speed("1,000 queries, best 100", many.seconds["cpu"], theirs, kernels_of_faiss(), target=many_target)
    if not (folder / "vectors.index").exists():
        apus("index", "--vectors", folder / "vectors.npy", "--output", folder / "vectors.index")
    one = Paced("neighbors", "--index", folder / "vectors.index", "--queries-file", folder / "queries.npy",
                "--count", 10, "--single", 20, devices=["cpu"], runs=pairs)
    theirs = in_turns(timed(single), one.round, pairs=pairs)[0]
    record.speed("20 queries, one at a time, best 10", one.seconds["cpu"], theirs, kernels_of_faiss(), target=single_target)
    with tempfile.TemporaryDirectory() as scratch:
        apus("similar", "--vectors", folder / "vectors.npy", "--queries", folder / "queries.npy", "--count", 100,
             "--device", "cpu", "--quiet", "--output", f"{scratch}/found.npy")
        found = np.load(f"{scratch}/found.npy")
    scores = np.sort(np.einsum("qd,qkd->qk", q, x[found].astype(np.float64)))
    theirs = np.sort(np.einsum("qd,qkd->qk", q, x[answer["batch"][1]].astype(np.float64)))
    record.at_most("largest difference of the sorted scores", float(np.abs(scores - theirs).max()), 1e-6, "",
                   peer=version("faiss-cpu"))


@case("neighbors-graph", "Similarity", "Approximate cosine neighbours by a graph, 200 thousand vectors, d = 96")
def neighbors_graph(record):
    """Vectors of 24 latent dimensions, 16 links, 128 rows in view while it is built, on both sides; both with two threads.
    1,000 queries for the ten best, with so many rows in view that a side finds at least 95 % of the true ones, chosen from
    the same widths."""
    import faiss
    import numpy as np

    def make(folder):
        rng = np.random.default_rng(6)
        base = rng.standard_normal((24, 96), np.float32)
        for name, rows in (("vectors", 200_000), ("queries", 1000)):
            x = rng.standard_normal((rows, 24), np.float32) @ base + rng.standard_normal((rows, 96), np.float32)
            np.save(folder / f"{name}.npy", x / np.linalg.norm(x, axis=1, keepdims=True))
    folder = data("neighbors-graph", make)
    x, q = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy")
    faiss.omp_set_num_threads(THREADS)
    flat = faiss.IndexFlatIP(96)
    flat.add(x)
    truth = flat.search(q, 10)[1]
    graph = faiss.IndexHNSWFlat(96, 16, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 128
    begin = time.perf_counter()
    graph.add(x)
    theirs_built = time.perf_counter() - begin
    begin = time.perf_counter()
    made = apus("index", "--vectors", folder / "vectors.npy", "--approximate", "--build-width", 128, "--threads", THREADS,
                "--output", folder / "vectors.index", "--quiet", "--json")
    record.speed("building", [time.perf_counter() - begin], [theirs_built], version("faiss-cpu"))

    def recall(found):
        return float(np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found, truth)]))
    widths, reached = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384), {}
    for width in widths:
        graph.hnsw.efSearch = width
        if (value := recall(graph.search(q, 10)[1])) >= 0.95:
            reached["faiss"] = (width, value)
            break
    with tempfile.TemporaryDirectory() as scratch:
        for width in widths:
            apus("similar", "--index", folder / "vectors.index", "--queries", folder / "queries.npy", "--count", 10,
                 "--width", width, "--recall-queries", 0, "--device", "cpu", "--quiet", "--output", f"{scratch}/found.npy")
            if (value := recall(np.load(f"{scratch}/found.npy"))) >= 0.95:
                reached["apus"] = (width, value)
                break
    graph.hnsw.efSearch = reached["faiss"][0]
    ours = Paced("neighbors", "--index", folder / "vectors.index", "--queries-file", folder / "queries.npy", "--count", 10,
                 "--width", reached["apus"][0], devices=["cpu"], runs=7)
    theirs = in_turns(timed(lambda: graph.search(q, 10)), ours.round, record=record)[0]
    record.speed(f"1,000 queries, widths {reached['apus'][0]} and {reached['faiss'][0]}", ours.seconds["cpu"], theirs,
                 version("faiss-cpu"), target=1.0)
    record.quality("recall of the ten best", reached["apus"][1], reached["faiss"][1], version("faiss-cpu"))
    record.quality("recall told by the index, width 64", made["recall"], 0.95, "the target")


@case("dbscan-2", "Clustering", "DBSCAN, 100 thousand points in the plane")
def dbscan_2(record):
    """Blobs and noise; both from points in memory to labels."""
    import numpy as np
    import sklearn.cluster
    from threadpoolctl import threadpool_limits

    def make(folder):
        rng = np.random.default_rng(3)
        centers = rng.uniform(-50, 50, (60, 2))
        x = np.concatenate([centers[rng.integers(0, 60, 90_000)] + rng.normal(0, 1, (90_000, 2)),
                            rng.uniform(-60, 60, (10_000, 2))]).astype(np.float32)
        np.save(folder / "x.npy", x[rng.permutation(len(x))])
    folder = data("dbscan-2", make)
    x = np.load(folder / "x.npy")
    answer = {}

    def peer():
        with threadpool_limits(THREADS):
            answer["labels"] = sklearn.cluster.DBSCAN(eps=0.3, min_samples=10, n_jobs=THREADS).fit(x).labels_
    ours = []
    with tempfile.TemporaryDirectory() as scratch:
        def run():
            report = apus("train", "dbscan", "--data", folder / "x.npy", "--radius", 0.3, "--minimum-points", 10,
                          "--threads", THREADS, "--labels", f"{scratch}/labels.npy", "--output", f"{scratch}/m.apus",
                          "--quiet", "--json")
            ours.append(report["seconds"]["train"])
        theirs = in_turns(timed(peer), run)[0]
        labels = np.load(f"{scratch}/labels.npy")
    record.speed("points to labels", ours, theirs, version("scikit-learn"), target=10.0)
    record.at_most("labels that differ", int((labels != answer["labels"]).sum()), 0, "", peer=version("scikit-learn"))


@case("dbscan-8", "Clustering", "DBSCAN, a million points in eight dimensions")
def dbscan_8(record):
    """Memory beyond the program's own, points and model included."""
    import numpy as np

    def make(folder):
        rng = np.random.default_rng(4)
        centers = rng.uniform(-20, 20, (200, 8))
        x = centers[rng.integers(0, 200, 1_000_000)] + rng.normal(0, 1, (1_000_000, 8))
        np.save(folder / "x.npy", x.astype(np.float32))
    folder = data("dbscan-8", make)
    with tempfile.TemporaryDirectory() as scratch:
        report = apus("train", "dbscan", "--data", folder / "x.npy", "--radius", 1.0, "--minimum-points", 10,
                      "--threads", THREADS, "--output", f"{scratch}/m.apus", "--quiet", "--json")
    record.at_most("peak memory", report["peak_memory_bytes"] / 1e9, 2.0, "GB", seconds=report["seconds"]["train"])
