"""The options of a capture: parsed once, refused early, explained the same everywhere."""

from __future__ import annotations

import dataclasses
import inspect
import pydoc
import re

import numpy as np
import pytest

from fmcore import capture_activations, capture_callback
from fmcore.capture.cost import LARGE_STORE_BYTES, batching_for
from fmcore.capture.options import (
    DEFAULTS,
    OPTIONS,
    CaptureOptions,
    choices_of,
    option_help,
    with_options,
)
from fmcore.cli import _parser, main
from fmcore.cli.options import capture_options
from fmcore.command import size
from fmcore.errors import DatasetError, ModelError, SelectionError
from fmcore.records import Compression, Kind, LabelSource, Policy, StatisticsScope, Tap
from fmcore.selection import match_names, parse_policies, policies_for

IMAGES, LABELS = np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1])
PUBLIC = (capture_activations, capture_callback)
REFUSED = [
    ("layers", ["conv1"], SelectionError, r"layers \['conv1'\]; expected text"),
    ("layers", None, SelectionError, "layers None; expected text"),
    ("kind", "densse", ModelError, "kind 'densse'; expected conv, activation, dense, all; did you"),
    ("kind", 3, ModelError, "kind 3; expected conv, activation, dense, all$"),
    ("tap", "outputs", ModelError, "tap 'outputs'; expected output, activation; did you mean out"),
    ("tap", None, ModelError, "tap None; expected output, activation$"),
    ("policy", "conv1", SelectionError, "policy 'conv1'; expected GLOB=POLICY with one of float32"),
    ("policy", "conv1=flot16", SelectionError, "did you mean float16"),
    ("policy", {"conv1": "float16"}, SelectionError, "policy {'conv1': 'float16'}; expected text"),
    (
        "compression",
        "gzip",
        SelectionError,
        "compression 'gzip'; expected auto, deflate, none$",
    ),
    ("compression", None, SelectionError, "compression None; expected auto, deflate, none$"),
    ("compression", "defalte", SelectionError, "did you mean deflate"),
    ("batch_size", 0, DatasetError, "batch_size 0; expected a whole number from 1"),
    ("batch_size", -3, DatasetError, "batch_size -3; expected"),
    ("batch_size", 1.5, DatasetError, r"batch_size 1\.5; expected"),
    ("batch_size", True, DatasetError, "batch_size True; expected"),
    ("batch_size", "32", DatasetError, "batch_size '32'; expected"),
    ("memory", 0, DatasetError, "memory 0; expected a whole number from 1"),
    ("memory", "1GiB", DatasetError, "memory '1GiB'; expected"),
    ("memory", None, DatasetError, "memory None; expected"),
    ("statistics", "some", SelectionError, "statistics 'some'; expected all, basic"),
    ("statistics", ["all"], SelectionError, r"statistics \['all'\]; expected all, basic"),
    ("predictions", "no", SelectionError, "predictions 'no'; expected True or False"),
    (
        "target",
        "clas",
        SelectionError,
        "target 'clas'; expected auto, class, .* did you mean class",
    ),
    ("target", None, SelectionError, "target None; expected auto, class, labels, number, none$"),
    ("output", 1, SelectionError, "output 1; expected text"),
    ("output", ["a"], SelectionError, r"output \['a'\]; expected text"),
    ("overwrite", 1, SelectionError, "overwrite 1; expected True or False"),
    ("restart", "yes", SelectionError, "restart 'yes'; expected True or False"),
    ("allow_large", None, SelectionError, "allow_large None; expected True or False"),
]


def described(function: object) -> str:
    """What `help` prints, without its line breaks."""
    return " ".join(pydoc.plaintext.document(function).split())


def command_line(verb: str) -> list:
    verbs = _parser()._subparsers._group_actions[0].choices
    return verbs[verb]._actions


def test_every_option_is_refused_somewhere_in_these_tests():
    assert {name for name, *_ in REFUSED} == set(OPTIONS)


