"""An ablation beside a store: noticed when it comes, is replaced and goes; refused by name."""

from __future__ import annotations

import httpx
import pytest
from helpers.ablations import make_ablation
from helpers.servers import running
from helpers.sharded import copy_store

from dashboard.app import create_app
from dashboard.stores.source import Source
from fmcore.errors import LayerNotFoundError, StatisticNotFoundError, StoreError
from fmcore.storage import ablation_path

LAYER = "conv2"


@pytest.fixture
def own(store_path, tmp_path):
    """A store of its own, without an ablation."""
    return copy_store(store_path, tmp_path / "own.h5")


def test_one_that_comes_is_replaced_and_goes_changes_the_digest_and_what_is_shown(own):
    source = Source(own)
    before = source.snapshot()
    assert before.digest == before.store.digest
    assert not before.catalog.measured
    with pytest.raises(StatisticNotFoundError, match=r"fmcore ablate own\.h5 --model MODEL"):
        before.layer_costs(LAYER)
    make_ablation(own)
    first = source.snapshot()
    make_ablation(own, seed=1)
    assert source.current("own") is None
    second = source.snapshot()
    assert source.current("own") is second
    assert len({before.digest, first.digest, second.digest}) == 3
    assert first.catalog.measured == second.catalog.measured == "cost"
    with pytest.raises(StoreError, match="replaced just now"):  # nothing new under an old digest
        first.layer_costs(LAYER)
    assert second.layer_costs(LAYER).costs.n.tolist() == [37] * 3
    ablation_path(own, "zero").unlink()
    assert source.snapshot().digest == before.digest
    assert second.layer_costs(LAYER)  # its readers have what it was


def test_another_replacement_changes_the_digest_too(own):
    source = Source(own)
    make_ablation(own)
    first = source.snapshot()
    make_ablation(own, by="mean", seed=2)
    both = source.snapshot()
    assert both.digest != first.digest
    assert both.ablations.measured == ("zero", "mean")
    assert both.ablation().facts.by == "zero"
    assert both.ablation("mean").facts.seed == 2


def test_one_of_another_store_is_refused_by_name_and_without_the_folder(own):
    make_ablation(own, digest="0" * 64)
    snapshot = Source(own).snapshot()
    for _ in range(2):  # the second time without a look
        with pytest.raises(
            StoreError, match=r"^own\.ablation-zero\.hdf5 is of another store"
        ) as it:
            snapshot.layer_costs(LAYER)
        assert str(own.parent) not in str(it.value)
    assert "is of another store" in snapshot.why_no_costs(LAYER)


def test_a_damaged_one_is_refused(own):
    make_ablation(own)
    path = ablation_path(own, "zero")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StoreError, match="damaged") as error:
        Source(own).snapshot().layer_costs(LAYER)
    assert str(own.parent) not in str(error.value)


def test_a_layer_that_was_not_measured_is_named(own):
    make_ablation(own, layers=slice(0, 1))
    with pytest.raises(LayerNotFoundError, match="conv2"):
        Source(own).snapshot().layer_costs(LAYER)


def test_answers_are_asked_for_anew_once_an_ablation_comes(own):
    with running(create_app(Source(own))) as url, httpx.Client(base_url=url) as client:
        address = "api/v1/stores/own/filters"
        first = client.get(address)
        headers = {"if-none-match": first.headers["etag"]}
        assert client.get(address, headers=headers).status_code == 304
        make_ablation(own)
        second = client.get(address, headers=headers)
        assert second.status_code == 200
        assert second.headers["x-store-digest"] != first.headers["x-store-digest"]
        assert b'"name":"cost"' not in first.content
        assert b'"name":"cost"' in second.content
