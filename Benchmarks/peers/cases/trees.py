"""Forests and boosted trees against scikit-learn (and its extension), LightGBM and XGBoost."""
import os

from harness import CACHE, PAIRS, THREADS, Paced, apus, case, data, in_turns, timed, version

AREA = "Trees"


def table(rows, columns):
    """The table of the peers' forest.py: ten columns that matter, the others noise; the last fifth is the test set."""
    def make(folder):
        import numpy as np
        from cases.learners import save
        rng = np.random.default_rng(1)
        x = rng.standard_normal((rows, columns), np.float32)
        s = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + (x[:, 3] > 0.5) * x[:, 4] - 0.5 * x[:, 5] ** 2
        s += 0.5 * x[:, 6] - 0.3 * x[:, 7] + np.abs(x[:, 8]) * (x[:, 9] > 0) - 0.2
        y = (s + rng.standard_normal(rows) > 0).astype(np.int32)
        np.save(folder / "x.npy", x)
        np.save(folder / "y.npy", y)
        cut = rows * 8 // 10
        save(folder / "train.safetensors", x=x[:cut], target=y[:cut].astype(np.float64))
        header = ",".join([*(f"x{j}" for j in range(columns)), "label"])
        for name, part in [("train", slice(0, cut)), ("test", slice(cut, None))]:
            np.savetxt(folder / f"{name}.csv", np.column_stack([x[part], y[part]]), delimiter=",", header=header,
                       comments="", fmt=["%.9g"] * columns + ["%d"])
    return data(f"trees-{rows}-{columns}", make)


