"""Recommenders of several kinds."""
import csv
import gzip
import time
from collections import defaultdict

from harness import TEST_DATA, THREADS, apus, case, data, in_turns, peer_dump, timed, version


def pairs_of(path, users=None, items=None):
    """user,item rows of a file as (users x items) ones, with the dictionaries that number them."""
    import numpy as np
    import pandas as pd
    from scipy.sparse import csr_matrix
    table = pd.read_csv(path, dtype=str)
    users = users if users is not None else {u: n for n, u in enumerate(dict.fromkeys(table.user))}
    items = items if items is not None else {i: n for n, i in enumerate(dict.fromkeys(table.item))}
    kept = table[table.user.isin(users) & table.item.isin(items)]
    rows, columns = kept.user.map(users).to_numpy(), kept.item.map(items).to_numpy()
    ones = np.ones(len(kept), np.float32)
    return csr_matrix((ones, (rows, columns)), (len(users), len(items))), users, items


def trained(kind, path, model, *flags):
    """Seconds of one training, as the program tells them."""
    return apus("train", kind, "--interactions", path, "--split", "none", "--output", model, "--device", "cpu",
                "--threads", THREADS, "--quiet", "--json", *flags)["seconds"]["train"]


@case("item-cosine", "Recommenders", "Item-item cosine, 8 million interactions of 138,000 users and 20,000 items, 50 neighbors")
def item_cosine(record):
    """The neighbors of every item; both sides from a sparse matrix in memory."""
    from implicit.nearest_neighbours import CosineRecommender
    folder = peer_dump("knn_cf", "--users", 138_000, "--items", 20_000, "--nnz", 8_000_000)
    matrix, _, items = pairs_of(folder / "train.csv")
    # The item itself is one of the peer's neighbors.
    peer = CosineRecommender(K=51, num_threads=THREADS)
    theirs, ours = in_turns(
        timed(lambda: peer.fit(matrix, show_progress=False)),
        lambda: trained("neighbors", folder / "train.csv", folder / "neighbors.apus"), pairs=5)
    record.speed("all neighbors", ours, theirs, version("implicit"), target=3)
    apus("similar", "--interactions", folder / "train.csv", "--count", 50, "--output", folder / "neighbors.csv",
         "--device", "cpu", "--quiet")
    found = defaultdict(list)
    with open(folder / "neighbors.csv") as rows:
        for item, _, _, similarity in list(csv.reader(rows))[1:]:
            found[item].append(float(similarity))
    similarity = peer.similarity.tocsr()
    worst = 0.0
    for item, row in items.items():
        first, last = similarity.indptr[row:row + 2]
        others = sorted((v for c, v in zip(similarity.indices[first:last], similarity.data[first:last]) if c != row),
                        reverse=True)[:50]
        mine = found[item]
        # Whichever of equally similar items are kept, their similarities are the same.
        worst = max([worst, abs(len(mine) - len(others))] + [abs(a - b) for a, b in zip(mine, others)])
    record.at_most("largest difference of a similarity, rank by rank", float(worst), 1e-5, "", peer=version("implicit"))


def movielens(folder):
    """Ratings of 4 and 5 of MovieLens 1M: nine tenths to learn from, a tenth to be found."""
    import numpy as np
    draw = np.random.default_rng(1)
    with gzip.open(TEST_DATA / "movielens-1m" / "ratings.csv.gz", "rt") as source, \
            open(folder / "train.csv", "w") as train, open(folder / "test.csv", "w") as test:
        rows = csv.reader(source)
        next(rows)
        for out in (train, test):
            out.write("user,item\n")
        for user, item, rating, *_ in rows:
            if float(rating) >= 4:
                (test if draw.random() < 0.1 else train).write(f"{user},{item}\n")


@case("bpr", "Recommenders", "BPR, MovieLens 1M (ratings of 4 and 5), 64 factors, 100 iterations")
def bpr(record):
    """As many passes on both sides; each with its defaults otherwise. A tenth of the ratings is to be found: NDCG@100
    of everyone who has some. Ours are folded in from their histories; the peer can't, and ranks by what it learned."""
    import ratings
    from implicit.bpr import BayesianPersonalizedRanking
    folder = data("movielens-1m-pairs", movielens)
    train, users, items = pairs_of(folder / "train.csv")
    test, _, _ = pairs_of(folder / "test.csv", users, items)
    models = []

    def fit():
        model = BayesianPersonalizedRanking(
            factors=64, iterations=100, num_threads=THREADS, random_state=1 + len(models))
        model.fit(train, show_progress=False)
        models.append(model)
    theirs, ours = in_turns(
        timed(fit), lambda: trained("bpr", folder / "train.csv", folder / "bpr.apus", "--iterations", 100), pairs=3)
    record.speed("training", ours, theirs, version("implicit"), target=2)
    asked = test.getnnz(axis=1).nonzero()[0]
    figures = [ratings.rank_metrics(
        lambda lo, hi: model.user_factors[asked[lo:hi]] @ model.item_factors.T, train[asked], test[asked])["ndcg100"]
        for model in models]
    own = apus("evaluate", "--model", folder / "bpr.apus", "--fold-in", folder / "train.csv", "--test",
               folder / "test.csv", "--device", "cpu", "--quiet", "--json")
    record.quality("NDCG@100", own["metrics"]["ndcg@100"], sum(figures) / len(figures), version("implicit"),
                   tolerance=0)


