# SPDX-License-Identifier: Apache-2.0
"""Draws what serving_bench measured: the latency of requests over time, a panel for each phase,
with the times in which a new model was hashed.

  build/release/bench/serving_bench --json serving.json
  scripts/serving.py --json serving.json --out serving.svg
"""
import pathlib

from eta_simd.command import BadInput, Parser
from eta_simd.files import check_not_read, replaced
from eta_simd.reading import read_json
from eta_simd.text import reason

# Not p99, which is the slowest one in a slice of fewer than 100 requests.
LINES = (("p50_us", "p50"), ("max_us", "slowest"))


def parse_options(arguments):
    parser = Parser(description="Draw what serving_bench measured.")
    parser.add_argument("--json", required=True, type=pathlib.Path, metavar="FILE",
                        help="written by serving_bench --json")
    parser.add_argument("--out", required=True, type=pathlib.Path, metavar="FILE",
                        help="picture to write; its ending is the format, such as .svg or .png")
    return parser.parse_args(arguments)


def number(value, what):
    """`value`, a number from 0 on that can be drawn; raises ValueError for any other."""
    if type(value) not in (int, float) or not 0 <= value < 1e15:  # NaN, too
        raise ValueError(f"{what} is not valid")
    return value


def check_phase(phase):
    """Raises ValueError, KeyError or TypeError unless a phase has what is drawn."""
    if not isinstance(phase["name"], str) or not phase["name"].isprintable():
        raise ValueError("a name is not valid")
    number(phase["p99_of_quiet"], "p99_of_quiet")
    number(phase["requests"]["p99_us"], "p99_us")
    for part in phase["slices"]:
        number(part["begin_s"], "begin_s")
        for key, _ in LINES:
            number(part[key], key)
    for swap in phase["swaps"]:
        number(swap["begin_s"], "begin_s")
        number(swap["end_s"], "end_s")


def read(path):
    """The phases of a report; each has what is drawn."""
    phases = read_json(path, "phases")["phases"]
    try:
        for phase in phases:
            check_phase(phase)
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path}: not a report of serving_bench: {reason(error)}") from error
    if not phases:
        raise BadInput(f"{path}: no phases")
    return phases


def draw_phase(axis, phase):
    """The latencies of a phase, and its swaps as bands from the first hash to the last."""
    begins = [part["begin_s"] for part in phase["slices"]]
    for key, name in LINES:
        axis.plot(begins, [part[key] for part in phase["slices"]], linewidth=1, label=name)
    for i, swap in enumerate(phase["swaps"]):
        axis.axvspan(swap["begin_s"], swap["end_s"], color="tab:red", alpha=0.25, linewidth=0,
                     label="a new model is hashed" if i == 0 else None)
        axis.axvline(swap["end_s"], color="tab:red", linewidth=0.8)
    axis.set_title(f"{phase['name']}: p99 {phase['requests']['p99_us']:.0f} us, "
                   f"{phase['p99_of_quiet']:.2f} of quiet", fontsize=9, loc="left")
    axis.set_ylabel("latency, us", fontsize=8)
    axis.grid(alpha=0.3)


def draw(phases, path):
    """Writes the picture; all panels have the same axes."""
    import matplotlib
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(phases), 1, figsize=(9, 1.9 * len(phases) + 0.6),
                                   sharex=True, sharey=True, squeeze=False)
    for axis, phase in zip(axes[:, 0], phases):
        draw_phase(axis, phase)
    if any(part["max_us"] > 0 for phase in phases for part in phase["slices"]):
        axes[0, 0].set_yscale("log")
    axes[-1, 0].set_xlabel("seconds since the phase began")
    busiest = max(range(len(phases)), key=lambda i: len(phases[i]["swaps"]))
    axes[busiest, 0].legend(fontsize=7, ncol=4, loc="upper right")
    figure.tight_layout()
    try:
        with replaced(path) as part:
            figure.savefig(part, format=path.suffix[1:], dpi=120)
    except (OSError, ValueError) as error:
        raise BadInput(f"{path}: {error}") from error


def main(arguments):
    options = parse_options(arguments)
    check_not_read(options.out, [options.json])
    draw(read(options.json), options.out)
