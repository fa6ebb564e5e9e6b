# SPDX-License-Identifier: Apache-2.0
"""Writes a trained model as docs/models.md describes, and reads it back, every shape and type
checked; a file that does not fit is BadInput."""
import pathlib
import types

import numpy as np
import torch

from eta_simd.command import BadInput
from eta_simd.ctr import data, train
from eta_simd.ctr.make_unit import make_unit
from eta_simd.ctr.metrics import quality
from eta_simd.ctr.model import CtrModel
from eta_simd.data.bundle import read_array
from eta_simd.files import write_json
from eta_simd.reading import read_json
from eta_simd.text import reason

FORMAT, VERSION = "eta-ctr", 1

# Names of the parameters of the modules that units and skeleton are made of.
ATTENTION = ("query", "key", "value", "output")
# Arrays that training leaves as they are, and the attributes of units that hold them.
BUFFERS = {"hyperplanes": "hyperplanes", "rotations": "rotations", "sim_index": "index"}
MIMN = ("memory", "sharpness", "usage", "write", "write_bias", "gates", "induce")


# ---- arrays


def parameters_of(model):
    """What is trained, by the names of the manifest, as tensors that share the model's memory;
    matrices are [inputs, outputs]: y = x W + b."""
    arrays = {"user_embeddings": model.users, "wide": model.wide}
    arrays.update({f"short_{n}": getattr(model.short, n) for n in ATTENTION})
    if hasattr(model.long, "attention"):
        arrays.update({f"long_{n}": getattr(model.long.attention, n) for n in ATTENTION})
    if hasattr(model.long, "value"):
        arrays["sdim_value"] = model.long.value
    if hasattr(model.long, "memory"):
        arrays.update({f"mimn_{n}": getattr(model.long, n) for n in MIMN})
    for number, layer in enumerate(model.mlp[::2]):
        arrays[f"mlp_{number}_weight"] = layer.weight.t()
        arrays[f"mlp_{number}_bias"] = layer.bias
    return {name: value.detach() for name, value in arrays.items()}


def weights_of(model):
    """All arrays of the manifest by name."""
    arrays = {name: value.numpy() for name, value in parameters_of(model).items()}
    if model.has_long:
        arrays.update(model.long.arrays())
    return {name: np.ascontiguousarray(value) for name, value in arrays.items()}


def export_bundle(folder, model, bundle, made_by):
    """The model's item table as a data bundle, with its hyperplanes where it has any."""
    folder.mkdir()
    np.save(folder / "item_embeddings.npy", model.table.numpy())
    if bundle.has_categories:
        np.save(folder / "item_categories.npy", bundle.category_ids[bundle.categories])
    np.save(folder / "history_offsets.npy", bundle.offsets)
    np.save(folder / "history_items.npy", bundle.items.astype(np.int32))
    if bundle.times is not None:
        np.save(folder / "history_times.npy", bundle.times)
    if hasattr(model.long, "hyperplanes"):
        np.save(folder / "hyperplanes.npy", model.long.hyperplanes.numpy())
    info = {key: bundle.info[key] for key in ("name", "source", "licence") if key in bundle.info}
    write_json(folder / "bundle.json", {**info, "made_by": made_by})


def serving_rows(bundle, rows, max_history):
    """int32 [n, 5]: user, history_begin, history_end, item, label of samples `rows`."""
    samples = bundle.samples[rows]
    begins = np.maximum(0, samples[:, data.END] - max_history)
    return np.stack([samples[:, data.USER], begins, samples[:, data.END], samples[:, data.ITEM],
                     samples[:, data.LABEL]], axis=1).astype(np.int32)


def settings_of(model, options):
    """Numbers that serving needs beside the shapes of arrays."""
    settings = {"dim": options.dim, "heads": options.heads, "short_length": options.short,
                "max_history": options.max_history}
    for attribute in ("k", "bits", "hashes", "width"):
        if hasattr(model.long, attribute):
            settings[{"width": "hash_width"}.get(attribute, attribute)] = getattr(
                model.long, attribute)
    if hasattr(model.long, "signs"):
        settings["bits"] = model.long.signs.shape[1]
    if hasattr(model.long, "rotations"):
        settings["rounds"] = model.long.rotations.shape[0]
        settings["buckets"] = model.long.rotations.shape[2] * 2
    if hasattr(model.long, "memory"):
        settings["slots"] = model.long.memory.shape[0]
    return settings