@pytest.mark.parametrize(("name", "value", "error", "message"), REFUSED)
def test_a_wrong_option_is_refused_before_anything_is_opened(name, value, error, message, tmp_path):
    model, store = tmp_path / "no such model.keras", tmp_path / "s.h5"
    store.write_text("mine")  # a store that exists is not reported first either
    for refuse in (
        lambda: CaptureOptions(**{name: value}),
        lambda: capture_activations(model, IMAGES, LABELS, store, **{name: value}),
        lambda: capture_activations(model, "no images", LABELS, store, **{name: value}),
        lambda: capture_callback("no images", None, tmp_path / "epochs", epochs=0, **{name: value}),
    ):
        with pytest.raises(error, match=message) as caught:
            refuse()
        assert caught.value.field == name
    assert not (tmp_path / "epochs").exists()


@pytest.mark.parametrize("name", ["layer", "policies", "memroy", "on_plan", "preprocessing"])
def test_an_unknown_option_is_a_type_error_that_names_it(name, tmp_path):
    with pytest.raises(TypeError, match=f"'{name}'"):
        capture_activations("no model", "no images", None, tmp_path / "s.h5", **{name: 1})
    with pytest.raises(TypeError, match=f"'{name}'"):
        capture_callback("no images", None, tmp_path, epochs=0, **{name: 1})


def test_the_command_refuses_a_policy_before_it_looks_for_the_model(tmp_path, capsys):
    command = ["capture", "no such model.keras", "--data", "no such data.npz"]
    assert main([*command, "--out", str(tmp_path / "s.h5"), "--policy", "conv1"]) == 1
    assert "policy 'conv1'; expected GLOB=POLICY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "vocabulary"),
    [("kind", Kind), ("tap", Tap), ("compression", Compression), ("statistics", StatisticsScope)],
)
def test_text_becomes_a_member_and_equals_it(name, vocabulary):
    for member in vocabulary:
        options = CaptureOptions(**{name: member.value})
        assert getattr(options, name) is member
        assert getattr(options, name) == member.value
        assert options == CaptureOptions(**{name: member})
        assert CaptureOptions(**dataclasses.asdict(options)) == options


@pytest.mark.parametrize(
    "vocabulary", [Kind, Tap, Policy, Compression, StatisticsScope, LabelSource]
)
def test_members_read_as_their_text(vocabulary):
    for member in vocabulary:
        assert f"{member}" == str(member) == member.value
        assert vocabulary(member.value) is member


def test_numpy_numbers_become_numbers_of_python():
    options = CaptureOptions(batch_size=np.int64(3), memory=np.uint32(9), restart=np.bool_(True))
    assert (options.batch_size, options.memory, options.restart) == (3, 9, True)
    assert [type(value) for value in (options.batch_size, options.memory, options.restart)] == [
        int,
        int,
        bool,
    ]


def test_policies_are_parsed_in_order():
    assert parse_policies(" a*=pooled, re:b=c=float16,") == [
        ("a*", Policy.POOLED),
        ("re:b=c", Policy.FLOAT16),
    ]
    assert parse_policies("") == []


def test_a_policy_or_consent_allows_a_large_store():
    assert not DEFAULTS.may_be_large
    assert CaptureOptions(policy="*=float16").may_be_large
    assert CaptureOptions(allow_large=True).may_be_large


def test_defaults_in_words_are_the_defaults():
    words = {name: option.metadata["default"] for name, option in OPTIONS.items()}
    assert size(words["memory"]) == DEFAULTS.memory
    assert policies_for(["a"], DEFAULTS.policy) == [Policy(words["policy"])]
    assert match_names(["a", "b/c"], DEFAULTS.layers, what="layer") == ["a", "b/c"]
    largest = batching_for([1], 1, 0, 10**9, DEFAULTS.memory).size
    assert words["batch_size"].endswith(f"at most {largest}")
    assert LARGE_STORE_BYTES == 10e9
    assert "more than 10 GB" in OPTIONS["allow_large"].metadata["doc"]


def test_options_cannot_change():
    with pytest.raises(dataclasses.FrozenInstanceError):
        CaptureOptions().kind = Kind.ALL


def test_the_command_lines_defaults_are_those_of_the_record():
    for verb, required in (("capture", ["--out", "s.h5"]), ("layers", [])):
        namespace = _parser().parse_args([verb, "model.keras", *required])
        assert capture_options(namespace) == DEFAULTS
        offered = {action.dest: action for action in command_line(verb) if action.dest in OPTIONS}
        assert verb == "layers" or offered.keys() == OPTIONS.keys()
        for name, action in offered.items():
            assert action.default == OPTIONS[name].default, name


