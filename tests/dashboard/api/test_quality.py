"""What is wrong, through the HTTP API, equals scikit-learn."""

from __future__ import annotations

import httpx
import numpy as np
import pytest
from helpers.factories import CLASS_NAMES, make_target_store
from helpers.servers import running
from numpy.testing import assert_allclose
from sklearn import metrics

from dashboard import create_app
from dashboard.stores.source import Source
from fmcore.records import Target


def test_errors_are_those_of_scikit_learn(store_path, store):
    with running(create_app(Source(store_path))) as where:
        url = f"{where}api/v1/stores/tiny/errors"
        answer = httpx.get(url)
        tag = answer.headers["etag"]
        assert httpx.get(url, headers={"if-none-match": tag}).status_code == 304
    assert answer.headers["x-store-digest"] == store.digest
    errors = answer.json()
    labels, predictions = store.labels, store.predictions
    every = range(len(CLASS_NAMES))
    matrix = metrics.confusion_matrix(labels, predictions, labels=every)
    assert {(pair["label"], pair["prediction"]): pair["n"] for pair in errors["pairs"]} == {
        (int(row), int(column)): int(matrix[row, column])
        for row, column in np.argwhere(matrix)
        if row != column
    }
    expected = metrics.precision_recall_fscore_support(
        labels, predictions, labels=every, zero_division=np.nan
    )
    for name, values in zip(("precision", "recall", "f1"), expected, strict=False):
        shares = [scores[name]["value"] for scores in errors["classes"]]
        assert_allclose(np.array(shares, dtype=float), values, rtol=1e-9)
    assert [scores["name"] for scores in errors["classes"]] == list(CLASS_NAMES)
    assert sum(part["n"] for part in errors["calibration"]["bins"]) == len(labels)
    assert errors["accuracy"]["value"] == metrics.accuracy_score(labels, predictions)


@pytest.mark.parametrize("target", [Target.LABELS, Target.NUMBER])
def test_of_several_labels_there_are_scores_and_of_numbers_a_reason(target, tmp_path):
    path = make_target_store(tmp_path / "s.h5", target)
    with running(create_app(Source(path))) as where:
        answer = httpx.get(f"{where}api/v1/stores/s/errors")
    if target == Target.LABELS:
        assert [scores["n_label"] for scores in answer.json()["classes"]]
        assert answer.json()["calibration"] is None
    else:
        assert answer.status_code == 404
        assert "no class" in answer.json()["detail"]
