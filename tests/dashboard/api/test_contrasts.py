"""A contrast through the HTTP API equals that of the store, as typed columns and as text."""

from __future__ import annotations

import io
import json

import httpx
import numpy as np
import pandas as pd
import pytest
from helpers.servers import running

from dashboard import create_app
from dashboard.api.columns import ALIGNED
from dashboard.stores.source import Source
from fmcore import open_store


@pytest.fixture(scope="module")
def url(store_path):
    with running(create_app(Source(store_path))) as where:
        yield f"{where}api/v1/stores/tiny/contrast"


@pytest.fixture(scope="module")
def result(store_path):
    with open_store(store_path) as store:
        return store.contrast("0:15", "12:37", by="max")


QUERY = {"a": "0:15", "b": "12:37", "by": "max"}


def columns_of(content: bytes) -> tuple[dict, dict]:
    """The object, and the arrays of each column by name."""
    length = int.from_bytes(content[:4], "little")
    head, at, columns = json.loads(content[4 : 4 + length]), 4 + length, {}
    for column in head["columns"]:
        kinds = [(column["dtype"], head["n"])]
        if "two_sided" in column:
            kinds += [("|u1", head["n"]), ("<f8", 2 * head["n"])]
        columns[column["name"]] = []
        for kind, n in kinds:
            at += -at % ALIGNED
            columns[column["name"]].append(np.frombuffer(content, kind, n, at))
            at += n * np.dtype(kind).itemsize
    assert at == len(content)
    return head, columns


def test_typed_columns_are_those_of_the_store(url, result):
    answer = httpx.get(url, params=QUERY)
    assert answer.status_code == 200
    head, columns = columns_of(answer.content)
    assert (head["n_a"], head["n_b"], head["notes"]) == (12, 22, list(result.notes))
    assert (head["n_tests"], head["n_apart"]) == (result.n_tests, result.n_apart)
    for name in ("p", "q", "effect", "mean_a", "mean_b", "filter"):
        np.testing.assert_array_equal(columns[name][0], getattr(result, name))
    auc, within, bounds = columns["auc"]
    np.testing.assert_array_equal(auc, result.auc)
    np.testing.assert_array_equal(bounds.reshape(2, -1), result.chance)
    inside = (result.auc >= result.chance[0]) & (result.auc <= result.chance[1])
    np.testing.assert_array_equal(within == 1, inside)


def test_text_has_the_best_filter_first_and_notes_in_a_header(url, result):
    answer = httpx.get(url, params={**QUERY, "format": "csv"})
    rows = pd.read_csv(io.StringIO(answer.text))
    np.testing.assert_allclose(rows["auc"], result.auc[result.order()], rtol=1e-15)
    assert json.loads(answer.headers["x-notes"]) == list(result.notes)
    of_json = httpx.get(url, params={**QUERY, "format": "json"}).json()
    assert [row["filter"] for row in of_json] == rows["filter"].tolist()


def test_an_answer_that_is_known_is_not_sent_again_and_other_groups_have_another_tag(url):
    tag = httpx.get(url, params=QUERY).headers["etag"]
    again = httpx.get(url, params=QUERY, headers={"if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    assert httpx.get(url, params=QUERY | {"by": "mean"}).headers["etag"] != tag


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "a"),
        ({"a": "label=9999"}, "a"),
        ({"a": "0:3", "b": "nonsense"}, "b"),
        ({"a": "0:3", "b": "0:3"}, "a"),
        ({"a": "not all"}, "a"),
        ({"a": "@/etc/passwd"}, "a"),
        ({"a": "0:3", "by": "median"}, "by"),
        ({"a": "0:3", "layer": "conv1"}, "layer"),
    ],
)
def test_what_is_no_pair_of_groups_is_refused_with_its_field(url, query, field):
    answer = httpx.get(url, params=query)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] in (field, "group")
