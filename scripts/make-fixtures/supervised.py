#!/usr/bin/env python3
"""Makes Tests/LearnersTests/Fixtures/supervised.json: what scikit-learn answers on small generated tables.

Features are rounded to float32, as Apus keeps them, so that both sides see the same numbers. Needs numpy and scikit-learn:

    python3 scripts/make-fixtures/supervised.py > Tests/LearnersTests/Fixtures/supervised.json
"""
import json
import sys
import warnings

import numpy as np
import sklearn
from sklearn import calibration, isotonic, linear_model, metrics, naive_bayes, neighbors, svm

warnings.filterwarnings("ignore")
rng = np.random.default_rng(20240601)
n, d = 150, 5
x = np.round(rng.standard_normal((n, d)), 3).astype(np.float32).astype(np.float64)
x[:, 1] += 0.5 * x[:, 0]
x = x.astype(np.float32).astype(np.float64)
w = np.round(rng.uniform(0.2, 2, n), 3)
beta = np.array([1.0, -0.7, 0.0, 0.4, 0.0])
number = np.round(x @ beta + 0.3 + 0.5 * rng.standard_normal(n), 4)
binary = (x @ beta + rng.standard_normal(n) > 0.2).astype(int)
multi = np.argmax(x[:, :3] + 0.8 * rng.standard_normal((n, 3)), axis=1)
counts = rng.poisson(0.7 + 1.5 * np.eye(3)[multi] @ rng.uniform(0, 1, (3, 8))).astype(np.float64)
xt = np.round(rng.standard_normal((20, d)), 3).astype(np.float32).astype(np.float64)
ct = rng.poisson(1.0, (20, 8)).astype(np.float64)


def listed(a):
    return np.asarray(a, dtype=np.float64).ravel().tolist()


out = {"sklearn": sklearn.__version__, "rows": n, "columns": d, "x": listed(x), "weights": listed(w),
       "number": listed(number), "binary": listed(binary), "multi": listed(multi), "counts": listed(counts),
       "test": listed(xt), "test_counts": listed(ct)}


def linear(name, model, y, weights=None, l1=0.0, l2=0.0):
    model.fit(x, y, sample_weight=weights) if weights is not None else model.fit(x, y)
    out[name] = {"coefficients": listed(model.coef_), "intercept": listed(model.intercept_), "l1": l1, "l2": l2}
    if hasattr(model, "predict_proba"):
        out[name]["probabilities"] = listed(model.predict_proba(xt))


linear("ols", linear_model.LinearRegression(), number)
linear("ols_weighted", linear_model.LinearRegression(), number, w)
design = np.column_stack([x, np.ones(n)])
res = number - design @ np.append(out["ols"]["coefficients"], out["ols"]["intercept"])
cov = res @ res / (n - d - 1) * np.linalg.inv(design.T @ design)
out["ols"]["standard_errors"] = listed(np.sqrt(np.diag(cov)))
linear("ridge", linear_model.Ridge(alpha=3.0, tol=1e-12), number, l2=3.0)
linear("lasso", linear_model.Lasso(alpha=0.1, tol=1e-12, max_iter=100000), number, l1=0.1 * n)
linear("elastic", linear_model.ElasticNet(alpha=0.1, l1_ratio=0.3, tol=1e-12, max_iter=100000), number,
       l1=0.1 * 0.3 * n, l2=0.1 * 0.7 * n)
linear("logistic", linear_model.LogisticRegression(C=0.5, tol=1e-12, max_iter=10000), binary, l2=2.0)
linear("logistic_weighted", linear_model.LogisticRegression(C=1, tol=1e-12, max_iter=10000), binary, w, l2=1.0)
linear("multinomial", linear_model.LogisticRegression(C=2, tol=1e-12, max_iter=10000), multi, l2=0.5)
linear("logistic_l1", linear_model.LogisticRegression(C=0.2, penalty="l1", solver="saga", tol=1e-13, max_iter=200000),
       binary, l1=5.0)
linear("multinomial_elastic",
       linear_model.LogisticRegression(C=0.5, penalty="elasticnet", l1_ratio=0.5, solver="saga", tol=1e-13,
                                       max_iter=200000), multi, l1=1.0, l2=1.0)
for name, loss, y in [("svc_squared", "squared_hinge", binary), ("svc_hinge", "hinge", binary),
                      ("svc_multi", "squared_hinge", multi)]:
    m = svm.LinearSVC(C=0.7, loss=loss, dual=True, tol=1e-10, max_iter=1000000, random_state=1).fit(x, y)
    out[name] = {"coefficients": listed(m.coef_), "intercept": listed(m.intercept_)}
