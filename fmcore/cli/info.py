"""`fmcore info`: what a store holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fmcore.cli.options import AddVerb, add_store, say
from fmcore.files import size_text
from fmcore.storage import opened_apart


def add_verb(verb: AddVerb) -> None:
    """Adds the verb `info` to the command line."""
    info = verb("info", _info, "print what a store holds")
    add_store(info)
    info.add_argument("--json", action="store_true", help="print everything as JSON")


def _info(options: argparse.Namespace) -> None:
    with opened_apart(options.store) as store:
        layers = [
            {
                "path": layer.path,
                "shape": list(layer.shape),
                "kind": layer.attributes["kind"],
                "activation_function": layer.attributes["activation_function"],
                "histogram": layer.bin_words,
                "receptive_field": layer.field_words,
                "stored_bytes": layer.stored_bytes,
            }
            for layer in store.layers.values()
        ]
        about: dict[str, Any] = {
            "path": str(store.path),
            "bytes": store.path.stat().st_size,
            "samples": store.n_samples,
            "classes": list(store.class_names),
            "targets": list(store.target_names),
            "accuracy": store.accuracy_words,
            "predictions": store.has_predictions,
            "layers": layers,
            **store.about(),
        }
    if options.json:
        print(json.dumps(about, indent=2))
        return
    model, dataset = about["model"], about["dataset"]
    print(f"{about['path']}: {size_text(about['bytes'])}, {about['samples']:,} samples")
    say(f"  data   {dataset['source']} (preprocessing: {dataset['preprocessing']})")
    say(f"  model  {model['name']}, {about['accuracy']}")
    say(f"         {model['output']}")
    say(f"         {model['framework']}")
    for layer in layers:
        height, width, filters = layer["shape"]
        say(
            f"  layer  {layer['path']}: {filters} filters of {height}x{width}, {layer['kind']}, "
            f"{layer['activation_function']}, {size_text(layer['stored_bytes'])} stored"
        )
