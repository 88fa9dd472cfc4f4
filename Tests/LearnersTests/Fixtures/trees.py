"""Writes trees.json: decision trees by scikit-learn on generated tables, node by node, for DecisionTreeParityTests.

Run by hand: python trees.py > trees.json
"""
import json

import numpy as np
import sklearn
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor


def preorder(model, single):
    """(feature, threshold, value of every class or the number), parents before children, left before right."""
    tree = model.tree_
    nodes = []

    def visit(node):
        value = tree.value[node][0]
        leaf = tree.children_left[node] < 0
        nodes.append([-1 if leaf else int(tree.feature[node]), 0.0 if leaf else float(tree.threshold[node])]
                     + [float(value[0])] if single else
                     [-1 if leaf else int(tree.feature[node]), 0.0 if leaf else float(tree.threshold[node])]
                     + [float(v) for v in value / value.sum()])
        if not leaf:
            visit(tree.children_left[node])
            visit(tree.children_right[node])

    visit(0)
    return nodes


def unambiguous(make, target, single):
    """A tree that doesn't depend on the order in which scikit-learn looks at the columns, or None for one with ties."""
    trees = [make(seed).fit(x, target) for seed in range(20)]
    return trees[0] if all(preorder(t, single) == preorder(trees[0], single) for t in trees) else None


rng = np.random.default_rng(7)
x = rng.standard_normal((500, 4)).astype(np.float32)
noise = rng.standard_normal(500)
number = (2 * (x[:, 0] > 0.2) + x[:, 1] * x[:, 2] + 0.4 * noise).astype(np.float32)
two = (number > 0.8).astype(int)
three = np.digitize(number, [0.2, 1.5])

cases = []
for criterion, classes, target, kind in [
    ("gini", 2, two, DecisionTreeClassifier), ("entropy", 2, two, DecisionTreeClassifier),
    ("gini", 3, three, DecisionTreeClassifier), ("entropy", 3, three, DecisionTreeClassifier),
    ("variance", 0, number, DecisionTreeRegressor)]:
    for depth, least, alpha in [(5, 12, 0.0), (None, 12, 0.0), (None, 12, 0.002), (None, 12, 0.01)]:
        # As small leaves as there are no ties with.
        leaf, model = least, None
        while model is None:
            model = unambiguous(lambda seed: kind(
                criterion="squared_error" if classes == 0 else criterion, max_depth=depth, min_samples_leaf=leaf,
                ccp_alpha=alpha, random_state=seed), target, classes == 0)
            leaf += model is None
        cases.append(dict(criterion=criterion, classes=classes, depth=depth, leaf=leaf, alpha=alpha,
                          nodes=preorder(model, classes == 0), importances=model.feature_importances_.tolist()))
print(json.dumps(dict(
    scikit_learn=sklearn.__version__, features=[float(v) for v in x.ravel()], number=[float(v) for v in number],
    two=two.tolist(), three=three.tolist(), cases=cases)))
