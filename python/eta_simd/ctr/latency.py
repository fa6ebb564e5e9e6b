# SPDX-License-Identifier: Apache-2.0
"""Times PyTorch's forward pass of an exported model (docs/models.md): requests of one user with B
candidates. Prints one JSON object; times are microseconds per request, those of processor_... of
all threads together, which other programs lengthen less.

The pass is tried in every form that this PyTorch has: eager, as TorchScript, and by torch.compile,
each in float32, in bfloat16 and with PyTorch's dynamic int8 quantisation of the linear layers; and
by ONNX Runtime in float32 and int8, where that is installed. A form whose logits differ from those
of eager float32 by more than 1e-3, or 0.25 where it is narrower, is left out. The fastest is timed,
and named in `form`. Codes, integer tables and the item table are ready before
the clock starts, as in serving, and the history is read once for all candidates. Each request has
its own history and candidates, drawn from the behaviours of the model's bundle.
"""
import contextlib
import io
import json
import os
import pathlib
import signal
import tempfile
import time
import warnings

from eta_simd.command import BadInput, Count, Parser, add_counts, check_counts, set_threads
from eta_simd.ctr.forms import FORMS, difference, in_form, require_agreement
from eta_simd.text import shown

CHECKED = 3  # requests whose logits are compared

COUNTS = (
    Count("candidates", 256, 1, 100000, "candidates of a request"),
    Count("length", 1024, 1, 100000, "behaviours of the history"),
    Count("threads", 1, 1, 1024, "threads"),
    Count("requests", 200, 1, 10**6, "requests that are timed"),
    Count("warm-up", 20, 1, 10**6, "requests of each form before that; then as many choose one"),
    Count("limit", 120, 1, 10**6, "seconds that a form may take until it can be timed"),
    Count("seed", 1, 0, 2**32 - 1, "seed of histories and candidates"),
)


def parse_options(arguments):
    parser = Parser(description="Time PyTorch's forward pass of an exported model.")
    parser.add_argument("--model", required=True, type=pathlib.Path, metavar="DIR",
                        help="folder that scripts/train_ctr.py wrote")
    parser.add_argument("--forms", default=",".join(FORMS), metavar="LIST",
                        help="forms to try (default: %(default)s)")
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    options.forms = options.forms.split(",")
    for form in options.forms:
        if form not in FORMS:
            raise BadInput(f"--forms: {form} is not one of {', '.join(FORMS)}")
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


@contextlib.contextmanager
def time_limit(seconds):
    """Raises TimeoutError in the body after so many seconds."""
    def stop(*_):
        raise TimeoutError(f"not ready after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def microseconds(call, drawn):
    """The time of each call of `call` with arguments from `drawn`, and the processor time."""
    times, processor = [], []
    for arguments in drawn:
        started, used = time.perf_counter_ns(), time.process_time_ns()
        call(*arguments)
        processor.append((time.process_time_ns() - used) / 1000)
        times.append((time.perf_counter_ns() - started) / 1000)
    return times, processor


def try_forms(model, options, draw):
    """The forms that work by name, with the median of `warm_up` requests each and the largest
    difference of logits; and why the others do not. draw(count) gives so many requests."""
    import numpy as np

    working, missing = {}, {}
    for form in options.forms:
        try:
            # Exporters print what they do.
            with time_limit(options.limit), contextlib.redirect_stderr(io.StringIO()), \
                    contextlib.redirect_stdout(io.StringIO()):
                call = in_form(model, form, next(draw(1)))
                found = difference(call, model, draw(min(options.warm_up, CHECKED)))
                require_agreement(form, found)
                microseconds(call, draw(options.warm_up))
            times, _ = microseconds(call, draw(options.warm_up))
            working[form] = call, np.median(times), found
        except Exception as error:  # PyTorch's compilers fail in many ways
            missing[form] = shown(str(error).strip().partition("\n")[0]) or type(error).__name__
    return working, missing


def main(arguments):
    options = parse_options(arguments)
    set_threads(options.threads)  # before PyTorch and NumPy are imported
    with contextlib.ExitStack() as stack:
        if "TORCHINDUCTOR_CACHE_DIR" not in os.environ:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
        # One compiles as fast as several here, and leaves no processes behind.
        os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")
        print(json.dumps(measure(options)))


def measure(options):
    """What is printed."""
    import numpy as np
    import torch
    from eta_simd.ctr import export
    from eta_simd.data.bundle import read_array

    torch.set_num_threads(options.threads)
    model, manifest = export.restore(options.model)
    behaviours = read_array(options.model / "bundle", "history_items.npy", np.int32, (-1,))
    if not len(behaviours):
        raise BadInput(f"{options.model / 'bundle'}: the histories are empty")

    def draw(count):
        return requests(behaviours, manifest["users"], options, count)

    # Deprecated or experimental, a form is a rival as long as it works.
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        working, missing = try_forms(model, options, draw)
        if not working:
            raise BadInput("; ".join(f"{form}: {why}" for form, why in missing.items()))
        form = min(working, key=lambda name: working[name][1])
        times, processor = microseconds(working[form][0], draw(options.requests))
    p50, p99 = np.percentile(times, [50, 99])
    return {
        "model": manifest["model"], "torch": torch.__version__, "threads": options.threads,
        "candidates": options.candidates, "length": options.length, "requests": options.requests,
        "settings": manifest["settings"], "form": form,
        "forms_us": {name: round(float(median), 1) for name, (_, median, _) in working.items()},
        "logit_differences": {name: float(f"{found:.2g}")
                              for name, (_, _, found) in working.items()},
        "missing_forms": missing, "p50_us": round(p50, 1), "p99_us": round(p99, 1),
        "min_us": round(min(times), 1), "processor_p50_us": round(np.median(processor), 1),
        "processor_min_us": round(min(processor), 1),
        "candidates_per_s": round(options.candidates * 1e6 / np.mean(times), 1)}
