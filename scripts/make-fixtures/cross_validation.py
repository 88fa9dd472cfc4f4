#!/usr/bin/env python3
"""Prints scikit-learn's (boosting: LightGBM's) cross-validated ROC AUC on the public tables, for TableRealDataTests.swift.

    APUS_TEST_DATA=... python3 scripts/make-fixtures/cross_validation.py
"""
import os
import warnings
from pathlib import Path

import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

warnings.filterwarnings("ignore")
data = Path(os.environ["APUS_TEST_DATA"])
bank = pd.read_csv(data / "bank-marketing/bank-full.csv", sep=";").drop(columns="duration")
telco = pd.read_csv(data / "telco-churn/Telco-Customer-Churn.csv").drop(columns="customerID")
telco["TotalCharges"] = pd.to_numeric(telco["TotalCharges"], errors="coerce")
shop = pd.read_csv(data / "online-shoppers/online_shoppers_intention.csv")
tables = {"bank": (bank, "y", "yes"), "telco": (telco, "Churn", "Yes"), "shoppers": (shop, "Revenue", True)}
learners = {"logistic": LogisticRegression(max_iter=2000), "svm": LinearSVC(dual=False), "naive-bayes": GaussianNB(),
            "knn": KNeighborsClassifier(15), "tree": DecisionTreeClassifier(random_state=0),
            "forest": RandomForestClassifier(random_state=0)}
for name, (table, target, positive) in tables.items():
    y = (table[target] == positive).astype(int)
    x = table.drop(columns=target)
    numbers = [c for c in x if x[c].dtype.kind in "if"]
    others = [c for c in x if c not in numbers]
    x[others] = x[others].astype(str)
    prepare = make_column_transformer(
        (make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), others))
    folds = StratifiedKFold(5, shuffle=True, random_state=42)
    for kind, learner in learners.items():
        scores = cross_val_score(make_pipeline(prepare, learner), x, y, cv=folds, scoring="roc_auc")
        print(f"{name} {kind} {scores.mean():.5f} ± {scores.std():.5f}", flush=True)
    # Boosting takes categories and missing values as they are.
    native = table.drop(columns=target)
    native[others] = native[others].astype("category")
    scores = cross_val_score(LGBMClassifier(verbose=-1), native, y, cv=folds, scoring="roc_auc")
    print(f"{name} boosting {scores.mean():.5f} ± {scores.std():.5f}", flush=True)