m = svm.SVC(C=1.5, kernel="rbf", tol=1e-9).fit(x, binary)
out["rbf"] = {"decision": listed(m.decision_function(xt)), "gamma": float(m._gamma)}
m = svm.SVC(C=1.0, kernel="poly", degree=2, gamma=0.3, coef0=1.0, tol=1e-9).fit(x, binary)
out["polynomial"] = {"decision": listed(m.decision_function(xt))}
out["gaussian_nb"] = listed(naive_bayes.GaussianNB().fit(x, multi, w).predict_proba(xt))
out["multinomial_nb"] = listed(naive_bayes.MultinomialNB(alpha=0.5).fit(counts, multi).predict_proba(ct))
out["complement_nb"] = listed(naive_bayes.ComplementNB(alpha=0.5).fit(counts, multi).predict_proba(ct))
out["bernoulli_nb"] = listed(naive_bayes.BernoulliNB(alpha=0.5).fit(counts, multi, w).predict_proba(ct))
out["knn"] = listed(neighbors.KNeighborsClassifier(7).fit(x, multi).predict_proba(xt))
out["knn_distance"] = listed(neighbors.KNeighborsClassifier(7, weights="distance").fit(x, multi).predict_proba(xt))
out["knn_cosine"] = listed(
    neighbors.KNeighborsClassifier(7, metric="cosine", algorithm="brute").fit(x, multi).predict_proba(xt))
out["knn_number"] = listed(neighbors.KNeighborsRegressor(7).fit(x, number).predict(xt))

# Calibration: of the margins of a linear machine, given as the logistic of the margin.
margin = svm.LinearSVC(C=0.7, dual=True, tol=1e-8, random_state=1).fit(x, binary).decision_function(x)
score = np.round(1 / (1 + np.exp(-margin)), 5).astype(np.float32).astype(np.float64)
logit = np.log(score / (1 - score))
a, b = calibration._sigmoid_calibration(logit, binary)
iso = isotonic.IsotonicRegression(out_of_bounds="clip").fit(score, binary)
out["calibration"] = {"scores": listed(score), "platt": listed(1 / (1 + np.exp(a * logit + b))),
                      "isotonic": listed(iso.predict(score))}

# Metrics, weighted, with ties.
p = np.round(score, 2).astype(np.float32).astype(np.float64)
said = p >= 0.5
out["binary_metrics"] = {
    "scores": listed(p),
    "roc_auc": metrics.roc_auc_score(binary, p, sample_weight=w),
    "pr_auc": metrics.average_precision_score(binary, p, sample_weight=w),
    "log_loss": metrics.log_loss(binary, p, sample_weight=w),
    "brier": metrics.brier_score_loss(binary, p, sample_weight=w),
    "accuracy": metrics.accuracy_score(binary, said, sample_weight=w),
    "balanced_accuracy": metrics.balanced_accuracy_score(binary, said, sample_weight=w),
    "precision": metrics.precision_score(binary, said, sample_weight=w),
    "recall": metrics.recall_score(binary, said, sample_weight=w),
    "f1": metrics.f1_score(binary, said, sample_weight=w)}
pm = linear_model.LogisticRegression().fit(x, multi).predict_proba(x).astype(np.float32).astype(np.float64)
sm = pm.argmax(1)
out["multi_metrics"] = {
    "scores": listed(pm),
    "accuracy": metrics.accuracy_score(multi, sm),
    "balanced_accuracy": metrics.balanced_accuracy_score(multi, sm),
    "macro_precision": metrics.precision_score(multi, sm, average="macro"),
    "macro_recall": metrics.recall_score(multi, sm, average="macro"),
    "macro_f1": metrics.f1_score(multi, sm, average="macro"),
    "log_loss": metrics.log_loss(multi, pm),
    "macro_roc_auc": metrics.roc_auc_score(multi, pm / pm.sum(1, keepdims=True), multi_class="ovr")}
yhat = np.round(x @ beta, 3).astype(np.float32).astype(np.float64)
out["number_metrics"] = {
    "predictions": listed(yhat),
    "rmse": metrics.root_mean_squared_error(number, yhat, sample_weight=w),
    "mae": metrics.mean_absolute_error(number, yhat, sample_weight=w),
    "r2": metrics.r2_score(number, yhat, sample_weight=w),
    "pinball@0.1": metrics.mean_pinball_loss(number, yhat, alpha=0.1, sample_weight=w),
    "pinball@0.9": metrics.mean_pinball_loss(number, yhat, alpha=0.9, sample_weight=w)}


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return {k: rounded(v) for k, v in value.items()} if isinstance(value, dict) else value


json.dump(rounded(out), sys.stdout, separators=(",", ":"))
print()
