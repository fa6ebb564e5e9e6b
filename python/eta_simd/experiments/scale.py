# SPDX-License-Identifier: Apache-2.0
"""Measures eta_simd.spark beside one call of the batch driver on the same data: rows (candidates)
per second and core, two executors against one, and bytes that are shuffled. Run it on a quiet
machine with a core for each executor; it takes minutes (docs/scale.md)."""
import contextlib
import json
import os
import pathlib
import sys
import tempfile
import time
import urllib.request

from eta_simd.command import Count, Parser, add_counts, check_counts, check_range

COUNTS = (Count("users", 4000, 8, 10**7, "users"),
          Count("length", 1024, 1, 10**6, "behaviours of a user"),
          Count("candidates", 100, 1, 10**6, "candidates of a user"),
          Count("items", 200000, 1, 2**31 - 1, "items"),
          Count("dim", 64, 1, 4096, "dimensions of an embedding"),
          Count("k", 64, 1, 10**6, "behaviours that a candidate gets"),
          Count("rows", 500, 1, 10**6, "rows of a batch"),
          Count("repeats", 3, 1, 100, "times that each is measured; the best counts"))
FILES = 8


def parse_options(arguments):
    parser = Parser(description=__doc__)
    parser.add_argument("--method", default="eta:64", help="default: %(default)s")
    parser.add_argument("--long", type=int, default=0, metavar="N",
                        help="also a job in which one user has this many behaviours")
    add_counts(parser, COUNTS)
    options = parser.parse_args(arguments)
    check_counts(options, COUNTS)
    check_range("--long", options.long, 0, 10**7)
    return options


def write_log(folder, options):
    """Item table and requests.parquet, a folder of FILES files; the same bytes at every call."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    random = np.random.default_rng(1)
    np.save(folder / "items.npy", random.standard_normal((options.items, options.dim), np.float32))

    def lists(users, length):
        ids = random.integers(0, options.items, users * length, np.int32)
        return pa.ListArray.from_arrays(np.arange(users + 1, dtype=np.int32) * length, ids)
    for name in ("requests.parquet", "long.parquet"):
        (folder / name).mkdir()
    for part, users in enumerate(np.array_split(np.arange(options.users), FILES)):
        table = pa.table({"user": users, "history": lists(len(users), options.length),
                          "candidates": lists(len(users), options.candidates)})
        pq.write_table(table, folder / f"requests.parquet/part-{part}.parquet",
                       row_group_size=options.rows)
    if options.long:
        pq.write_table(pa.table({"user": [0], "history": lists(1, options.long),
                                 "candidates": lists(1, 40 * options.candidates)}),
                       folder / "long.parquet/part-0.parquet")


def best(repeats, *works):
    """The shortest of some runs of each, in seconds, taking turns."""
    found: list[list[float]] = [[] for _ in works]
    for _ in range(repeats):
        for work, seconds in zip(works, found):
            started = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - started)
    return [min(seconds) for seconds in found]


def measure_driver(folder, options):
    """Seconds of all batches in one thread: the driver's calls, and those of eta_simd.arrow."""
    import numpy as np
    import pyarrow.parquet as pq
    from eta_simd import Retriever, arrow, columns

    retriever = Retriever(options.method, np.load(folder / "items.npy", mmap_mode="r"))
    batches = pq.read_table(folder / "requests.parquet").combine_chunks().to_batches(options.rows)
    lists = [(*columns.ids(batch, "history", options.items),
              *columns.ids(batch, "candidates", options.items)) for batch in batches]
    return best(options.repeats,
                lambda: [retriever.retrieve_batch(*part, options.k) for part in lists],
                lambda: [arrow.retrieve(batch, retriever, options.k) for batch in batches])


def load():
    """How busy the machine is, as a text; beside other programs no figure tells anything."""
    return f"load average {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores"


# ---- Spark


