# SPDX-License-Identifier: Apache-2.0
"""What eight bits cost the ranking: predicts the test samples of exported models in float32 and in
int8, and compares the two.

Models of one data set and kind, other seeds of it, make a row. Differences are int8 less float32.
Writes precision.csv, precision.json (which has each model's own figures too) and precision.md. Exit
code 1 where AUC differs by more than 2e-4 in the mean over all models, or by more than 5e-4 in one.
"""
import pathlib
import sys
import tempfile

import numpy as np

from eta_simd import files
from eta_simd.command import BadInput, Parser, progress, summarize
from eta_simd.experiments.ctr_rows import logits_of
from eta_simd.experiments.programs import run_program
from eta_simd.reading import number, read_json
from eta_simd.text import reason, shown

MEASURES = ("auc", "gauc", "log_loss")
LARGEST_MEAN, LARGEST = 2e-4, 5e-4  # of the difference in AUC
COLUMNS = ("data", "model", "seeds", "auc", "auc_difference", "auc_largest", "gauc",
           "gauc_difference", "log_loss", "log_loss_difference", "largest_logit_difference")


def price(program, folder):
    """The figures of one exported model: a dictionary."""
    manifest = read_json(folder / "manifest.json", "model", "seed")
    name = read_json(folder / "bundle" / "bundle.json").get("name", "unnamed")
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch) / "run.json"
        run_program([program, folder, "--precision", "float32,int8", "--length", 0, "--candidates",
                     1, "--requests", 1, "--rounds", 1, "--logits", "--json", path])
        run = read_json(path, "rows", "samples")
    try:
        exact, narrow = run["rows"]
        if (exact["precision"], narrow["precision"]) != ("float32", "int8"):
            raise ValueError("the rows are not of float32 and int8")
        figures = {"data": str(name), "model": str(manifest["model"]), "seed": manifest["seed"]}
        for measure in MEASURES:
            figures[measure] = number(exact[measure])
            figures[f"{measure}_difference"] = number(narrow[measure]) - figures[measure]
        logits = [logits_of(run, row)[1] for row in (exact, narrow)]
        figures["largest_logit_difference"] = float(np.abs(logits[1] - logits[0]).max())
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{folder}: no two results of ctr_bench: {reason(error)}") from None
    return figures


def rows_of(figures):
    """A row for each data set and model, means over seeds; largest values are of magnitudes."""
    groups: dict[tuple, list] = {}
    for one in figures:
        groups.setdefault((one["data"], one["model"]), []).append(one)
    rows = []
    for (data, model), group in groups.items():
        row = {"data": data, "model": model, "seeds": len(group)}
        for name in [*MEASURES, *(f"{measure}_difference" for measure in MEASURES)]:
            row[name] = float(np.mean([one[name] for one in group]))
        row["auc_largest"] = max(abs(one["auc_difference"]) for one in group)
        row["largest_logit_difference"] = max(one["largest_logit_difference"] for one in group)
        rows.append(row)
    return rows


def markdown(rows):
    """The rows as a table."""
    lines = ["| data | model | seeds | AUC | difference | largest | GAUC difference | log loss "
             "difference | largest logit difference |", "|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        lines.append(
            f"| {shown(row['data'])} | `{shown(row['model'])}` | {row['seeds']} | {row['auc']:.4f} "
            f"| {row['auc_difference']:+.1e} | {row['auc_largest']:.1e} "
            f"| {row['gauc_difference']:+.1e} | {row['log_loss_difference']:+.1e} "
            f"| {row['largest_logit_difference']:.3f} |")
    return "\n".join(lines) + "\n"


def verdict(figures):
    """Whether the price is within the limits, and a sentence that says so."""
    magnitudes = [abs(one["auc_difference"]) for one in figures]
    mean, largest = float(np.mean(magnitudes)), max(magnitudes)
    is_good = mean <= LARGEST_MEAN and largest <= LARGEST
    return is_good, (f"{len(figures)} models: AUC differs by {mean:.1e} in the mean (up to "
                     f"{LARGEST_MEAN:.0e}) and by {largest:.1e} at most (up to {LARGEST:.0e})"
                     f"{'' if is_good else ': TOO MUCH'}")


def main(arguments):
    parser = Parser(description="Compare int8 with float32 on the test samples of CTR models.")
    parser.add_argument("models", nargs="+", type=pathlib.Path, metavar="MODEL",
                        help="folders that scripts/train_ctr.py wrote")
    parser.add_argument("--ctr-bench", required=True, metavar="PROGRAM")
    parser.add_argument("--results", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder for the tables")
    options = parser.parse_args(arguments)
    figures = []
    for done, folder in enumerate(options.models):
        progress(f"{done} of {len(options.models)} models")
        figures.append(price(options.ctr_bench, folder))
    progress("")
    rows = rows_of(figures)
    is_good, sentence = verdict(figures)
    options.results.mkdir(parents=True, exist_ok=True)
    files.write_csv(options.results / "precision.csv", rows, COLUMNS)
    files.write_json(options.results / "precision.json", {"rows": rows, "models": figures})
    text = f"{markdown(rows)}\n{sentence}\n"
    files.write_text(options.results / "precision.md", text)
    summarize(text)
    if not is_good:
        print(f"precision.py: {sentence}", file=sys.stderr)
    return 0 if is_good else 1
