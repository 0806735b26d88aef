"""What counts as different, in plain numpy: the first place, the tolerances, rounding, ties."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fmcore.dataset import Preprocessing, preprocessing_named, preprocessing_of_words
from fmcore.dataset.preprocessing import NAMES
from fmcore.errors import ModelError, SelectionError
from fmcore.records import Conversion, Target
from fmcore.verification.differences import (
    Subject,
    first_answer_difference,
    first_map_difference,
    first_pooled_difference,
    first_prediction_difference,
    first_unequal,
    tolerance,
)
from fmcore.verification.measures import measures
from fmcore.verification.outputs import Recorded, answers_of

RNG = np.random.default_rng(0)
SAMPLES = np.array([3, 8, 40])
MAPS = np.maximum(RNG.normal(size=(3, 5, 4, 6)), 0).astype(np.float32)
SIZE = float(MAPS.max())


def maps_differ(stored, *, expected=MAPS, policy="float32", resolution=1e-5):
    return first_map_difference("conv1", policy, expected, stored, SAMPLES, resolution=resolution)


def changed(maps, place, value):
    copy = maps.copy()
    copy[place] = value
    return copy


def test_the_first_unequal_value_is_named_with_its_place_and_both_values():
    stored = changed(changed(MAPS, (2, 0, 0, 0), 9), (1, 4, 2, 5), np.float32(7.25))
    difference = maps_differ(stored)
    assert (difference.subject, difference.place) == (
        Subject.MAPS,
        "layer conv1, sample 8, y 4, x 2, filter 5",
    )
    assert np.float32(difference.expected) == MAPS[1, 4, 2, 5]
    assert difference.stored == "7.25"
    assert str(difference).endswith(f"expected {difference.expected}, found 7.25")


def test_maps_may_be_off_by_a_hundred_thousandth_of_the_largest_and_no_more():
    place = np.unravel_index(MAPS.argmin(), MAPS.shape)
    assert MAPS[place] == 0
    assert maps_differ(MAPS.copy()) is None
    assert maps_differ(changed(MAPS, place, 0.9e-5 * SIZE)) is None
    assert maps_differ(changed(MAPS, place, 1.1e-5 * SIZE)) is not None
    assert maps_differ(changed(MAPS, place, 1.1e-5 * SIZE), resolution=2.0**-10) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_must_be_the_same(value):
    place = (0, 1, 2, 3)
    both = changed(MAPS, place, value)
    assert maps_differ(both.copy(), expected=both) is None
    assert maps_differ(both) is not None
    assert maps_differ(MAPS, expected=both) is not None


def test_float16_may_be_rounded_to_the_nearest_and_no_further():
    expected = (RNG.normal(size=MAPS.shape) * 10.0 ** RNG.integers(-9, 5, MAPS.shape)).astype("f4")
    expected = np.clip(expected, -60000, 60000).astype(np.float32)
    # Alone in its block, so that the share of the largest leaves no room.
    for value in expected.ravel()[:60]:
        alone = np.full((3, 1, 1, 1), value, np.float32)
        rounded = alone.astype(np.float16)
        assert maps_differ(rounded.astype("f4"), expected=alone, policy="float16") is None
        beyond = rounded.astype("f4") + 2 * np.spacing(rounded).astype("f4")
        if abs(float(value)) > 1e-3:  # below, the step is larger than any of its values
            assert maps_differ(beyond, expected=alone, policy="float16") is not None


def test_what_overflows_float16_is_infinite_with_its_sign():
    alone = np.full((3, 1, 1, 1), 1e5, np.float32)
    infinite = np.full_like(alone, np.inf)
    assert maps_differ(infinite, expected=alone, policy="float16") is None
    assert maps_differ(-infinite, expected=alone, policy="float16") is not None
    assert maps_differ(infinite, expected=alone, policy="float32") is not None
    assert maps_differ(infinite, expected=alone / 2, policy="float16") is not None


def tables(maps):
    flat = maps.reshape(len(maps), -1, maps.shape[-1])
    return {
        "mean": flat.mean(axis=1, dtype=np.float64).astype(np.float32),
        "max": flat.max(axis=1),
        "max_y": flat.argmax(axis=1) // maps.shape[2],
        "max_x": flat.argmax(axis=1) % maps.shape[2],
        "zero_fraction": (flat == 0).mean(axis=1).astype(np.float32),
    }


def pooled_differ(stored, maps=MAPS):
    return first_pooled_difference("conv1", maps, stored, SAMPLES, resolution=1e-5)


def test_pooled_tables_are_those_of_the_maps():
    assert pooled_differ(tables(MAPS)) is None
    place = (1, 4)
    for name, value in (("mean", 0.9), ("max", 9.0), ("zero_fraction", 0.99)):
        wrong = tables(MAPS)
        wrong[name][place] = value
        difference = pooled_differ(wrong)
        assert name in difference.place
        assert difference.place.endswith("layer conv1, sample 8, filter 4")
    wrong = tables(MAPS)
    wrong["max_y"][place], wrong["max_x"][place] = divmod(MAPS[1, ..., 4].argmin(), 4)
    assert "max_y" in pooled_differ(wrong).place


def test_of_two_largest_pixels_either_place_will_do():
    maps = changed(MAPS, np.s_[0, 1:3, 2, 0], 50.0)
    stored = tables(maps)
    assert (stored["max_y"][0, 0], stored["max_x"][0, 0]) == (1, 2)
    stored["max_y"][0, 0] = 2
    assert pooled_differ(stored, maps) is None


def test_a_map_without_a_finite_pixel_has_no_mean_and_no_maximum():
    maps = changed(MAPS, np.s_[0, :, :, 0], np.nan)
    stored = tables(maps)
    stored["max_y"][0, 0] = stored["max_x"][0, 0] = 0
    assert pooled_differ(stored, maps) is None
    stored["mean"][0, 0] = 0
    assert pooled_differ(stored, maps) is not None


PROBABILITY = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.4, 0.4, 0.2]], np.float32)


SLACK = np.full((3, 3), 1e-5)


def test_a_prediction_is_the_most_probable_class_and_at_a_tie_either():
    def differ(prediction):
        predictions = np.array(prediction)
        return first_prediction_difference(PROBABILITY, predictions, SAMPLES, slack=SLACK)

    assert differ([1, 2, 0]) is None
    assert differ([1, 2, 1]) is None
    assert str(differ([1, 0, 0])) == "output, prediction, sample 8: expected 2, found 0"


def test_an_answer_is_named_by_its_column():
    def differ(stored, axis="class"):
        return first_answer_difference(PROBABILITY, stored, SAMPLES, slack=SLACK, axis=axis)

    assert differ(PROBABILITY) is None
    other = changed(PROBABILITY, (1, 0), np.float32(0.11))
    assert differ(other).place == "probability, sample 8, class 0"
    assert differ(other, "label").place == "probability, sample 8, label 0"
    assert differ(other, "number").place == "sample 8, number 0"
    assert str(differ(PROBABILITY[:, :2])) == "output, size of the axis class: expected 3, found 2"


def test_a_tolerance_may_be_that_of_each_column():
    values = np.array([[1.0, 1000.0], [0.0, 0.0]], np.float32)
    np.testing.assert_allclose(tolerance(values, 1e-5)[1], [1e-2, 1e-2])
    largest = np.abs(values).max(axis=0)
    np.testing.assert_allclose(tolerance(values, 1e-5, largest=largest)[1], [1e-5, 1e-2])


def test_rounding_at_one_half_is_no_difference_and_more_is():
    expected = np.array([[0.5 - 2e-6, 0.9], [0.1, 0.2]], np.float32)
    truth = np.array([[True, True], [False, False]])

    def agree(stored, right):
        totals = measures(Target.LABELS, right, expected, stored, truth, np.full((2, 2), 1e-5))
        return {name: total.agrees for name, total in totals.items()}

    stored = changed(expected, (0, 0), np.float32(0.5))
    assert agree(stored, 0.75) == {"labels right": True, "exact match": True}
    stored[1, 0] = 0.6
    assert agree(stored, 0.75) == {"labels right": True, "exact match": True}, "one right, one not"
    stored[0, 0] = expected[0, 0]
    assert agree(stored, 1.0) == {"labels right": False, "exact match": True}


def test_integers_are_equal_or_not():
    rows = np.arange(4)
    labels = np.array([1, 2, 3, 4])
    assert first_unequal(Subject.LABELS, labels, labels.copy(), rows) is None
    difference = first_unequal(Subject.LABELS, labels, labels[[0, 2, 1, 3]], rows)
    assert str(difference) == "labels, sample 1: expected 2, found 3"


def test_the_output_becomes_what_the_store_records():
    logits = np.array([[1.0, -2.0, 0.5]], np.float32)
    softmax = np.exp(logits) / np.exp(logits).sum()
    one, two = np.zeros((1, 4), np.float32), np.array([[0.25]], np.float32)
    sigmoid = 1 / (1 + np.exp(-logits))
    pair = [[1 / (1 + np.exp(0.25)), 1 / (1 + np.exp(-0.25))]]
    cases = (
        (logits, Target.CLASS, Conversion.IDENTITY, logits, None),
        (logits, Target.CLASS, Conversion.SOFTMAX, softmax, None),
        (two, Target.CLASS, Conversion.TWO_COLUMNS, [[0.75, 0.25]], 0.5),
        (two[:, 0], Target.CLASS, Conversion.TWO_COLUMNS_OF_SIGMOID, pair, 0.0),
        (logits, Target.LABELS, Conversion.IDENTITY, logits, 0.5),
        (logits, Target.LABELS, Conversion.SIGMOID, sigmoid, 0.0),
        (logits, Target.NUMBER, Conversion.IDENTITY, logits, None),
        (two[:, 0], Target.NUMBER, Conversion.IDENTITY, two, None),
    )
    for values, target, conversion, expected, threshold in cases:
        recorded = Recorded(target, conversion, "b")
        answers = answers_of({"a": one, "b": values}, recorded)
        np.testing.assert_allclose(answers.values, expected, rtol=1e-6)
        assert answers.size == np.abs(values).max()
        assert recorded.threshold == threshold


def test_logits_far_from_zero_become_zero_and_one_without_a_warning():
    far = np.array([[-1e4, 1e4]], np.float32)
    for conversion in (Conversion.SIGMOID, Conversion.SOFTMAX):
        recorded = Recorded(Target.LABELS, conversion, "b")
        np.testing.assert_array_equal(answers_of({"b": far}, recorded).values, [[0, 1]])


@pytest.mark.parametrize(
    ("shape", "output", "conversion", "words"),
    [
        ((1, 3), "c", Conversion.SOFTMAX, "outputs are b; the store holds 'c'"),
        ((1, 3), "b", Conversion.TWO_COLUMNS, r"is \(3,\) for each image; expected one number"),
        ((1, 3, 2), "b", Conversion.IDENTITY, "expected a row of numbers"),
    ],
)
def test_an_output_that_cannot_be_what_is_recorded_is_refused(shape, output, conversion, words):
    with pytest.raises(ModelError, match=words):
        answers_of({"b": np.zeros(shape, "f4")}, Recorded(Target.CLASS, conversion, output))


NUMBERS = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda number: number != 0)
CHANNELS = st.lists(NUMBERS, max_size=3).map(tuple)


@given(
    st.builds(Preprocessing, scale=NUMBERS, mean=CHANNELS, std=CHANNELS, reverse=st.booleans())
    | st.sampled_from([preprocessing_named(name) for name in NAMES])
)
def test_the_words_of_a_preprocessing_are_enough_to_repeat_it(preprocessing):
    assert preprocessing_of_words(preprocessing.words) == preprocessing


@pytest.mark.parametrize("words", ["", "pixels / x", "pixels / 255; blurred", "a of b: pixels / 2",
                                   "vgg16 of keras.applications: pixels / 255"])  # fmt: skip
def test_words_that_nobody_wrote_are_refused(words):
    with pytest.raises(SelectionError, match="cannot be repeated"):
        preprocessing_of_words(words)


def test_a_field_that_the_words_leave_out_would_be_noticed():
    names = {field.name for field in dataclasses.fields(Preprocessing)}
    assert names == {"scale", "mean", "std", "reverse", "name"}
