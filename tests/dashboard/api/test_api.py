"""The HTTP API gives what the file holds, to the bit, or a problem that names the parameter."""

from __future__ import annotations

import collections
import concurrent.futures
import io
import json
import shutil
import subprocess
import sys
import threading
import zlib
from dataclasses import replace
from pathlib import Path

import h5py
import httpx
import numpy as np
import pandas as pd
import pytest
from helpers.ablations import make_ablation
from helpers.factories import (
    GRAPH,
    NumpyProbe,
    count,
    make_plan,
    make_samples,
    make_store,
    reference,
)
from helpers.servers import running
from helpers.sharded import copy_store
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from PIL import Image

from dashboard import create_app
from dashboard.api import OPERATIONS, Limits
from dashboard.stores.source import Source
from fmcore import open_store
from fmcore.capture import capture
from fmcore.export import FORMATS
from fmcore.selection import set_text
from fmcore.storage import handle

FIRST, SECOND = "block/conv 1", "conv2"
MAPS = dict(zip((FIRST, SECOND), reference().activations, strict=True))
FORMATS_OF = {
    operation.name: [form.name for form in operation.formats]
    for operation in OPERATIONS
    if operation.formats
}


@pytest.fixture(scope="module")
def api(store_path):
    with running(create_app(Source(store_path))) as url, httpx.Client(base_url=url) as client:
        yield client


def maps(api, **query):
    return api.get("api/v1/stores/tiny/maps", params=query)


def array(answer) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    shape = tuple(map(int, answer.headers["x-shape"].split(",")))
    return np.frombuffer(answer.content, answer.headers["x-dtype"]).reshape(shape)


def problem(answer, status: int, field: str = "") -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body.get("field", "")) == (status, field), body
    return body["detail"]


def test_stores_and_layers_say_what_there_is(api, store):
    (line,) = api.get("api/v1/stores").json()
    assert (line["name"], line["digest"], line["n_samples"]) == ("tiny", store.digest, 37)
    about = api.get("api/v1/stores/tiny").json()
    assert about["layers"] == [FIRST, SECOND]
    assert about["class_sizes"] == store.class_sizes.tolist()
    assert about["about"]["model"]["name"] == "tiny"
    first, second = api.get("api/v1/stores/tiny/layers").json()
    assert (first["path"], first["y"], first["x"], first["n_filters"]) == (FIRST, 9, 8, 20)
    assert second["statistics"] == list(store.layers[SECOND].statistics)