def test_the_command_line_sets_every_option():
    words = (
        "capture m.keras --out s.h5 --layer conv* --kind all --tap activation --policy a=pooled "
        "--policy b=float16,c=pooled --compression none --batch-size 7 --memory 2GiB "
        "--statistics basic --target class --output scores --force --restart --yes"
    )
    options = capture_options(_parser().parse_args(words.split()))
    assert options == CaptureOptions(
        layers="conv*",
        kind=Kind.ALL,
        tap=Tap.ACTIVATION,
        policy="a=pooled,b=float16,c=pooled",
        compression=Compression.NONE,
        batch_size=7,
        memory=2 << 30,
        statistics=StatisticsScope.BASIC,
        target="class",
        output="scores",
        overwrite=True,
        restart=True,
        allow_large=True,
    )
    others = OPTIONS.keys() - {"predictions"}  # without which there is neither target nor output
    assert all(getattr(options, name) != getattr(DEFAULTS, name) for name in others)
    words = "capture m.keras --out s.h5 --no-predictions"
    assert not capture_options(_parser().parse_args(words.split())).predictions


@pytest.mark.parametrize("target", ["class", "labels", "number"])
def test_without_predictions_there_is_no_target(target):
    assert CaptureOptions(predictions=False, target="none").target == "none"
    with pytest.raises(SelectionError, match=f"target '{target}', but no predictions") as caught:
        CaptureOptions(predictions=False, target=target)
    assert caught.value.field == "target"
    for options in ({"predictions": False}, {"target": "none"}):
        with pytest.raises(SelectionError, match="output 'a', but nothing of") as caught:
            CaptureOptions(output="a", **options)
        assert caught.value.field == "output"


def test_the_command_line_and_python_explain_options_with_the_same_words(monkeypatch):
    actions = {action.dest: action for action in command_line("capture")}
    for name, option in OPTIONS.items():
        assert actions[name].help == option_help(option)
        assert option.metadata["doc"] in actions[name].help
        for function in PUBLIC:
            assert f"{option_help(option)}." in described(function), name
    monkeypatch.setenv("COLUMNS", "80")
    text = _parser()._subparsers._group_actions[0].choices["capture"].format_help()
    options_text = re.split(r"\npreprocessing:\n", text)[0]
    assert max(map(len, options_text.splitlines())) <= 80
    flat = "".join(text.split())
    for option in OPTIONS.values():
        assert "".join(option_help(option).split()) in flat
        assert ("(default: " in option_help(option)) == (not isinstance(option.default, bool))


@pytest.mark.parametrize("function", PUBLIC)
def test_signature_and_docstring_have_every_option(function):
    parameters = inspect.signature(function).parameters
    assert "options" not in parameters
    assert "options:" not in function.__doc__
    for name, option in OPTIONS.items():
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert parameters[name].default == option.default
        annotation = parameters[name].annotation
        assert annotation == (f"Literal{choices_of(option)}" if choices_of(option) else option.type)
        assert re.search(rf"^ +{name}( \(.+\))?: ", function.__doc__, re.MULTILINE)
    assert not {"Kind", "Tap", "StatisticsScope"} & {
        *re.findall(r"\w+", str(inspect.signature(function)))
    }
    assert "kind (conv, activation, dense, all): kind of layers" in described(function)
    # Every parameter has a line among the arguments, and every line has a parameter.
    arguments = inspect.getdoc(function).split("Args:\n")[1].split("\n\n")[0]
    names = re.findall(r"^    (\w+)(?: \(.+?\))?: ", arguments, re.MULTILINE)
    assert sorted(names) == sorted(parameters)
    assert max(map(len, arguments.splitlines())) <= 100


def test_a_function_without_a_docstring_gets_the_signature_only():
    def hand_on(first, **options):
        return first, options

    shown = with_options(hand_on)
    assert list(inspect.signature(shown).parameters) == ["first", *OPTIONS]
    assert shown.__doc__ is None
    assert shown(1, kind="all") == (1, {"kind": "all"})
