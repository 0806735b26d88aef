"""What reacts at a place, against numpy on the raw arrays and fields found by moving pixels."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from helpers.factories import count, make_encoded_store, make_store
from keras import layers
from numpy.testing import assert_array_equal

from fmcore import capture_activations, open_store
from fmcore.errors import SelectionError, StatisticNotFoundError
from fmcore.units import Place, layer_reactions, parse_place, ranking, shares_of

pytestmark = pytest.mark.keras
SHAPE = (13, 11, 1)
RNG = np.random.default_rng(0)
IMAGES = RNG.random((24, *SHAPE), dtype=np.float32)
LABELS = np.arange(24) % 3


def conv(filters=3, kernel=3, **options):
    # A ReLU that is zero everywhere would hide what a unit sees.
    return layers.Conv2D(filters, kernel, **({"activation": "leaky_relu"} | options))


def branches(x):
    wide = conv(kernel=5, padding="same")(x)
    return conv()(layers.Concatenate()([conv(padding="same")(x), wide]))


def residual(x):
    x = conv(padding="same")(x)
    return conv()(layers.Add()([x, conv(padding="same", dilation_rate=2)(x)]))


def squeezed(x):
    x = conv(strides=2, padding="same")(x)
    scale = layers.Reshape((1, 1, 3))(layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    return conv()(layers.Multiply()([x, scale]))


ARCHITECTURES = {
    "plain": lambda x: conv()(layers.MaxPooling2D()(conv()(x))),
    "strides": lambda x: conv(strides=(2, 1), padding="same")(conv(strides=2)(x)),
    "branches": branches,
    "residual": residual,
    "squeezed": squeezed,
}


def moved_fields(model, path):
    """Which pixels move each unit of a layer, <bool>[y, x, image_y, image_x], pixel by pixel."""
    part = keras.Model(model.input, model.get_layer(path).output)
    changed = np.tile(IMAGES[:1], (SHAPE[0] * SHAPE[1], 1, 1, 1))
    for at in range(len(changed)):
        changed[at, at // SHAPE[1], at % SHAPE[1], 0] += 50.0
    before, after = part.predict(IMAGES[:1], verbose=0), part.predict(changed, verbose=0)
    moves = np.abs(after - before).max(axis=-1) > 1e-6
    return np.moveaxis(moves, 0, -1).reshape(*moves.shape[1:], *SHAPE[:2])


def boxes(moves):
    """First row, first column, last row and last column of what moves units, <int>[y, x, side]."""
    fields = np.empty((*moves.shape[:2], 4), int)
    for y, x in np.ndindex(moves.shape[:2]):
        rows, columns = np.nonzero(moves[y, x])
        fields[y, x] = rows.min(), columns.min(), rows.max(), columns.max()
    return fields


@pytest.mark.share
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_layer_equals_numpy_on_its_raw_maps_under_the_pixels_that_move_it(name, tmp_path):
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    middle = ARCHITECTURES[name](image)
    model = keras.Model(image, layers.Dense(3)(layers.Flatten()(middle)))
    path = tmp_path / "s.h5"
    capture_activations(model, IMAGES, LABELS, path, target="none", kind="all")
    image_shape = SHAPE[:2]
    with open_store(path) as store:
        for layer_path, layer in store.layers.items():
            fields = layer.receptive_fields()
            maps = layer.activation[:]
            if fields is None or maps.shape[1:3] == (1, 1):
                continue
            seen = boxes(moved_fields(model, layer_path))
            shares = shares_of(layer)
            for _ in range(count(6, 60)):
                top, left = (int(RNG.integers(size)) for size in image_shape)
                bottom, right = (
                    int(RNG.integers(at, min(at + 4, size)))
                    for at, size in zip((top, left), image_shape, strict=True)
                )
                sample = int(RNG.integers(len(IMAGES)))
                covers = (
                    (seen[..., 0] <= bottom) & (seen[..., 2] >= top)
                    & (seen[..., 1] <= right) & (seen[..., 3] >= left)
                )  # fmt: skip
                reactions = layer_reactions(
                    layer,
                    sample,
                    Place(top, left, bottom, right),
                    fields=fields,
                    shares=shares,
                    image_shape=image_shape,
                )
                if not covers.any():
                    assert reactions is None
                    continue
                units = np.where(covers[..., None], maps[sample], -np.inf)
                assert_array_equal(reactions.values, units.max(axis=(0, 1)))
                flat = units.reshape(-1, maps.shape[-1]).argmax(axis=0)
                assert_array_equal(
                    np.stack([reactions.y, reactions.x]), np.unravel_index(flat, maps.shape[1:3])
                )
                is_whole = (
                    seen[reactions.y, reactions.x] == (0, 0, SHAPE[0] - 1, SHAPE[1] - 1)
                ).all(axis=1)
                assert_array_equal(reactions.sees_all, is_whole)
                exact = (maps < reactions.values).mean(axis=(0, 1, 2))
                with np.errstate(invalid="ignore"):
                    assert (reactions.shares <= exact + 1e-6).all(), "at least that share"
                    # A bin is a sixteenth of an octave: what lies in it is all that is missing.
                    near = np.abs(maps - reactions.values) <= np.abs(reactions.values) / 15 + 1e-30
                    assert (reactions.shares >= exact - near.mean(axis=(0, 1, 2)) - 1e-6).all()


def test_without_histograms_shares_come_from_the_samples_and_are_never_too_large(tmp_path):
    store_path = make_store(tmp_path / "s.h5", 37, statistics="basic")
    with open_store(store_path) as store:
        for layer in store.layers.values():
            shares, maps = shares_of(layer), layer.activation[:]
            assert "no histograms" in shares.words
            alive = maps.min(axis=(0, 1, 2)) < maps.max(axis=(0, 1, 2))
            for _ in range(50):
                values = maps[int(RNG.integers(len(maps)))].max(axis=(0, 1)) * np.float32(
                    RNG.random()
                )
                exact = (maps < values).mean(axis=(0, 1, 2))
                largest, zeros = maps.max(axis=(1, 2)), (maps == 0).mean(axis=(1, 2))
                bound = np.where(largest < values, 1, zeros * (values > 0)).mean(axis=0)
                bounds = shares.below(values)
                assert_array_equal(np.isnan(bounds), ~alive)
                assert (bounds[alive] <= exact[alive] + 1e-6).all()
                np.testing.assert_allclose(bounds[alive], bound[alive], atol=1e-6)


def test_dead_and_constant_filters_are_left_out_and_the_rest_is_ranked(store):
    place, image_shape = Place(2, 3, 4, 4), store.images.shape[1:3]
    reactions = []
    for layer in store.layers.values():
        height, width, _ = layer.shape
        fields = np.zeros((height, width, 4), int)
        fields[..., 2:] = image_shape[0] - 1, image_shape[1] - 1
        fields[0, :, 2] = 3  # the first row sees little
        options = {"fields": fields, "shares": shares_of(layer), "image_shape": image_shape}
        reactions.append(layer_reactions(layer, 5, place, **options))
    listed = ranking(reactions, 1000)
    named = [(reactions[at].layer, index) for at, index in listed]
    for layer in store.layers.values():
        maps = layer.activation[:]
        varies = np.flatnonzero(maps.min(axis=(0, 1, 2)) < maps.max(axis=(0, 1, 2)))
        assert {index for path, index in named if path == layer.path} == set(varies.tolist())
    keys = [
        (reactions[at].sees_all[f], -reactions[at].shares[f], -reactions[at].values[f])
        for at, f in listed
    ]
    assert keys == sorted(keys)
    assert ranking(reactions, 3) == listed[:3]
    assert ranking([], 3) == []


def test_a_unit_that_sees_only_padding_sees_no_place():
    fields = np.full((1, 2, 4), -1)
    fields[0, 1] = 0, 0, 5, 5
    assert_array_equal(Place(0, 0, 0, 0).seen_by(fields), [[False, True]])


def test_a_place_is_a_pixel_or_a_box_inside_the_image():
    assert parse_place("3,4", (5, 6)) == Place(3, 4, 3, 4)
    assert parse_place("0,1,4,5", (5, 6)).words == "y 0 to 4, x 1 to 5"
    odd = ("", "3", "3,4,5", "5,0", "0,6", "1,1,0,2", "1,2,1,1", "-1,0", "a,b", "1,1,1,6", "١,١")
    for text in (*odd, "1,2,3,4,5", "1.5,2", "3,4 ", "9" * 40 + ",1"):
        with pytest.raises(SelectionError) as caught:
            parse_place(text, (5, 6))
        assert caught.value.field == "at"


def test_tables_too_large_to_be_read_say_so(tmp_path, monkeypatch):
    monkeypatch.setattr("fmcore.units.shares.TABLE_BYTES", 64)
    path = make_store(tmp_path / "s.h5", 37, statistics="basic")
    with open_store(path) as store, pytest.raises(StatisticNotFoundError, match="too many"):
        shares_of(next(iter(store.layers.values())))


def test_a_store_without_classes_has_shares(tmp_path):
    path = make_encoded_store(tmp_path / "s.h5")
    with open_store(path) as store:
        for layer in store.layers.values():
            assert shares_of(layer).below(np.ones(layer.n_filters, "f4")).shape == (
                layer.n_filters,
            )