def compared(record, subject, folder, kind, parameters, peers, target, tolerance, pairs=PAIRS):
    """Fits in turns with each peer; areas under the ROC curve on the last fifth beside the speed.

    `peers` maps a name to a function that makes an estimator; `target` is the ratio to the fastest that counts.
    """
    import numpy as np
    from sklearn.metrics import roc_auc_score
    x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
    cut = len(y) * 8 // 10
    learner = f"{kind}({','.join(f'{k}={v}' for k, v in parameters.items())})"
    model = CACHE / f"{kind}-{len(y)}.apus"
    apus("train", kind, "--data", folder / "train.csv", "--target", "label", "--test", 0, "--output", model, "--quiet",
         *(part for k, v in parameters.items() for part in ("--set", f"{k}={v}")))
    ours = apus("evaluate", "--model", model, "--data", folder / "test.csv", "--json")["metrics"]["roc_auc"]
    os.remove(model)
    results = []
    for name, make in peers.items():
        make().fit(x[:400], y[:400])  # imports and thread pools are not timed
        fitted = []
        paced = Paced("learner", "--learner", learner, "--training", folder / "train.safetensors", runs=pairs)
        theirs = in_turns(timed(lambda: fitted.append(make().fit(x[:cut], y[:cut]))), paced.round, pairs=pairs)[0]
        auc = roc_auc_score(y[cut:], fitted[-1].predict_proba(x[cut:])[:, 1])
        results.append((sorted(theirs)[len(theirs) // 2], name, paced.seconds["cpu"], theirs, auc))
    fastest = min(results)[1]
    for _, name, seconds, theirs, auc in results:
        wanted = target if name == fastest or len(results) == 1 else None
        record.speed(subject, seconds, theirs, version(name), target=wanted)
        record.quality(f"{subject}: AUC", ours, auc, version(name), tolerance=tolerance)


@case("trees-forest", AREA, "Random forest, 100 trees at full depth, 80,000 × 30")
def forest(record):
    """Fitting a random forest to four fifths of a generated table of 100,000 rows; AUC on the rest."""
    def sklearn():
        from sklearn.ensemble import RandomForestClassifier
        return RandomForestClassifier(n_estimators=100, n_jobs=THREADS, random_state=1)

    def extension():
        from sklearnex.ensemble import RandomForestClassifier
        return RandomForestClassifier(n_estimators=100, n_jobs=THREADS, random_state=1)
    folder = table(100_000, 30)
    compared(record, "fit", folder, "forest", dict(trees=100, minimumLeafRows=1), {"scikit-learn": sklearn}, 6, 0.002, pairs=3)
    compared(record, "fit, by histograms", folder, "forest", dict(trees=100, minimumLeafRows=1), {"scikit-learn-intelex": extension}, 1,
             0.002, pairs=5)


def boosters(leaves):
    def lightgbm():
        from lightgbm import LGBMClassifier
        return LGBMClassifier(n_estimators=100, num_leaves=leaves, n_jobs=THREADS, random_state=1, verbose=-1)

    def xgboost():
        from xgboost import XGBClassifier
        more = dict(max_depth=6) if leaves == 64 else dict(max_depth=0, max_leaves=leaves, grow_policy="lossguide")
        return XGBClassifier(n_estimators=100, tree_method="hist", learning_rate=0.1, n_jobs=THREADS, random_state=1, **more)

    def histograms():  # its threads are set by the environment
        from sklearn.ensemble import HistGradientBoostingClassifier
        return HistGradientBoostingClassifier(max_iter=100, max_leaf_nodes=leaves, early_stopping=False, random_state=1)
    return {"lightgbm": lightgbm, "xgboost-cpu": xgboost, "scikit-learn": histograms}


@case("trees-boosting", AREA, "Boosted trees, 100 rounds of 64 leaves, 80,000 × 30")
def boosting(record):
    """Fitting to four fifths of a generated table of 100,000 rows, learning rate 0.1; AUC on the rest. The fastest
    peer sets the target."""
    compared(record, "fit", table(100_000, 30), "boosting", dict(rounds=100, leaves=64, learningRate=0.1),
             boosters(64), 0.9, 0.001)


@case("trees-boosting-large", AREA, "Boosted trees, 100 rounds of 255 leaves, 800,000 × 28")
def boosting_large(record):
    """Fitting to four fifths of a generated table of a million rows, learning rate 0.1; AUC on the rest. The fastest
    peer sets the target."""
    compared(record, "fit", table(1_000_000, 28), "boosting", dict(rounds=100, leaves=255, learningRate=0.1),
             boosters(255), 0.9, 0.001, pairs=3)


def predicted(record, subject, folder, learner, peer, name, per_second, pairs=PAIRS):
    """Predictions of the training rows in turns with a peer's; rows a second beside the rate to reach."""
    import numpy as np
    x, y = np.load(folder / "x.npy"), np.load(folder / "y.npy")
    cut = len(y) * 8 // 10
    fitted = peer.fit(x[:cut], y[:cut])
    paced = Paced("learner", "--learner", learner, "--predict", "--training", folder / "train.safetensors", runs=pairs)
    theirs = in_turns(timed(lambda: fitted.predict_proba(x[:cut])), paced.round, pairs=pairs, record=record)[0]
    seconds = sorted(paced.seconds["cpu"])[len(paced.seconds["cpu"]) // 2]
    record.speed(subject, paced.seconds["cpu"], theirs, version(name))
    record.at_most(f"{subject}: microseconds a row", 1e6 * seconds / cut, 1e6 / per_second, "µs")


@case("trees-prediction", AREA, "Predictions of 100 trees, both threads")
def prediction(record):
    """Probabilities from features in memory to a matrix of probabilities: boosted trees of 255 leaves for 800,000 × 28,
    beside LightGBM's; a forest at full depth for 80,000 × 30, beside scikit-learn's."""
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import RandomForestClassifier
    predicted(record, "255 leaves", table(1_000_000, 28), "boosting(rounds=100,leaves=255,learningRate=0.1)",
              LGBMClassifier(n_estimators=100, num_leaves=255, n_jobs=THREADS, random_state=1, verbose=-1), "lightgbm",
              1_000_000)
    predicted(record, "full depth", table(100_000, 30), "forest(trees=100,minimumLeafRows=1)",
              RandomForestClassifier(n_estimators=100, n_jobs=THREADS, random_state=1), "scikit-learn", 300_000)
