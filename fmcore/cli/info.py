"""`fmcore info`: what a store holds."""

from __future__ import annotations

import argparse
import json
from typing import Any

from fmcore.cli.options import AddVerb, add_store, say
from fmcore.errors import GraphNotStoredError
from fmcore.files import size_text
from fmcore.records import INPUT_KIND, Policy
from fmcore.storage import Store, opened_apart


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
                "policy": layer.policy,
                "values": layer.value_words,
                "stored_bytes": layer.stored_bytes,
            }
            for layer in store.layers.values()
        ]
        about: dict[str, Any] = {
            "path": str(store.path),
            "bytes": store.n_bytes,
            "shards": store.n_shards,
            "samples": store.n_samples,
            "classes": list(store.class_names),
            "targets": list(store.target_names),
            "accuracy": store.accuracy_words,
            "predictions": store.has_predictions,
            "layers": layers,
            "graph": _graph_facts(store),
            **store.about(),
        }
    if options.json:
        print(json.dumps(about, indent=2))
        return
    model, dataset = about["model"], about["dataset"]
    shards = f" in {about['shards']:,} shards beside it" if about["shards"] else ""
    print(f"{about['path']}: {size_text(about['bytes'])}{shards}, {about['samples']:,} samples")
    say(f"  data   {dataset['source']} (preprocessing: {dataset['preprocessing']})")
    say(f"  model  {model['name']}, {about['accuracy']}")
    say(f"         {model['output']}")
    say(f"         {model['framework']}")
    say(f"         {_graph_words(about['graph'])}")
    for layer in layers:
        height, width, filters = layer["shape"]
        say(
            f"  layer  {layer['path']}: {filters} filters of {height}x{width}, {layer['kind']}, "
            f"{layer['activation_function']}, {size_text(layer['stored_bytes'])} stored"
        )
        if layer["policy"] != Policy.FLOAT32:
            say(f"         {layer['values']}")


def _graph_facts(store: Store) -> dict[str, int | None] | None:
    """The number of calls of the model's layers, and of its parameters; None where unknown."""
    try:
        graph = store.graph()
    except GraphNotStoredError:
        return None
    n_inputs = sum(node.kind == INPUT_KIND for node in graph.nodes)
    return {"calls": len(graph.nodes) - n_inputs, "parameters": graph.parameters}


def _graph_words(facts: dict[str, int | None] | None) -> str:
    if facts is None:
        return "its layers are not known"
    count = facts["parameters"]
    words = "parameters not known" if count is None else f"{count:,} parameters"
    return f"{facts['calls']:,} calls of layers, {words}"