@case("evaluate-movielens", "Recommenders", "Evaluation of every user of MovieLens 1M, all recommenders of compare")
def evaluate_movielens(record):
    """Ratings of 4 and 5, a tenth to be found. Whole commands, from files to figures with intervals: `apus evaluate` of each
    model, one after another; everybody folded in from their histories."""
    folder = data("movielens-1m-pairs", movielens)
    total = 0.0
    for kind in ("popular", "neighbors", "ease", "als", "bpr"):
        trained(kind, folder / "train.csv", folder / f"evaluated-{kind}.apus")
        start = time.perf_counter()
        found = apus("evaluate", "--model", folder / f"evaluated-{kind}.apus", "--fold-in", folder / "train.csv", "--test",
                     folder / "test.csv", "--device", "cpu", "--threads", THREADS, "--quiet", "--json")
        seconds = time.perf_counter() - start
        total += seconds
        record.details[kind] = dict(seconds=round(seconds, 2), ndcg100=found["metrics"]["ndcg@100"])
    record.at_most("all five", total, 120, "s")


@case("ease", "Recommenders", "EASE, MovieLens 1M (ratings of 4 and 5), regularization 250")
def ease(record):
    """Held-out figures beside those of a few lines of NumPy in double precision, on the same split."""
    import numpy as np
    import ratings
    folder = data("movielens-1m-pairs", movielens)
    train, users, items = pairs_of(folder / "train.csv")
    test, _, _ = pairs_of(folder / "test.csv", users, items)

    def solve():
        gram = (train.T @ train).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += 250
        inverse = np.linalg.inv(gram)
        weights = -inverse / np.diag(inverse)
        np.fill_diagonal(weights, 0)
        return weights
    start = time.perf_counter()
    weights = solve()
    theirs = [time.perf_counter() - start]
    ours = [trained("ease", folder / "train.csv", folder / "ease.apus")]
    record.speed("training", ours, theirs, version("numpy"))
    asked = test.getnnz(axis=1).nonzero()[0]
    own = apus("evaluate", "--model", folder / "ease.apus", "--fold-in", folder / "train.csv", "--test",
               folder / "test.csv", "--device", "cpu", "--quiet", "--json")["metrics"]
    figures = ratings.rank_metrics(lambda lo, hi: train[asked[lo:hi]] @ weights, train[asked], test[asked])
    for name, key in (("ndcg@100", "ndcg100"), ("recall@20", "recall20")):
        record.at_most(f"difference of {name}", abs(own[name] - figures[key]), 1e-4, "", peer=version("numpy"))


@case("user-pearson", "Recommenders", "Pearson between users over what both rated, MovieLens 1M")
def user_pearson(record):
    """Against four dense products in double precision."""
    import numpy as np
    import pandas as pd
    source = TEST_DATA / "movielens-1m" / "ratings.csv.gz"
    folder = data("movielens-1m-pearson", lambda folder: None)
    seconds = apus("similar", "--interactions", source, "--between", "users", "--similarity", "pearson", "--count", 50,
                   "--output", folder / "neighbors.csv", "--device", "cpu", "--quiet", "--json")["seconds"]["compare"]
    table = pd.read_csv(source)
    names = {u: n for n, u in enumerate(dict.fromkeys(table.iloc[:, 0]))}
    columns = {i: n for n, i in enumerate(dict.fromkeys(table.iloc[:, 1]))}
    x = np.zeros((len(names), len(columns)))
    m = np.zeros_like(x)
    rows, cols = table.iloc[:, 0].map(names), table.iloc[:, 1].map(columns)
    start = time.perf_counter()
    x[rows, cols], m[rows, cols] = table.iloc[:, 2], 1
    n, sx, sxx, sxy = m @ m.T, x @ m.T, (x * x) @ m.T, x @ x.T
    left, right = n * sxx - sx ** 2, (n * sxx - sx ** 2).T
    with np.errstate(all="ignore"):
        c = np.where((n >= 2) & (left > 1e-6) & (right > 1e-6), (n * sxy - sx * sx.T) / np.sqrt(left * right), 0)
    np.fill_diagonal(c, 0)
    best = -np.partition(-c, 50, 1)[:, :50]
    best.sort(1)
    theirs = time.perf_counter() - start
    record.speed("all neighbors", [seconds], [theirs], version("numpy"))
    found = pd.read_csv(folder / "neighbors.csv")
    direct = c[found.user.map(names), found.neighbor.map(names)]
    record.at_most("largest difference of a similarity", float(np.abs(direct - found.similarity).max()), 1e-5, "",
                   peer=version("numpy"))
    worst = 0.0
    for user, own in found.groupby("user").similarity:
        expected = best[names[user]][::-1]
        expected = expected[expected > 0]
        worst = max(worst, float(np.abs(expected[:len(own)] - own.to_numpy()).max()), abs(len(expected) - len(own)))
    record.at_most("largest difference rank by rank", worst, 1e-5, "", peer=version("numpy"))
