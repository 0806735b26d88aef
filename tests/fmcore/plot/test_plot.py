"""The tutorial's picture and others of a store: what matplotlib draws, and what is refused."""

from __future__ import annotations

import io
import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from helpers.factories import make_store
from PIL import Image

import fmcore
from fmcore import plot
from fmcore.cli import main
from fmcore.errors import (
    LayerNotFoundError,
    MapsNotStoredError,
    MissingLibraryError,
    ModelError,
    SampleNotFoundError,
    SelectionError,
    StatisticNotFoundError,
)
from fmcore.plot.look import Look
from fmcore.plot.tiles import Tile, tiles_figure


def pixels(figure, **options):
    figure.savefig(file := io.BytesIO(), **options)
    return np.asarray(Image.open(file).convert("RGB"))


def drawn(maps, **options):
    tiles = [Tile(maps[:, :, index], str(index)) for index in range(maps.shape[2])]
    look = Look(**options)
    return tiles_figure(tiles, look, title="Layer: conv1", span=look.span_of(maps))


def tutorial(maps, *, dpi=None, size=(12, 0)):
    """The tutorial's own code."""
    import matplotlib.pyplot as plt

    n_filters = maps.shape[-1]
    rows = -(-n_filters // 8)
    figure = plt.figure(figsize=(size[0], size[1] or rows * 1.5 + 0.6), dpi=dpi)
    for i in range(n_filters):
        plt.subplot(rows, 8, i + 1)
        plt.imshow(maps[:, :, i], cmap="viridis")
        plt.axis("off")
    plt.suptitle("Layer: conv1")
    plt.tight_layout()
    plt.close(figure)
    return figure


@pytest.mark.parametrize(
    ("shape", "dpi", "saved"),
    [
        ((26, 26, 16), None, {}),  # the tutorial's layers
        ((11, 11, 32), 150, {"dpi": 120}),
        ((56, 56, 11), 72, {}),  # more values than pixels, and a line that is not full
        ((3, 40, 7), None, {"dpi": 150}),
        ((1, 128, 9), 72, {}),
        ((2, 2, 1), None, {}),
        ((11, 11, 32), None, {"bbox_inches": "tight"}),  # as a notebook shows it
    ],
)
def test_no_pixel_differs_from_the_tutorials(shape, dpi, saved):
    maps = np.random.default_rng(0).random(shape, dtype=np.float32)
    mpl.use("Agg")
    expected = pixels(tutorial(maps, dpi=dpi), **saved)
    np.testing.assert_array_equal(pixels(drawn(maps, dpi=dpi), **saved), expected)


def test_the_figures_own_size_is_taken_as_matplotlib_takes_it():
    maps = np.random.default_rng(0).random((9, 9, 20), dtype=np.float32)
    mpl.use("Agg")
    expected = pixels(tutorial(maps, size=(7, 5)))
    np.testing.assert_array_equal(pixels(drawn(maps, size=(7, 5))), expected)


def test_a_figure_has_the_stored_maps_in_the_order_of_filters(store):
    maps = store.layers["conv2"].feature_maps(7)
    figure = plot.feature_maps(store, 7, layer="conv2")
    assert isinstance(figure, mpl.figure.Figure)
    assert figure.get_suptitle() == "Layer: conv2"
    (axes,) = figure.axes
    assert not axes.axison
    assert len(axes.images) == maps.shape[2]
    for index, image in enumerate(axes.images):
        np.testing.assert_array_equal(image.get_array(), maps[:, :, index])
        assert image.get_cmap().name == "viridis"
    assert figure._repr_png_().startswith(b"\x89PNG")  # what a notebook asks for


def test_colors_span_a_map_the_layer_or_what_is_named(store):
    maps = store.layers["conv2"].feature_maps(7)

    def spans(color_range):
        figure = plot.feature_maps(store, 7, layer="conv2", color_range=color_range)
        return np.array([image.get_clim() for image in figure.axes[0].images])

    own = np.stack([maps.min(axis=(0, 1)), maps.max(axis=(0, 1))], axis=1)
    np.testing.assert_array_equal(spans("map"), own)
    assert (spans("layer") == (maps.min(), maps.max())).all()
    assert (spans((-1, 2.5)) == (-1, 2.5)).all()


def test_labels_bar_title_and_colors_are_drawn_where_they_are_wanted(store):
    figure = plot.feature_maps(
        store, 7, layer="conv2", columns=2, cmap="magma", color_range="layer", color_bar=True,
        labels=True, title="$mine_1", dpi=50,
    )  # fmt: skip
    axes, bar = figure.axes
    n_filters = store.layers["conv2"].n_filters
    assert [text.get_text() for text in axes.texts] == [str(index) for index in range(n_filters)]
    assert bar.get_ylabel() == "activation"
    assert (figure.get_suptitle(), figure.dpi) == ("$mine_1", 50)
    assert axes.images[0].get_cmap().name == "magma"
    left = [round(text.get_position()[0], 6) for text in axes.texts]
    assert len(set(left)) == 2  # columns
    picture = pixels(figure)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert all(
        box.x0 >= 0 and box.x1 <= picture.shape[1] and box.y1 <= picture.shape[0] for box in boxes
    )
    assert plot.feature_maps(store, 7, layer="conv2", title="").get_suptitle() == ""


def test_what_is_not_finite_is_crossed_and_said_to_be():
    maps = np.random.default_rng(0).random((5, 4, 3)).astype(np.float32)
    maps[1, 2, 1], maps[:, :, 2] = np.nan, -np.inf
    figure = drawn(maps)
    assert figure.get_suptitle() == "Layer: conv1 (crossed: NaN or infinite)"
    (axes,) = figure.axes
    assert len(axes.patches) == 2
    assert (pixels(figure) == (0x77, 0x55, 0x55)).all(axis=-1).any()
    assert len(drawn(np.zeros((5, 4, 3), np.float32)).axes[0].patches) == 0  # dead maps are plain


@pytest.mark.parametrize(
    ("options", "field", "words"),
    [
        ({"columns": 0}, "columns", "columns 0; expected a whole number from 1"),
        ({"columns": 2.5}, "columns", "expected a whole number"),
        ({"cmap": "virids"}, "cmap", "did you mean viridis"),
        ({"size": -1}, "size", "expected inches above 0"),
        ({"size": 500}, "size", "pixels, expected fewer than 65,536 each way"),
        ({"dpi": 0}, "dpi", "expected pixels an inch"),
        ({"color_range": "layers"}, "color_range", "expected map, layer, or"),
        ({"color_range": (1, 1)}, "color_range", "low below high"),
        ({"color_range": (0, np.nan)}, "color_range", "low below high"),
        ({"color_range": 3}, "color_range", "low below high"),
        ({"color_bar": True}, "color_bar", "in which each map has its own"),
    ],
)
def test_an_option_without_such_a_value_is_refused(options, field, words, store):
    for draw in (lambda: plot.feature_maps(store, 0, layer="conv2", **options),
                 lambda: plot.kernels(store, layer="conv2", **options)):  # fmt: skip
        with pytest.raises(SelectionError, match=words) as refusal:
            draw()
        assert refusal.value.field == field


def test_what_is_not_there_is_said(store, tmp_path):
    with pytest.raises(LayerNotFoundError, match="did you mean conv2"):
        plot.feature_maps(store, 0, layer="conv3")
    with pytest.raises(SelectionError, match=r"has 2 layers, expected .*: block/conv 1, conv2"):
        plot.feature_maps(store, 0)
    with pytest.raises(SampleNotFoundError, match="holds 0 to 36"):
        plot.feature_maps(store, 37, layer="conv2")
    with pytest.raises(SampleNotFoundError, match="a ndarray is no sample of"):
        plot.feature_maps(store, np.zeros((28, 28)), layer="conv2")
    with pytest.raises(ModelError, match=r"fmcore\.open_store or keras\.models\.load_model"):
        plot.feature_maps(str(store.path), 0, layer="conv2")
    with pytest.raises(SelectionError, match="no input plane 9"):
        plot.kernels(store, layer="conv2", plane=9)
    with pytest.raises(SelectionError, match="expected one of each class and filter"):
        plot.classes(store, layer="conv2", statistic="eta2_mean")
    with pytest.raises(StatisticNotFoundError, match="did you mean"):
        plot.classes(store, layer="conv2", statistic="auk_max")
    with pytest.raises(SelectionError, match="no filter 99"):
        plot.top_samples(store, layer="conv2", filter=99)
    with pytest.raises(SelectionError, match="n 99; expected 1 to 25"):
        plot.top_samples(store, layer="conv2", filter=0, n=99)
    with pytest.raises(SelectionError, match="by 'men'; expected one of"):
        plot.layers(store, sample=0, by="men")


def test_a_store_of_tables_has_no_maps_to_draw_but_classes_and_samples(tmp_path):
    path = make_store(tmp_path / "pooled.h5", policy="*=pooled")
    with fmcore.open_store(path) as store:
        with pytest.raises(MapsNotStoredError, match="captured with the policy pooled"):
            plot.feature_maps(store, 0, layer="conv2")
        assert plot.classes(store, layer="conv2").axes[0].images
        assert plot.top_samples(store, layer="conv2", filter=0).axes[0].images


@pytest.mark.parametrize("statistic", ["mean", "auc", "auc_max", "q50"])
def test_classes_are_the_stored_statistic_with_names_at_its_rows(statistic, store):
    figure = plot.classes(store, layer="conv2", statistic=statistic)
    axes = figure.axes[0]
    expected = store.layers["conv2"].statistic(statistic)
    values = axes.images[0].get_array()
    np.testing.assert_array_equal(
        values.filled(np.nan), np.where(np.isfinite(expected), expected, np.nan)
    )
    assert tuple(label.get_text() for label in axes.get_yticklabels()) == store.class_names
    assert axes.get_title().startswith("Layer: conv2, ")
    pixels(figure)


def test_top_samples_are_the_largest_of_the_pooled_table_with_their_fields(store):
    layer = store.layers["conv2"]
    largest = layer.pooled("max")[:, 1]
    order = np.argsort(-largest, kind="stable")[:6]
    figure = plot.top_samples(store, layer="conv2", filter=1, n=6)
    (axes,) = figure.axes
    samples = [int(text.get_text().split()[0]) for text in axes.texts]
    np.testing.assert_array_equal(largest[samples], largest[order])
    for sample, image in zip(samples, axes.images, strict=True):
        pixels_of_image = np.asarray(image.get_array())
        np.testing.assert_array_equal(
            pixels_of_image,
            store.image(sample)[..., : pixels_of_image.shape[2]]
            if pixels_of_image.ndim == 3
            else store.image(sample)[..., 0],
        )
    fields = layer.receptive_fields()
    if fields is None:
        assert not axes.patches
    else:
        places = [layer.pooled(f"max_{axis}")[:, 1][samples] for axis in ("y", "x")]
        frames = [
            (*patch.get_xy(), patch.get_width(), patch.get_height()) for patch in axes.patches
        ]
        for (y0, x0, y1, x1), frame in zip(
            fields[places[0], places[1]].tolist(), frames, strict=True
        ):
            assert frame == (x0 - 0.5, y0 - 0.5, x1 - x0 + 1, y1 - y0 + 1)


def test_top_samples_of_a_class_have_its_label(store):
    figure = plot.top_samples(store, layer="conv2", filter=1, class_=store.class_names[2])
    samples = [int(text.get_text().split()[0]) for text in figure.axes[0].texts]
    assert samples
    assert (store.labels[samples] == 2).all()


def test_without_matplotlib_it_says_what_to_install(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for draw in (
        lambda: plot.feature_maps(store, 3, layer="conv2"),
        lambda: plot.kernels(store, layer="conv2"),
        lambda: plot.classes(store, layer="conv2"),
        lambda: plot.top_samples(store, layer="conv2", filter=0),
        lambda: plot.layers(store, sample=3),
    ):
        with pytest.raises(
            MissingLibraryError, match=r"pip install 'feature-map-dashboard\[figures\]'"
        ):
            draw()


@pytest.mark.parametrize(
    "backend",
    ["module://matplotlib_inline.backend_inline", "inline", "module://nowhere", "nonsense", ""],
)
def test_the_backend_of_a_notebook_stops_no_figure(backend, store, tmp_path):
    """A kernel hands the name of its backend on to `!fmcore figure`, in another environment."""
    code = "import sys; from fmcore.cli import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["figure", str(store.path), "--out", str(tmp_path), "--layer", "conv2"]
    environment = os.environ | {"MPLBACKEND": backend}
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "conv2_sample0.png").read_bytes().startswith(b"\x89PNG")


def test_a_backend_that_is_there_stays_the_one_of_the_notebook(store):
    code = (
        "import fmcore, sys; assert 'matplotlib' not in sys.modules; "
        "fmcore.plot.feature_maps(fmcore.open_store(sys.argv[1]), 0, layer='conv2'); "
        "import matplotlib, os; print(matplotlib.get_backend(), os.environ['MPLBACKEND'])"
    )
    environment = os.environ | {"MPLBACKEND": "svg"}
    ended = subprocess.run(
        [sys.executable, "-c", code, str(store.path)],
        env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert ended.stdout.split() == ["svg", "svg"], ended.stderr


def test_all_layers_of_a_sample_are_in_one_picture(store):
    figure = plot.layers(store, sample=3)
    assert len(figure.axes) == 2
    for axis, (path, layer) in zip(figure.axes, store.layers.items(), strict=True):
        maps = layer.feature_maps(3)
        texts = [text.get_text() for text in axis.texts]
        # Few filters: all of them, by index.
        assert texts == [*map(str, range(layer.n_filters)), f"Layer: {path}"]
        summary, *tiles = axis.images
        np.testing.assert_allclose(summary.get_array(), maps.mean(axis=2), rtol=1e-6)
        low, high = layer.filter_range()
        for index, tile in enumerate(tiles):
            np.testing.assert_array_equal(tile.get_array(), maps[:, :, index])
            assert tile.get_cmap().name == "viridis"
            if low[index] < high[index]:
                assert tile.get_clim() == (low[index], high[index])


def test_principal_components_are_colors_between_zero_and_one(store):
    figure = plot.layers(store, sample=3, by="pca", layers="block/*")
    (axis,) = figure.axes
    colors = axis.images[0].get_array()
    assert colors.shape == (9, 8, 4)
    assert (colors >= 0).all()
    assert (colors <= 1).all()


COMMANDS = {
    "": ["block_conv_1_sample0", "conv2_sample0"],
    "--sample 3 --layer conv2 --range layer --labels --columns 4": ["conv2_sample3"],
    "--all-layers --sample 4 --summary pca": ["all_layers_sample4"],
    "--kind kernels --range=-1:1 --cmap RdBu_r --layer conv2": ["conv2_kernels"],
    "--kind classes --statistic auc_max --layer conv2": ["conv2_auc_max"],
    "--kind top --filter 0:2 --layer conv2": ["conv2_filter0_top", "conv2_filter1_top"],
}


@pytest.mark.parametrize("words", COMMANDS)
def test_the_command_writes_files_named_by_what_they_are_of(words, store, tmp_path, capsys):
    assert main(["figure", str(store.path), "--out", str(tmp_path), *words.split()]) == 0
    paths = [tmp_path / f"{stem}.png" for stem in COMMANDS[words]]
    assert capsys.readouterr().out.split() == [str(path) for path in paths]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


@pytest.mark.parametrize(
    ("form", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_force_replaces_figures_of_each_format_and_no_other_file(
    form, start, store, tmp_path, capsys
):
    command = ["figure", str(store.path), "--out", str(tmp_path), "--layer", "conv2"]
    command += ["--format", form]
    assert main(command) == 0
    path = tmp_path / f"conv2_sample0.{form}"
    assert path.read_bytes().startswith(start)
    assert main(command) == 1
    assert "exists" in capsys.readouterr().err
    assert main([*command, "--force"]) == 0
    path.write_bytes(start + b" and not by matplotlib")
    assert main([*command, "--force"]) == 1
    assert "is not a figure that matplotlib has drawn" in capsys.readouterr().err


def test_the_resolution_is_in_pixels_an_inch(store, tmp_path):
    for dpi in (40, 80):
        words = ["--layer", "conv2", "--dpi", str(dpi), "--out", str(tmp_path / str(dpi))]
        assert main(["figure", str(store.path), *words]) == 0
        width, height = Image.open(tmp_path / str(dpi) / "conv2_sample0.png").size
        assert (width, height) == (12 * dpi, round(2.1 * dpi))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--summary pca", "--summary has no effect without --all-layers"),
        ("--all-layers --kind top", "leave out --kind top"),
        ("--all-layers --columns 4", "--columns has no effect with --all-layers"),
        ("--kind kernels --sample 3", "--sample has no effect with --kind kernels; it is for maps"),
        ("--filter 3", "--filter has no effect with --kind maps; it is for top"),
        ("--kind classes --range map", "it is one heatmap"),
        ("--range 3", "expected map, layer or LOW:HIGH"),
    ],
)
def test_the_command_ignores_no_option(words, message, store, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["figure", str(store.path), "--out", str(tmp_path), *words.split()])
    assert ended.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
