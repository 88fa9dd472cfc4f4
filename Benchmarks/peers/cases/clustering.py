"""K-means, DBSCAN and exact neighbours against scikit-learn and faiss."""
import json
import os
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


def kmeans(record, n, d, k, iterations, pairs, algorithms, target, faiss_target=None):
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

    def faiss_run():
        import faiss
        faiss.omp_set_num_threads(THREADS)
        model = faiss.Kmeans(d, k, niter=iterations, max_points_per_centroid=n, min_points_per_centroid=1)
        begin = time.perf_counter()
        model.train(x, init_centroids=start)
        seconds = time.perf_counter() - begin
        centers["faiss"] = model.centroids
        return seconds / iterations

    bodies = [peer(a) for a in algorithms] + ([faiss_run] if faiss_target else [])
    ours = Paced("kmeans", "--data", folder / "x.npy", "--initial-centers", folder / "init.npy", "--iterations",
                 iterations, devices=devices(), runs=pairs)
    results = in_turns(*bodies, ours.round, pairs=pairs)
    names = algorithms + (["faiss"] if faiss_target else [])
    best = min(zip(algorithms, results), key=lambda pair: sorted(pair[1])[len(pair[1]) // 2])
    for name, seconds in zip(names, results):
        goal = faiss_target if name == "faiss" else target if name == best[0] else None
        record.speed(f"one iteration, {name}", ours.seconds["cpu"], seconds,
                     version("faiss-cpu" if name == "faiss" else "scikit-learn"), target=goal)
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
    kmeans(record, 1_000_000, 128, 1024, 5, int(os.environ.get("APUS_COMPARE_PAIRS", "3")), ["lloyd"], 1.8, 4.0)


@case("kmeans-4", "Clustering", "K-means, a million points, d = 4, k = 256")
def kmeans_4(record):
    """As above, in few dimensions, against the better of scikit-learn's two algorithms."""
    kmeans(record, 1_000_000, 4, 256, 20, PAIRS, ["lloyd", "elkan"], 4.0)


@case("neighbors-exact", "Similarity", "Exact cosine neighbours among 500 thousand vectors, d = 128")
def neighbors(record):
    """Vectors of length 1; the index is built beforehand on both sides. 1,000 queries at once for the best 100, and one
    query at a time for the best 10."""
    import faiss
    import numpy as np
    folder = peer_dump("topk", "--n", 500_000, "--d", 128, "--k", 100)
    x, q = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy")
    faiss.omp_set_num_threads(THREADS)
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
    record.speed("1,000 queries, best 100", many.seconds["cpu"], theirs, version("faiss-cpu"), target=4.0)
    one = Paced("neighbors", "--vectors-file", folder / "vectors.npy", "--queries-file", folder / "queries.npy",
                "--count", 10, "--single", 20, devices=["cpu"], runs=pairs)
    theirs = in_turns(timed(single), one.round, pairs=pairs)[0]
    record.speed("20 queries, one at a time, best 10", one.seconds["cpu"], theirs, version("faiss-cpu"), target=1.2)
    with tempfile.TemporaryDirectory() as scratch:
        apus("similar", "--vectors", folder / "vectors.npy", "--queries", folder / "queries.npy", "--count", 100,
             "--device", "cpu", "--quiet", "--output", f"{scratch}/found.npy")
        found = np.load(f"{scratch}/found.npy")
    scores = np.sort(np.einsum("qd,qkd->qk", q, x[found].astype(np.float64)))
    theirs = np.sort(np.einsum("qd,qkd->qk", q, x[answer["batch"][1]].astype(np.float64)))
    record.at_most("largest difference of the sorted scores", float(np.abs(scores - theirs).max()), 1e-6, "",
                   peer=version("faiss-cpu"))


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