@contextlib.contextmanager
def session(master, options, **settings):
    """A session that is stopped at the end."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    made = SparkSession.builder.master(master).config(map={
        "spark.executor.memory": "1g", "spark.ui.port": "0", "spark.ui.showConsoleProgress":
        "false", "spark.executorEnv.PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(options.rows),
        "spark.sql.files.openCostInBytes": str(1 << 30), **settings}).getOrCreate()
    made.sparkContext.setLogLevel("ERROR")
    try:
        yield made
    finally:
        made.stop()


def run(frame):
    """Computes all rows and drops them."""
    frame.write.format("noop").mode("overwrite").save()


def shuffled(spark):
    """Bytes written for shuffles so far."""
    port = spark.sparkContext.uiWebUrl.rsplit(":", 1)[1]
    url = (f"http://127.0.0.1:{port}/api/v1/applications/{spark.sparkContext.applicationId}"
           "/stages")
    with urllib.request.urlopen(url) as answer:
        return sum(stage["shuffleWriteBytes"] for stage in json.load(answer))


def measure_jobs(folder, options, executors):
    """Seconds until the first job is done, and of a job after that."""
    from eta_simd import spark as jobs

    started = time.perf_counter()
    with session(f"local-cluster[{executors},1,2048]", options) as spark:
        frame = spark.read.parquet(str(folder / "requests.parquet"))
        job = jobs.retrieve(frame, folder / "items.npy", options.method, options.k, work=None)
        run(job)
        startup = time.perf_counter() - started
        seconds, = best(options.repeats, lambda: run(job))
        if executors == 2:
            measure_shuffles(spark, folder, options)
            if options.long:
                measure_long(spark, folder, options)
    return startup, seconds


def measure_shuffles(spark, folder, options):
    """Prints what a job moves, alone and with a join before it."""
    from eta_simd import spark as jobs

    frame = spark.read.parquet(str(folder / "requests.parquet"))
    samples = options.users * options.candidates
    joined = frame.select("user", "history").hint("shuffle_hash").join(
        frame.select("user", "candidates"), "user")
    for name, requests in (("as they are", frame), ("joined on the user", joined)):
        before = shuffled(spark)
        run(jobs.retrieve(requests, folder / "items.npy", options.method, options.k, work=None))
        print(f"shuffled, requests {name}: {(shuffled(spark) - before) / samples:.1f} bytes a "
              "sample", flush=True)


def measure_long(spark, folder, options):
    """Prints the time of a user of many behaviours, whole and cut."""
    from eta_simd import spark as jobs

    frame = spark.read.parquet(str(folder / "long.parquet"))
    for work in (None, jobs.WORK):
        job = jobs.retrieve(frame, folder / "items.npy", "exact", options.k, work=work)
        run(job)  # makes the retrievers
        seconds, = best(options.repeats, lambda: run(job))
        print(f"one user of {options.long} behaviours and {40 * options.candidates} candidates, "
              f"exact, 2 executors, {'cut' if work else 'whole'}: {seconds:.2f} s", flush=True)


def main(arguments):
    options = parse_options(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        write_log(folder, options)
        samples = options.users * options.candidates
        print(f"{options.users} users of {options.length} behaviours and {options.candidates} "
              f"candidates, {options.items} items x {options.dim}, {options.method}, "
              f"k = {options.k}; best of {options.repeats}; at the start {load()}", flush=True)
        driver, batches = measure_driver(folder, options)
        print(f"driver, one thread: {samples / driver:,.0f} rows/s\n"
              f"eta_simd.arrow, one thread: {samples / batches:,.0f} rows/s, "
              f"{driver / batches:.2f} of the driver", flush=True)
        alone = None
        for executors in (1, 2):
            startup, seconds = measure_jobs(folder, options, executors)
            alone = alone or seconds
            print(f"Spark, {executors} x 1 core: {samples / seconds / executors:,.0f} rows/s and "
                  f"core, {driver / seconds / executors:.2f} of the driver, {alone / seconds:.2f} "
                  f"of one executor; startup {startup - seconds:.1f} s", flush=True)
    print(f"at the end {load()}")