def save_arrays(folder, arrays):
    """Saves each array as NAME.npy; returns types and shapes for the manifest."""
    entries = {}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        entries[name] = {"dtype": str(array.dtype), "shape": list(array.shape)}
    return entries


def write_model(folder, model, bundle, options, rows, report):
    """Writes an exported model into an existing, empty folder: predicts samples `rows` and adds
    their quality to `report`."""
    logits = train.predict(model, bundle, rows, options)
    report = {**report, "test": quality(bundle.samples[rows], logits)}
    made_by = f"scripts/train_ctr.py model={options.model} seed={options.seed}"
    (folder / "weights").mkdir()
    (folder / "test").mkdir()
    manifest = {
        "format": FORMAT, "version": VERSION, "model": options.model, "made_by": made_by,
        "seed": options.seed, "items": bundle.num_items, "users": bundle.num_users,
        "settings": settings_of(model, options),
        "weights": save_arrays(folder / "weights", weights_of(model)),
        "test": save_arrays(folder / "test", {
            "samples": serving_rows(bundle, rows, options.max_history), "logits": logits}),
        "metrics": report["test"],
    }
    export_bundle(folder / "bundle", model, bundle, made_by)
    write_json(folder / "report.json", report)
    write_json(folder / "manifest.json", manifest)
    return report


def load(folder):
    """The manifest and the arrays of an exported model, every shape and type checked."""
    folder = pathlib.Path(folder)
    manifest = read_json(folder / "manifest.json")
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT or (
            manifest.get("version") != VERSION):
        raise BadInput(f"{folder / 'manifest.json'}: not {FORMAT} version {VERSION}")
    arrays = {}
    try:
        entries = [(part, name, np.dtype(entry["dtype"]), list(entry["shape"]))
                   for part in ("weights", "test") for name, entry in manifest[part].items()]
    except (KeyError, TypeError, AttributeError, ValueError, SyntaxError) as error:
        raise BadInput(f"{folder / 'manifest.json'}: weights or test are not as described: "
                       f"{reason(error)}") from error
    for part, name, dtype, shape in entries:
        arrays[name] = read_array(folder / part, f"{name}.npy", dtype, shape)
    users = len(arrays.get("user_embeddings", ()))
    if not users or manifest.get("users") != users or not isinstance(manifest.get("settings"),
                                                                     dict):
        raise BadInput(f"{folder / 'manifest.json'}: users or settings are not as described")
    return manifest, arrays


def take_table(model, table):
    """Gives a model the parameters from which it computes item table `table`. Raises ValueError
    where items of one category differ in its columns."""
    own = model.item_ids.shape[1]
    first = np.unique(model.item_categories.numpy(), return_index=True)[1]
    with torch.no_grad():
        model.item_ids.copy_(torch.from_numpy(table[:, :own]))
        model.category_ids.copy_(torch.from_numpy(table[first, own:]))
        if not np.array_equal(model.item_table().numpy(), table):
            raise ValueError("item_embeddings.npy does not follow from items and categories")


def restore(folder):
    """The model in an exported folder, ready for its forward pass, and its manifest."""
    folder = pathlib.Path(folder)
    manifest, arrays = load(folder)
    bundle = folder / "bundle"
    table = read_array(bundle, "item_embeddings.npy", np.float32, (-1, -1))
    categories = read_array(bundle, "item_categories.npy", np.int32, (len(table),), optional=True)
    if categories is None:
        categories = np.zeros(len(table), np.int32)
    dense = np.unique(categories, return_inverse=True)[1].astype(np.int64)
    settings = {**manifest["settings"], "model": manifest.get("model"), "init": 0.0,
                "short": manifest["settings"].get("short_length")}
    # What is drawn or given here is replaced by the exported arrays.
    random, index = np.random.RandomState(0), np.zeros(table.shape, np.float32)
    try:
        unit = make_unit(types.SimpleNamespace(**settings), dense, index, random)
        model = CtrModel(types.SimpleNamespace(**settings), manifest["users"], dense, unit)
        expected = {**parameters_of(model),
                    **{name: getattr(model.long, attribute) for name, attribute in BUFFERS.items()
                       if hasattr(model.long, attribute)}}
        for name, value in expected.items():
            if arrays[name].shape != tuple(value.shape):
                raise BadInput(f"{folder}: {name} has shape {list(arrays[name].shape)} (expected "
                               f"{list(value.shape)})")
            value.copy_(torch.from_numpy(arrays[name]))
        take_table(model, table)
        model.refresh()
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        raise BadInput(f"{folder}: not a model that can be built: {reason(error)}") from error
    return model.eval(), manifest
