# SPDX-License-Identifier: Apache-2.0
"""Measures eta_simd.spark beside one call of the batch driver on the same data: time of a candidate
by the clock and of the processors, two executors against one, and bytes that are shuffled. What a
job costs whatever its size is not counted: all figures are of a job less one of an eighth of its
users. Run it on a quiet machine with a core for each executor; it takes minutes (docs/scale.md)."""
import contextlib
import functools
import json
import math
import os
import pathlib
import sys
import tempfile
import time
import typing
import urllib.request

from eta_simd.command import Count, Parser, add_counts, check_counts, check_range

COUNTS = (Count("users", 16000, 64, 10**7, "users"),
          Count("length", 1024, 1, 10**6, "behaviours of a user"),
          Count("candidates", 100, 1, 10**6, "candidates of a user"),
          Count("items", 200000, 1, 2**31 - 1, "items"),
          Count("dim", 64, 1, 4096, "dimensions of an embedding"),
          Count("k", 64, 1, 10**6, "behaviours that a candidate gets"),
          Count("rows", 500, 1, 10**6, "rows of a batch"),
          Count("repeats", 3, 1, 100, "times that each is measured; the best counts"))
FILES = 8
SMALL, LARGE = "small.parquet", "requests.parquet"
LONG_CANDIDATES = 40000


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
    for name, count in ((SMALL, options.users // 8), (LARGE, options.users)):
        (folder / name).mkdir()
        for part, users in enumerate(np.array_split(np.arange(count), FILES)):
            table = pa.table({"user": users, "history": lists(len(users), options.length),
                              "candidates": lists(len(users), options.candidates)})
            pq.write_table(table, folder / f"{name}/part-{part}.parquet",
                           row_group_size=options.rows)
    if options.long:
        pq.write_table(pa.table({"user": [0], "history": lists(1, options.long),
                                 "candidates": lists(1, LONG_CANDIDATES)}),
                       folder / "long.parquet")


class Cost(typing.NamedTuple):
    """Seconds, by the clock and of the processors of all processes that work."""

    clock: float
    processors: float


def costs(repeats, processors, *works):
    """The least Cost of some runs of each, which take turns; `processors` reads their meter."""
    found: list[list[Cost]] = [[] for _ in works]
    for _ in range(repeats):
        for work, runs in zip(works, found):
            clock, used = time.perf_counter(), processors()
            work()
            runs.append(Cost(time.perf_counter() - clock, processors() - used))
    return [Cost(min(run.clock for run in runs), min(run.processors for run in runs))
            for runs in found]


def measure_driver(folder, options):
    """Costs of all batches in one thread: the driver's calls, and those of eta_simd.arrow."""
    import numpy as np
    import pyarrow.parquet as pq
    from eta_simd import Retriever, arrow, columns

    retriever = Retriever(options.method, np.load(folder / "items.npy", mmap_mode="r"))
    batches = pq.read_table(folder / LARGE).combine_chunks().to_batches(options.rows)
    lists = [(*columns.ids(batch, "history", options.items),
              *columns.ids(batch, "candidates", options.items)) for batch in batches]

    def call_driver():
        for part in lists:
            retriever.retrieve_batch(*part, options.k)

    def call_arrow():
        for batch in batches:
            arrow.retrieve(batch, retriever, options.k)
    return costs(options.repeats, time.process_time, call_driver, call_arrow)


def measure_parts(folder, options):
    """The cost of evaluating the users of SMALL in one thread, without Spark."""
    import numpy as np
    import pyarrow.parquet as pq
    from eta_simd import Retriever, summary

    table = np.load(folder / "items.npy", mmap_mode="r")
    retriever = Retriever(options.method, table)
    batches = pq.read_table(folder / SMALL).combine_chunks().to_batches(options.rows)

    def evaluate():
        for batch in batches:
            for _ in summary.parts_of(batch, retriever, options.k, table):
                pass
    cost, = costs(options.repeats, time.process_time, evaluate)
    return cost


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


def used_by(application):
    """Seconds that the processors have worked for the executors of an application and for their
    Python workers, those that have ended among them."""
    parents, seconds, found = {}, {}, set()
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        process = int(folder.name)
        parents[process] = int(fields[1])
        seconds[process] = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        if application.encode() in words and any(b"CoarseGrainedExecutor" in w for w in words):
            found.add(process)
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sum(seconds[process] for process in found)


def measure_jobs(folder, options, executors, report):
    """Gives `report` the seconds until the first job is done, and the costs of the jobs of all rows
    less those of an eighth: of lists, and of packed lists. Then it measures shuffles."""
    from eta_simd import spark as jobs

    started = time.perf_counter()
    with session(f"local-cluster[{executors},1,2048]", options) as spark:
        def job(name, is_packed):
            return functools.partial(run, jobs.retrieve(
                spark.read.parquet(str(folder / name)), folder / "items.npy", options.method,
                options.k, work=None, is_packed=is_packed))
        job(SMALL, False)()
        startup = time.perf_counter() - started
        found = []
        for is_packed in (False, True):
            names = [SMALL, LARGE]
            if is_packed:
                for name in names:
                    jobs.pack(spark.read.parquet(str(folder / name))).write.mode(
                        "overwrite").parquet(str(folder / f"packed-{name}"))
                names = [f"packed-{name}" for name in names]
            job(names[1], is_packed)()  # compiles what the JVM runs often
            small, large = costs(
                options.repeats,
                functools.partial(used_by, spark.sparkContext.applicationId),
                *(job(name, is_packed) for name in names))
            found.append(Cost(large.clock - small.clock, large.processors - small.processors))
        report(executors, startup, found)
        if executors == 1:
            measure_evaluation(spark, folder, options)
        if executors == 2:
            measure_shuffles(spark, folder, options)
            if options.long:
                measure_long(spark, folder, options)


def measure_evaluation(spark, folder, options):
    """Prints what evaluation costs: of SMALL, less that of an eighth of it."""
    from eta_simd import spark as jobs

    frame, users = spark.read.parquet(str(folder / SMALL)), options.users // 8

    def job(count):
        return functools.partial(jobs.evaluate, frame.where(frame.user < count),
                                 folder / "items.npy", options.method, options.k, work=None)
    job(users)()
    few, all_of_them = costs(options.repeats,
                             functools.partial(used_by, spark.sparkContext.applicationId),
                             job(users // 8), job(users))
    one = measure_parts(folder, options).processors / (users * options.candidates)
    cost = all_of_them.processors - few.processors
    cost /= (users - users // 8) * options.candidates
    print(f"evaluation: {one * 1e6:.1f} us of the processors a candidate in one process, "
          f"{cost * 1e6:.1f} us in Spark: {ratio(one, cost):.2f} of the speed", flush=True)


def measure_shuffles(spark, folder, options):
    """Prints what a job moves, alone and with a join before it."""
    from eta_simd import spark as jobs

    frame = spark.read.parquet(str(folder / LARGE))
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
        cost, = costs(options.repeats,
                      functools.partial(used_by, spark.sparkContext.applicationId),
                      functools.partial(run, job))
        print(f"one user of {options.long} behaviours and {LONG_CANDIDATES} candidates, exact, "
              f"2 executors, {'cut' if work else 'whole'}: {cost.clock:.2f} s, of the processors "
              f"{cost.processors:.2f} s", flush=True)


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
        marginal = samples - options.users // 8 * options.candidates
        show("driver, one thread", driver, samples, driver, samples)
        show("eta_simd.arrow, one thread", batches, samples, driver, samples)
        alone: list[Cost] = []

        def report(executors, startup, found):
            alone.extend(found[len(alone):])
            print(f"Spark, {executors} x 1 core: first job done after {startup:.1f} s")
            for name, cost, one in zip(("  lists", "  packed"), found, alone):
                show(name, cost, marginal, driver, samples)
                print(f"{name}: {ratio(one.clock, cost.clock):.2f} times as fast as one executor "
                      f"by the clock, {ratio(one.processors, cost.processors):.2f} by the "
                      "processors", flush=True)
        for executors in (1, 2):
            measure_jobs(folder, options, executors, report)
    print(f"at the end {load()}")


def ratio(a, b):
    """a / b; NaN where a job was too short to tell."""
    return a / b if a > 0 and b > 0 else math.nan


def show(name, cost, rows, driver, driver_rows):
    """Prints what a candidate costs, and the speed of a processor beside that in the driver."""
    clock, processors = (seconds / rows * 1e6 for seconds in cost)
    share = ratio(driver.processors / driver_rows, cost.processors / rows)
    print(f"{name}: {clock:.2f} us a candidate by the clock, {processors:.2f} us of the "
          f"processors, {share:.2f} of the driver's speed a core", flush=True)