def test_the_graph_of_the_model_is_sent_once(api, store):
    where = "api/v1/stores/tiny/graph"
    answer = api.get(where)
    graph = answer.json()
    first = {"path": "image", "kind": "InputLayer", "shape": [9, 8, 1], "parameters": 0}
    assert graph["nodes"][0] == first | {"layer": ""}
    assert [node["path"] for node in graph["nodes"]] == [node.path for node in GRAPH.nodes]
    assert [node["layer"] for node in graph["nodes"] if node["layer"]] == list(store.layers)
    assert [tuple(edge) for edge in graph["edges"]] == list(GRAPH.edges)
    assert answer.headers["x-store-digest"] == store.digest
    again = api.get(where, headers={"if-none-match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_a_store_without_a_graph_answers_why():
    old = Path(__file__).parents[2] / "golden" / "store-1.0.h5"
    with running(create_app(Source(old))) as where:
        answer = httpx.get(f"{where}api/v1/stores/store-1.0/graph")
        assert "the store is older than graphs" in problem(answer, 404)


@pytest.mark.parametrize("layer", MAPS)
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("query", "rows", "filters"),
    [
        ({}, slice(None), slice(None)),
        ({"sample": "5"}, [5], slice(None)),
        ({"sample": "0:32"}, slice(0, 32), slice(None)),
        ({"sample": "30,2", "filter": "2,0"}, [30, 2], [2, 0]),
        ({"sample": "3:20:4", "filter": "1:"}, slice(3, 20, 4), slice(1, None)),
    ],
)
def test_arrays_equal_numpy_in_every_form(api, layer, dtype, query, rows, filters):
    expected = MAPS[layer][rows][..., filters].astype(dtype)
    query = {"layer": layer, "dtype": dtype, **query}
    for encoding in ("deflate", "identity"):
        answer = api.get(
            "api/v1/stores/tiny/maps", params=query, headers={"accept-encoding": encoding}
        )
        got = array(answer)
        assert got.dtype == dtype
        assert_array_equal(got, expected)
        assert answer.headers["x-axes"] == "sample,y,x,filter"
    npy = np.load(io.BytesIO(maps(api, **query, format="npy").content), allow_pickle=False)
    assert npy.dtype == dtype
    assert_array_equal(npy, expected)
    told = maps(api, **query, format="json").json()
    assert told["axes"] == ["sample", "y", "x", "filter"]
    assert_array_equal(np.array(told["values"], dtype), expected)
    text = maps(api, **query, format="csv").text
    rows_of = pd.read_csv(io.StringIO(text))
    assert_array_equal(rows_of.value.to_numpy(dtype), expected.reshape(-1))
    assert_array_equal(rows_of["filter"], np.tile(told["filter"], expected[..., 0].size))


def test_the_description_lists_the_formats_that_each_route_sends_and_no_other(api):
    paths = api.get("openapi.json").json()["paths"]
    sent = {
        "maps": ["raw", "npy", "csv", "json"],
        "pooled": ["raw", "npy", "csv", "json"],
        "statistics": ["json", "csv"],
        "samples": ["json", "csv"],
        "terms": ["json", "csv"],
        "contrast": ["raw", "json", "csv"],
        "costs": ["json", "csv"],
    }
    few = {
        "maps": {"layer": SECOND, "sample": "0:3"},
        "pooled": {"layer": SECOND, "sample": "0:3", "statistic": "max"},
        "statistics": {"layer": SECOND, "statistic": "mean"},
        "samples": {"sample": "0:3"},
        "contrast": {"a": "0:5"},
    }
    for route, formats in FORMATS_OF.items():
        assert set(sent[route]) <= set(formats), route
        operation = paths[f"/api/v1/stores/{{store}}/{route}"]["get"]
        schemas = {one["name"]: one["schema"] for one in operation["parameters"]}
        assert schemas["format"]["enum"] == list(formats)
        assert schemas["format"]["default"] == sent[route][0]
        # Of a model with a configuration alone, test_operations.py asks it; costs, test_costs.py.
        if route in ("terms", "costs"):
            continue
        query = few[route]
        described = operation["responses"]["200"]["content"]
        media_types = set()
        for name in {*formats, *FORMATS}:
            answer = api.get(f"api/v1/stores/tiny/{route}", params={**query, "format": name})
            if name not in formats:
                assert "expected one of" in problem(answer, 422, "format")
                continue
            assert answer.status_code == 200, (route, name, answer.text)
            media_types.add(answer.headers["content-type"].partition(";")[0])
        assert media_types == set(described)


def test_what_is_sent_as_a_file_has_a_name_that_says_what_was_asked_for(api):
    for name in FORMATS_OF["maps"]:
        answer = maps(api, layer=SECOND, sample="3,1", filter="2", format=name)
        kind = {"raw": "", "json": "inline"}.get(name, "attachment")
        expected = f'{kind}; filename="tiny-conv2-maps-sample3_1-filter2.{name}"'
        assert answer.headers.get("content-disposition", "") == (expected if kind else "")
    answer = maps(api, layer=FIRST, sample="top:2", filter="0", format="npy")
    name = "tiny-block_conv_1-maps-sample_top_2-filter0.npy"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    query = {"statistic": "auc_mean", "format": "csv"}
    answer = api.get("api/v1/stores/tiny/statistics", params=query)
    name = "tiny-statistics-auc_mean.csv"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'


def test_json_of_maps_has_null_where_a_value_is_no_number(tmp_path):
    class Broken(NumpyProbe):
        def __call__(self, images, others=None):
            captured = super().__call__(images)
            captured.activations[1][:, 0, 0, 0] = np.nan, *[-np.inf] * (len(images) - 1)
            return captured

    path = capture(Broken(), make_samples(37), tmp_path / "s.h5", make_plan(37))
    with running(create_app(Source(path))) as url:
        query = {"layer": SECOND, "sample": "0:2", "format": "json"}
        text = httpx.get(f"{url}api/v1/stores/s/maps", params=query).text
    values = json.loads(text, parse_constant=pytest.fail)["values"]
    assert [one[0][0][0] for one in values] == [None, None]
    expected = MAPS[SECOND][:2].copy()
    expected[:, 0, 0, 0] = np.nan
    assert_array_equal(np.array(values, "f4"), expected)


def test_a_stored_chunk_is_the_body(api, store_path):
    with h5py.File(store_path, locking=False) as file:
        stored = file["layers/block_conv_1/activation"]
        rows = stored.chunks[0]
        chunk = stored.id.read_direct_chunk((rows, 0, 0, 0))[1]
    assert rows == 2  # small samples share a chunk
    query = {"layer": FIRST, "sample": f"{rows}:{2 * rows}"}
    with api.stream("GET", "api/v1/stores/tiny/maps", params=query) as answer:
        assert answer.headers["content-encoding"] == "deflate"
        raw = b"".join(answer.iter_raw())
    assert raw == chunk[:-4]  # without its checksum, which held
    inflated = np.frombuffer(zlib.decompress(raw), "<f4").reshape(-1, 9, 8, 20)
    assert_array_equal(inflated, MAPS[FIRST][rows : 2 * rows])
    for other in ({"sample": "1:3"}, {"sample": "3,2"}, {"filter": "0:19"}, {"dtype": "float16"}):
        answer = maps(api, **(query | other))
        assert "content-encoding" not in answer.headers
    identity = {"accept-encoding": "identity"}
    answer = api.get("api/v1/stores/tiny/maps", params=query, headers=identity)
    assert answer.content == inflated.tobytes()


def test_plain_values_are_deflated_on_their_way_for_those_who_take_it(tmp_path):
    plain, small = (
        make_store(tmp_path / f"{compression}.h5", compression=compression)
        for compression in ("none", "deflate")
    )
    with running(create_app(Source(plain))) as url, running(create_app(Source(small))) as other:
        where = "maps?layer=conv2&sample=0:37"
        with httpx.stream("GET", f"{other}api/v1/stores/deflate/{where}") as answer:
            stored = b"".join(answer.iter_raw())
        where = f"{url}api/v1/stores/none/{where}"
        tags = set()
        for accepted in ("gzip, deflate", "deflate;q=0.5", "gzip", "deflate;q=0", ""):
            headers = {"accept-encoding": accepted}
            with httpx.stream("GET", where, headers=headers) as answer:
                body = b"".join(answer.iter_raw())
            is_deflated = answer.headers.get("content-encoding") == "deflate"
            assert is_deflated == (accepted in ("gzip, deflate", "deflate;q=0.5"))
            assert answer.headers["vary"] == "accept-encoding"
            assert answer.headers["content-length"] == str(len(body))
            assert len(body) <= len(stored) if is_deflated else len(body) > len(stored)
            values = np.frombuffer(zlib.decompress(body) if is_deflated else body, "<f4")
            assert_array_equal(values.reshape(37, 4, 4, 3), MAPS[SECOND])
            tag = answer.headers["etag"]
            tags.add((tag, is_deflated))
            known = httpx.get(where, headers=headers | {"if-none-match": tag})
            assert (known.status_code, known.headers["etag"], known.content) == (304, tag, b"")
            head = httpx.head(where, headers=headers)
            assert (head.status_code, head.content) == (200, b"")
            for name in ("content-length", "content-encoding", "etag", "x-shape", "x-dtype"):
                assert head.headers.get(name) == answer.headers.get(name), name
            part = httpx.get(where, headers=headers | {"range": "bytes=4-9"})
            assert (part.status_code, part.content) == (206, MAPS[SECOND].tobytes()[4:10])
            assert "content-encoding" not in part.headers
        assert len(tags) == len({tag for tag, _ in tags}) == 2, "other bytes, another tag"


def test_noise_is_sent_as_it_is(tmp_path, monkeypatch):
    noise = np.frombuffer(np.random.default_rng(0).bytes(37 * 9 * 8 * 20 * 4), "<f4")
    noise = np.nan_to_num(noise.reshape(37, 9, 8, 20), posinf=1, neginf=1)

    class Noisy(NumpyProbe):
        def __call__(self, images, others=None):
            captured = super().__call__(images)
            return replace(captured, activations=(noise[: len(images)], captured.activations[1]))

    path = capture(Noisy(), make_samples(37), tmp_path / "s.h5", make_plan(37, compression="none"))
    with running(create_app(Source(path))) as url:
        answer = httpx.get(f"{url}api/v1/stores/s/maps", params={"layer": FIRST, "sample": "0:2"})
    assert "content-encoding" not in answer.headers
    assert answer.content == noise[:2].tobytes()


def test_pooled_tables_equal_the_store(api, store):
    path, layer = "api/v1/stores/tiny/pooled", store.layers[SECOND]
    for name in layer.pooled_names:
        query = {"layer": SECOND, "statistic": name, "sample": "4:9"}
        got = array(api.get(path, params=query))
        assert got.dtype == layer.pooled(name).dtype
        assert_array_equal(got, layer.pooled(name)[4:9])
    query = {"layer": SECOND, "sample": "wrong", "class": "one", "format": "csv"}
    rows = pd.read_csv(io.StringIO(api.get(path, params=query).text))
    chosen = np.flatnonzero((store.labels == 1) & (store.predictions != 1))
    assert_array_equal(rows["sample"], np.repeat(chosen, 3))
    assert_array_equal(rows["max"].to_numpy("f4"), layer.pooled("max")[chosen].reshape(-1))
    assert "name one with statistic" in problem(
        api.get(path, params={"layer": SECOND}), 422, "statistic"
    )


def test_statistics_and_samples_are_tidy(api, store):
    query = {"layer": SECOND, "statistic": "auc_max", "class": "one", "filter": "0,2"}
    rows = api.get("api/v1/stores/tiny/statistics", params=query).json()
    auc = store.layers[SECOND].statistic("auc_max")
    expected = [None if np.isnan(value) else value for value in auc[1, [0, 2]].tolist()]
    assert [row["value"] for row in rows] == expected
    assert all((row["reason"] is None) == (row["value"] is not None) for row in rows)
    assert {row["class"] for row in rows} == {"one"}
    samples = api.get("api/v1/stores/tiny/samples", params={"class": "zwei ②"}).json()
    assert [row["index"] for row in samples] == np.flatnonzero(store.labels == 2).tolist()
    text = api.get("api/v1/stores/tiny/samples", params={"format": "csv"}).text
    assert_array_equal(pd.read_csv(io.StringIO(text)).label, store.labels)


def test_a_group_chooses_the_same_samples_everywhere(api, store):
    where = "api/v1/stores/tiny/"
    values = store.layers[FIRST].pooled("max")[:, 2].astype(float)
    wrong = store.labels != store.predictions
    expected = np.flatnonzero(wrong & (values > np.quantile(values, 0.3))).tolist()
    assert len(expected) > 3
    text = 'filter("block/conv 1",2)>0.3 quantile, WRONG'
    got = api.get(f"{where}group", params={"expression": text})
    assert got.headers["x-store-digest"] == store.digest
    answer = got.json()
    assert answer == {
        "expression": 'filter("block/conv 1",2)>0.3 quantile wrong',
        "n": len(expected),
        "n_samples": 37,
        "words": f"{len(expected)} of the 37 samples of tiny.h5",
        "samples": expected,
    }
    again = {"if-none-match": got.headers["etag"]}
    assert api.get(f"{where}group", params={"expression": text}, headers=again).status_code == 304
    for sample in (text, answer["expression"], set_text(expected)):
        rows = api.get(f"{where}samples", params={"sample": sample}).json()
        assert [row["index"] for row in rows] == expected
        assert_array_equal(array(maps(api, layer=SECOND, sample=sample)), MAPS[SECOND][expected])
    none = api.get(f"{where}group", params={"expression": "correct wrong"}).json()
    assert (none["samples"], none["words"]) == ([], "none of the 37 samples of tiny.h5")
    assert api.get(f"{where}group").json()["n"] == 37


@pytest.mark.parametrize(
    ("path", "status", "field", "why"),
    [
        (
            "api/v1/stores/tiny/group?expression=wrong+or",
            422,
            "expression",
            "at character 9 expect",
        ),
        ("api/v1/stores/tiny/group?expression=label%3D9", 422, "expression", "no class '9'"),
        ("api/v1/stores/tiny/group?expression=0:3,@a", 422, "expression", "Python only"),
        ("api/v1/stores/tiny/group?expression=set:AAAA", 422, "expression", "is damaged"),
        ("api/v1/stores/tiny/maps?layer=conv2&sample=set:AAAA", 422, "sample", "is damaged"),
        (
            "api/v1/stores/tiny/pooled?layer=conv2&sample=correct+wrong",
            422,
            "sample",
            "no sample is",
        ),
        ("api/v1/nothing", 404, "", "no route"),
        ("api/nothing", 404, "", "no route"),
        ("api/v1/stores/tinny", 404, "", "did you mean tiny"),
        ("api/v1/stores/tinny/maps?layer=conv2", 404, "", "did you mean tiny"),
        ("api/v1/stores/..%2ftiny/maps?layer=conv2", 404, "", ""),
        ("api/v1/stores/tiny/maps?layer=conv9", 422, "layer", "did you mean conv2"),
        ("api/v1/stores/tiny/maps", 422, "layer", "an array is of one"),
        ("api/v1/stores/tiny/maps?layer=conv2&sample=37", 422, "sample", "no sample with index 37"),
        ("api/v1/stores/tiny/maps?layer=conv2&sample=@/etc/passwd", 422, "sample", "Python only"),
        ("api/v1/stores/tiny/maps?layer=conv2&smaple=1", 422, "smaple", "did you mean sample"),
        ("api/v1/stores/tiny/maps?layer=conv2&layer=conv2", 422, "layer", "given twice"),
        ("api/v1/stores/tiny/maps?layer=conv2&what=maps", 422, "what", "by the path"),
        ("api/v1/stores/tiny/maps?layer=conv2&format=h5", 422, "format", "expected one of raw"),
        ("api/v1/stores/tiny/maps?layer=conv2&class=tree", 422, "class", "did you mean <b>three"),
        ("api/v1/stores/tiny/maps?layer=conv2&dtype=f8", 422, "dtype", "expected one of"),
        ("api/v1/stores/tiny/samples?layer=conv2", 422, "layer", "chooses no samples"),
        ("api/v1/stores/tiny/statistics?statistic=acu", 422, "statistic", "did you mean auc"),
        ("api/v1/stores/tiny/statistics?sample=3", 422, "sample", "whole test set"),
        ("api/v1/stores/tiny/maps?" + "&".join(f"a{i}=1" for i in range(40)), 422, "query", ""),
    ],
)
def test_a_mistake_is_a_problem_that_names_the_parameter(api, path, status, field, why):
    assert why in problem(api.get(path), status, field)
    assert api.post(path.split("?")[0]).status_code in (404, 405)


def test_a_request_cannot_have_a_regular_expression_matched(api):
    slow = "re:(?:[^x]|[^y]|[^z]|[^w])*!"  # took 15 s for a name of 12 characters
    for path, field in (
        (f"maps?layer={slow}", "layer"),
        (f"pooled?layer={slow}", "layer"),
        (f"statistics?statistic={slow}", "statistic"),
        (f"pooled?layer=conv2&statistic={slow}&format=csv", "statistic"),
        ("maps?layer=conv2,re:.*", "layer"),
    ):
        answer = api.get(f"api/v1/stores/tiny/{path}")
        assert "command line and Python" in problem(answer, 422, field)


def test_answers_over_a_limit_are_refused_before_they_are_made(store_path):
    limits = Limits(array_bytes=10_000, text_bytes=4_000)
    with running(create_app(Source(store_path), limits=limits)) as url:
        query = f"{url}api/v1/stores/tiny/maps?layer=conv2"
        assert "choose fewer samples" in problem(
            httpx.get(f"{url}api/v1/stores/tiny/maps?layer=block/conv 1"), 413
        )
        assert httpx.get(query).status_code == 200
        for form in ("json", "csv"):
            assert "of text" in problem(httpx.get(f"{query}&format={form}"), 413)
            assert httpx.get(f"{query}&format={form}&sample=0").status_code == 200
        problem(httpx.get(f"{url}api/v1/stores/tiny/statistics"), 413)


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_ranges_are_those_of_the_whole(api, data):
    form = data.draw(st.sampled_from(["raw", "npy"]))
    query = {"layer": FIRST, "format": form, "sample": "3:30"}
    whole = maps(api, **query)
    size = len(whole.content)
    start = data.draw(st.integers(0, size - 1))
    stop = data.draw(st.integers(start, size + 10))
    for asked, expected in (
        (f"bytes={start}-{stop}", whole.content[start : stop + 1]),
        (f"bytes={start}-", whole.content[start:]),
        (f"bytes=-{start + 1}", whole.content[-start - 1 :]),
    ):
        answer = api.get(
            "api/v1/stores/tiny/maps",
            params=query,
            headers={"range": asked, "if-range": whole.headers["etag"]},
        )
        assert answer.status_code == 206
        assert answer.content == expected
        end = answer.headers["content-range"]
        assert end.endswith(f"/{size}")


def test_validators_save_what_is_known_and_notice_what_changed(tmp_path):
    path = make_store(tmp_path / "s.h5")
    with running(create_app(Source(path))) as url:
        for query in (
            "layer=conv2&sample=0:32",
            "layer=conv2&format=npy",
            "layer=conv2&format=json",
        ):
            where = f"{url}api/v1/stores/s/maps?{query}"
            first = httpx.get(where)
            tag = first.headers["etag"]
            known = httpx.get(where, headers={"if-none-match": f'"x", {tag}'})
            assert (known.status_code, known.content) == (304, b"")
            assert known.headers["etag"] == tag
        where = f"{url}api/v1/stores/s/maps?layer=conv2&format=npy"
        tag = httpx.get(where).headers["etag"]
        assert httpx.get(where, headers={"range": "bytes=0-9", "if-range": tag}).status_code == 206
        assert httpx.get(where, headers={"range": "bytes=9999999-"}).status_code == 416
        assert httpx.get(where, headers={"range": "bytes=9-3"}).status_code == 200
        head = httpx.head(where)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == httpx.get(where).headers["content-length"]
        make_store(path, 20, overwrite=True)
        again = httpx.get(where, headers={"range": "bytes=0-9", "if-range": tag})
        assert again.status_code == 200
        assert again.headers["etag"] != tag
        assert np.load(io.BytesIO(again.content)).shape[0] == 20


def test_a_damaged_chunk_is_a_problem_and_never_wrong_numbers(tmp_path):
    path = make_store(tmp_path / "s.h5")
    with open_store(path) as store:
        index = store.layers[SECOND].activation._index
        offset = int(index.offsets.reshape(-1)[0])
    with path.open("r+b") as file:
        file.seek(offset + 5)
        byte = file.read(1)
        file.seek(offset + 5)
        file.write(bytes([byte[0] ^ 1]))
    with running(create_app(Source(path))) as url:
        for query in ("sample=0:32", "sample=3", "sample=3&format=npy"):
            answer = httpx.get(f"{url}api/v1/stores/s/maps?layer=conv2&{query}")
            assert "s.h5 is a damaged" in problem(answer, 500)
            assert str(tmp_path) not in answer.text


def test_a_store_that_is_gone_is_said(tmp_path):
    path = make_store(tmp_path / "s.h5")
    with running(create_app(Source(path))) as url:
        shutil.move(path, tmp_path / "other.h5")
        assert "cannot open store" in problem(
            httpx.get(f"{url}api/v1/stores/s/maps?layer=conv2"), 503
        )
        shutil.move(tmp_path / "other.h5", path)
        assert httpx.get(f"{url}api/v1/stores/s/maps?layer=conv2").status_code == 200


def test_text_of_a_damaged_chunk_is_a_problem_too(tmp_path):
    path = make_store(tmp_path / "s.h5")
    with open_store(path) as store:
        offset = int(store.layers[SECOND].activation._index.offsets.reshape(-1)[0])
    with path.open("r+b") as file:
        file.seek(offset + 5)
        file.write(bytes(8))
    with running(create_app(Source(path))) as url:
        for form in ("csv", "json", "npy"):
            answer = httpx.get(f"{url}api/v1/stores/s/maps?layer=conv2&format={form}")
            assert "damaged" in problem(answer, 500)


def test_the_event_loop_opens_no_store_and_asks_hdf5_nothing(store_path, monkeypatch):
    where: list[str] = []
    index_of, opened = handle.index_of, Source.snapshot

    def noted(call):
        def called(*arguments):
            where.append(threading.current_thread().name)
            return call(*arguments)

        return called

    source = Source(store_path)
    app = create_app(source)
    monkeypatch.setattr(handle, "index_of", noted(index_of))
    monkeypatch.setattr(Source, "snapshot", noted(opened))
    monkeypatch.setattr(source._slots["tiny"], "opened", None)
    with running(app) as url:
        for _ in range(3):
            array(httpx.get(f"{url}api/v1/stores/tiny/maps?layer=conv2&sample=0:37"))
    assert where
    assert all(name.startswith("api_") for name in where)


def test_the_description_outlives_a_store_that_is_gone_for_a_while(tmp_path):
    path = make_store(tmp_path / "s.h5")
    with running(create_app(Source(path))) as url:
        shutil.move(path, tmp_path / "other.h5")
        assert "/api/v1/stores/{store}/maps" in httpx.get(f"{url}openapi.json").json()["paths"]
        shutil.move(tmp_path / "other.h5", path)
        assert "/api/v1/stores/{store}/maps" in httpx.get(f"{url}openapi.json").json()["paths"]


def test_other_methods_are_answered_as_the_api_answers(api):
    for path in (
        "healthz",
        "docs",
        "api/v1/stores",
        "api/v1/stores/tiny",
        "api/v1/stores/tiny/layers",
    ):
        got, head = api.get(path), api.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-type"] == got.headers["content-type"]
    assert api.head("api/zzz").status_code == 404
    for path in ("api/v1/stores", "api/v1/stores/tiny/maps", "api/zzz"):
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            answer = api.request(method, path)
            assert answer.headers["allow"] == "GET, HEAD"
            problem(answer, 405)
    assert "no route" in problem(api.get("api"), 404)
    beyond = api.get(
        "api/v1/stores/tiny/maps", params={"layer": SECOND}, headers={"range": "bytes=999999-"}
    )
    assert beyond.headers["content-range"].startswith("bytes */")
    problem(beyond, 416)


def test_what_fails_unexpectedly_is_a_problem_with_the_headers_of_all(store_path, monkeypatch):
    monkeypatch.setattr(Source, "current", lambda *_: 1 / 0)
    with running(create_app(Source(store_path))) as url:
        answer = httpx.get(f"{url}api/v1/stores/tiny/maps?layer=conv2&sample=0")
        assert "the server's log has it" in problem(answer, 500)
        assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.slow
def test_many_downloads_at_a_time_are_all_whole(api):
    expected = maps(api, layer=FIRST, format="npy").content

    def load(_: int) -> bool:
        url = f"{api.base_url}api/v1/stores/tiny/maps?layer={FIRST}&format=npy"
        return httpx.get(url, timeout=30).content == expected

    with concurrent.futures.ThreadPoolExecutor(20) as threads:
        assert all(threads.map(load, range(100)))


def test_the_reference_comes_from_this_server_alone(api):
    page = api.get("docs").text
    assert "http" not in page.replace("HTTP API", "")
    for part in ("swagger/swagger-ui.css", "swagger/swagger-ui-bundle.js", "own/reference.js"):
        assert f"docs/{part}" in page
        assert api.get(f"docs/{part}").status_code == 200
    paths = api.get("openapi.json").json()["paths"]
    assert {
        f"/api/v1/stores/{{store}}/{what}" for what in ("maps", "pooled", "statistics")
    } < paths.keys()


@pytest.mark.slow
def test_what_nobody_thought_of_is_answered_well(store_path, tmp_path):
    statuses: collections.Counter[int] = collections.Counter()
    store = copy_store(store_path, tmp_path / "tiny.h5")
    make_ablation(store)
    app = create_app(Source(store))

    async def counted(scope, receive, send):
        async def noted(message):
            if message["type"] == "http.response.start" and scope["path"].startswith("/api"):
                statuses[message["status"]] += 1
            await send(message)

        await app(scope, receive, noted if scope["type"] == "http" else send)

    with running(counted) as url:
        examples = str(count(20, 160))
        words = ["run", f"{url}openapi.json", "--max-examples", examples, "--seed", "1"]
        words += ["--continue-on-failure", "--no-color", "--checks"]
        words += [",".join(f"{one}_conformance" for one in ("status_code", "content_type"))]
        words[-1] += ",not_a_server_error,response_schema_conformance,negative_data_rejection"
        program = Path(sys.executable).with_name("schemathesis")
        done = subprocess.run([program, *words], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-1000:]
    n_asked = statuses.total()
    assert n_asked >= count(200, 2000), statuses
    assert statuses[200] >= 0.3 * n_asked, statuses
    assert statuses.keys() <= {200, 206, 304, 404, 405, 413, 416, 422}


def farthest(values: np.ndarray, step: int) -> np.ndarray:
    """Of each block the value farthest from zero, one block at a time: [y, x, filter]."""
    rows = []
    for y in range(0, values.shape[0], step):
        row = []
        for x in range(0, values.shape[1], step):
            block = values[y : y + step, x : x + step].reshape(-1, values.shape[2])
            at = np.abs(block).argmax(axis=0)
            row.append(np.take_along_axis(block, at[None], axis=0)[0])
        rows.append(row)
    return np.array(rows)


@pytest.mark.parametrize("step", [1, 2, 4, 100])
@pytest.mark.parametrize("window", [{}, {"y": "2:9", "x": "1:6"}, {"filter": "7,0,3"}])
def test_a_window_holds_the_strongest_of_each_block(api, step, window):
    answer = api.get(
        "api/v1/stores/tiny/windows", params={"layer": FIRST, "sample": 5, "step": step} | window
    )
    values = MAPS[FIRST][5]
    if "y" in window:
        values = values[2:9, 1:6]
    if "filter" in window:
        values = values[..., [7, 0, 3]]
    assert_array_equal(array(answer)[0], farthest(values, step))
    again = api.get(answer.url, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_window_that_is_none_names_the_parameter(api):
    def ask(**query):
        return api.get("api/v1/stores/tiny/windows", params={"layer": SECOND, "sample": 0} | query)

    for name, text in (("y", "0:5"), ("y", "3:2"), ("x", "a:b"), ("step", "-1"), ("sample", "x")):
        assert text in problem(ask(**{name: text}), 422, name)
    assert "expected layer" in problem(ask(pool="max"), 422, "pool")
    twice = api.get("api/v1/stores/tiny/windows?layer=conv2&sample=0&sample=1")
    assert "twice" in problem(twice, 422, "sample")
    assert array(ask(step="999999999")).shape == (1, 1, 1, 3), "no more work than there are rows"
    problem(ask(layer="no"), 404)
    problem(ask(sample="99"), 404)


def test_images_come_as_pictures_and_may_be_kept_where_their_store_is_named(api, store):
    answer = api.get("api/v1/stores/tiny/images/7.png")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert_array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), store.image(7)[..., 0])
    named = api.get("api/v1/stores/tiny/images/7.png", params={"v": store.digest, "size": 4})
    assert "immutable" in named.headers["cache-control"]
    assert max(Image.open(io.BytesIO(named.content)).size) == 4
    etag = {"if-none-match": answer.headers["etag"]}
    assert api.get("api/v1/stores/tiny/images/7.png", headers=etag).status_code == 304
    problem(api.get("api/v1/stores/tiny/images/37.png"), 404)
    problem(api.get(f"api/v1/stores/tiny/images/{'7' * 5000}.png"), 404)
    problem(api.get("api/v1/stores/tiny/images/7.png?size=0"), 422, "size")
