"""Learners of tables against scikit-learn and liblinear."""
from harness import PAIRS, TEST_DATA, Paced, case, data, in_turns, peer_dump, timed, version

AREA = "Learners of tables"


def save(path, **arrays):
    """A safetensors file, without the library of that name."""
    import json
    import numpy as np
    kinds = {"float32": "F32", "float64": "F64", "int32": "I32", "int64": "I64"}
    header, place = {}, 0
    for name, values in arrays.items():
        header[name] = {"dtype": kinds[str(values.dtype)], "shape": list(values.shape),
                        "data_offsets": [place, place + values.nbytes]}
        place += values.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 64 + 56)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for values in arrays.values():
            file.write(np.ascontiguousarray(values).tobytes())


def newsgroups():
    """TF-IDF of the training posts of 20 newsgroups, as the peers' libraries make it: float32 rows for both sides."""
    def make(folder):
        import gzip
        import json
        import numpy as np
        from scipy.sparse import save_npz
        from sklearn.feature_extraction.text import TfidfVectorizer
        with gzip.open(TEST_DATA / "20newsgroups" / "20news-bydate.jsonl.gz", "rt") as lines:
            posts = [p for p in map(json.loads, lines) if p["split"] == "train"]
        x = TfidfVectorizer(dtype=np.float32).fit_transform(p["text"] for p in posts)
        x.sort_indices()
        names = sorted({p["label"] for p in posts})
        y = np.array([names.index(p["label"]) for p in posts])
        save_npz(folder / "x.npz", x)
        np.save(folder / "y.npy", y)
        for name, target in [("all", y), ("half", (y < 10))]:
            save(folder / f"{name}.safetensors", row_pointers=x.indptr.astype(np.int64), target=target.astype(np.float64),
                 column_count=np.array([x.shape[1]], np.int64), columns=x.indices.astype(np.int32), values=x.data)
    return data("20newsgroups-tfidf", make)


def sparse(classes):
    import numpy as np
    from scipy.sparse import load_npz
    folder = newsgroups()
    y = np.load(folder / "y.npy")
    return folder, load_npz(folder / "x.npz"), y if classes == "all" else (y < 10).astype(int)


def machine_objective(m, x, y, c=1.0):
    """0.5 |w|^2 + C sum of squared hinges, intercepts penalised, summed over the classes."""
    import numpy as np
    total = 0.5 * (m.coef_ ** 2).sum() + 0.5 * (m.intercept_ ** 2).sum()
    scores = x @ m.coef_.T.astype(np.float64) + m.intercept_
    for j in range(scores.shape[1]):
        sign = np.where(y == (j if scores.shape[1] > 1 else 1), 1, -1)
        total += c * (np.maximum(0, 1 - sign * scores[:, j]) ** 2).sum()
    return float(total)


def log_objective(m, x, y, l2=1.0):
    """Sum of log losses + 0.5 l2 |w|^2."""
    import numpy as np
    p = m.predict_log_proba(x.astype(np.float64))
    return float(-p[np.arange(len(y)), y].sum() + 0.5 * l2 * (m.coef_.astype(np.float64) ** 2).sum())


def compared(record, subject, path, learner, fit, objective, peer, target=2.0, pairs=PAIRS):
    """Fits in turns; both objectives beside the speed. Objectives are to agree within 1e-4, or ours to be lower."""
    fit()  # imports and first allocations are not timed
    models = []
    ours = Paced("learner", "--training", path, "--learner", learner, runs=pairs)
    theirs = in_turns(timed(lambda: models.append(fit())), ours.round, pairs=pairs)[0]
    record.speed(subject, ours.seconds["cpu"], theirs, peer, target=target)
    if objective:
        value = objective(models[-1])
        record.quality(f"{subject}: objective", ours.result["cases"][0]["loss"], value, peer,
                       tolerance=1e-4 * value, better="lower")


@case("svm-text", AREA, "Linear support vector machines on texts")
def svm_text(record):
    """20 newsgroups, TF-IDF of 11,314 posts: squared hinge, C = 1. All twenty classes one against the rest, and two halves
    of the classes against each other. Objectives are summed over the classes."""
    from sklearn.svm import LinearSVC
    for classes, subject in [("all", "20 classes"), ("half", "2 classes")]:
        folder, x, y = sparse(classes)
        compared(record, subject, folder / f"{classes}.safetensors", "svm(c=1)",
                 lambda: LinearSVC(C=1.0, dual=True, random_state=1).fit(x, y),
                 lambda m: machine_objective(m, x, y), "liblinear in " + version("scikit-learn"))


@case("logistic-text", AREA, "Logistic regression on texts")
def logistic_text(record):
    """The same rows, l2 = 1. Multinomial against scikit-learn's L-BFGS; two classes against L-BFGS and liblinear (which
    penalises the intercept, so its objective is another)."""
    from sklearn.linear_model import LogisticRegression
    folder, x, y = sparse("all")
    compared(record, "20 classes, multinomial", folder / "all.safetensors", "logistic(l2=1, tolerance=5e-5)",
             lambda: LogisticRegression(C=1.0, max_iter=1000).fit(x, y), lambda m: log_objective(m, x, y),
             version("scikit-learn") + ", lbfgs", pairs=3)
    folder, x, y = sparse("half")
    compared(record, "2 classes", folder / "half.safetensors", "logistic(l2=1, tolerance=1e-4)",
             lambda: LogisticRegression(C=1.0, max_iter=1000).fit(x, y), lambda m: log_objective(m, x, y),
             version("scikit-learn") + ", lbfgs")
    compared(record, "2 classes, liblinear", folder / "half.safetensors", "logistic(l2=1, tolerance=1e-4)",
             lambda: LogisticRegression(C=1.0, solver="liblinear", max_iter=1000).fit(x, y), None,
             "liblinear in " + version("scikit-learn"))


@case("svm-kernel", AREA, "Support vector machine with an RBF kernel, 20 thousand rows")
def svm_kernel(record):
    """The peers' generated table of 20 columns, 16 thousand rows to fit: C = 1, gamma = 1/20, tolerance 0.001."""
    import numpy as np
    import pandas as pd
    from sklearn.svm import SVC
    table = pd.read_csv(peer_dump("svm", "--n", 20_000, "--d", 20) / "table.csv")
    y = table.pop("label").to_numpy()[:16_000]
    x = table.to_numpy(np.float32)[:16_000]

    def make(folder):
        save(folder / "rows.safetensors", target=y.astype(np.float64), x=x)
    path = data("svm-20000", make) / "rows.safetensors"
    x = x.astype(np.float64)
    compared(record, "16,000 × 20", path, "svm(kernel=rbf, c=1, gamma=0.05)",
             lambda: SVC(C=1.0, kernel="rbf", gamma=0.05, tol=1e-3, cache_size=500).fit(x, y), None,
             "libsvm in " + version("scikit-learn"), pairs=3)
