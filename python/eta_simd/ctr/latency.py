# SPDX-License-Identifier: Apache-2.0
"""Times the TorchScript forward pass of an exported model (docs/models.md): requests of one user
with B candidates. Prints one JSON object; times are microseconds per request.

Codes, integer tables and the item table are ready before the clock starts, as in serving, and the
history is read once for all candidates. Each request has its own history and candidates, drawn from
the behaviours of the model's bundle.
"""
import json
import pathlib
import time

from eta_simd.command import BadInput, Count, Parser, add_counts, check_counts, set_threads
from eta_simd.reading import check_file
from eta_simd.text import reason

COUNTS = (
    Count("candidates", 256, 1, 100000, "candidates of a request"),
    Count("length", 1024, 1, 100000, "behaviours of the history"),
    Count("threads", 1, 1, 1024, "threads"),
    Count("requests", 200, 1, 10**6, "requests that are timed"),
    Count("warm-up", 20, 1, 10**6, "requests before that"),
    Count("seed", 1, 0, 2**32 - 1, "seed of histories and candidates"),
)


def parse_options(arguments):
    parser = Parser(description="Time the TorchScript forward pass of an exported model.")
    parser.add_argument("--model", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder that scripts/train_ctr.py wrote")
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    return options


def requests(behaviours, users, options, count):
    """Arguments of the model's forward pass, `count` of them."""
    import numpy as np
    import torch

    random = np.random.RandomState(options.seed)
    ends = torch.full((1, options.candidates), options.length)
    for _ in range(count):
        drawn = behaviours[random.randint(len(behaviours),
                                          size=options.length + options.candidates)]
        drawn = torch.from_numpy(drawn.astype(np.int64)).unsqueeze(0)
        yield (torch.tensor([random.randint(users)]), drawn[:, :options.length], ends,
               drawn[:, options.length:])


def main(arguments):
    options = parse_options(arguments)
    set_threads(options.threads)  # before PyTorch and NumPy are imported
    import numpy as np
    import torch
    from eta_simd.ctr import export
    from eta_simd.data.bundle import read_array

    torch.set_num_threads(options.threads)
    manifest, _ = export.load(options.model)
    path = options.model / "model.pt"
    check_file(path)
    try:
        model = torch.jit.load(str(path)).eval()
    except (RuntimeError, ValueError) as error:
        raise BadInput(f"{path}: not TorchScript: {reason(error)}") from error
    behaviours = read_array(options.model / "bundle", "history_items.npy", np.int32, (-1,))
    if not len(behaviours):
        raise BadInput(f"{options.model / 'bundle'}: the histories are empty")
    times = []
    with torch.inference_mode():
        for arguments in requests(behaviours, manifest["users"], options,
                                  options.warm_up + options.requests):
            started = time.perf_counter_ns()
            model(*arguments)
            times.append((time.perf_counter_ns() - started) / 1000)
    times = times[options.warm_up:]
    p50, p99 = np.percentile(times, [50, 99])
    print(json.dumps({
        "model": manifest["model"], "torch": torch.__version__, "threads": options.threads,
        "candidates": options.candidates, "length": options.length, "requests": options.requests,
        "settings": manifest["settings"], "p50_us": round(p50, 1), "p99_us": round(p99, 1),
        "candidates_per_s": round(options.candidates * 1e6 / np.mean(times), 1)}))
