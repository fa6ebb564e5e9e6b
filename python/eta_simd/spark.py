# SPDX-License-Identifier: Apache-2.0
"""Retrieval, its evaluation and codes of items as Spark jobs, by eta_simd.arrow in mapInArrow.
Needs PySpark 4 with Java 17 (scripts/setup.sh spark). docs/scale.md has an example.

Item tables are files of NumPy, such as item_embeddings.npy of a bundle. Spark copies a file to each
executor once, whose Python workers map it. A file must stay where it is while jobs that read it
run, and its name must have one content in a session.
"""
from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any, Iterable, Optional, Union

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession, functions
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_type
from pyspark.sql.types import BinaryType, StructField, StructType

from eta_simd import arrow, columns, packed, spark_daemon, spark_worker
from eta_simd.arrays import ArrayLike
from eta_simd.codes import Hyperplanes
from eta_simd.summary import Summary

PathLike = Union[str, os.PathLike[str]]

# Behaviours times candidates of a row. Every piece of a long row takes the history through Spark
# anew, and a task of its own: some 0.1 s. 2^30 take eta:64 0.13 s and exact 2.4 s, and evaluation
# costs some hundred times as much (AMD EPYC, 2026-11-27).
WORK = 1 << 30
WORK_EVALUATED = 1 << 22


def retrieve(requests: DataFrame, items: PathLike, method: str, k: int, *,
             is_measured: bool = False, is_packed: bool = False, seed: int = 1,
             categories: Optional[PathLike] = None, work: Optional[int] = WORK) -> DataFrame:
    """eta_simd.arrow.retrieve of all rows of `requests`, a row for each candidate.

    Parameters
    ----------
    requests : DataFrame
        The columns of eta_simd.arrow.retrieve. Packed ones (see pack) are read several times as
        fast.
    items : path of a .npy file, float32, items x dim
    method, seed
        As of Retriever. Each Python worker makes a Retriever, which holds a copy of the table,
        unless the session was made with shared().
    k : int
    is_measured : bool
        Whether there are recall, recall_ties and attention_mass.
    is_packed : bool
        Gives the rows of eta_simd.packed.retrieve instead, one for each request, or for each piece
        of one that is cut. Spark moves them several times as fast; unpack them where they are used,
        with eta_simd.packed.unpack. There are no measures then.
    categories : path of a .npy file, int32, items, optional
        For ``"sim_hard"``.
    work : int, optional
        Rows of more behaviours times candidates are cut, by their candidates, into rows that other
        tasks may take; with is_measured WORK_EVALUATED is better. No result depends on it. They are
        told apart by a second look at `requests`, which must give the same rows both times: a row
        that is long at one look alone would be lost or answered twice. So cache what is drawn by
        chance or may change meanwhile, or give None, which cuts nothing and looks once.

    A bad row fails the job. The message has its partition and user, its row in the batch, and the
    column.
    """
    _check_columns(requests)
    if is_packed and is_measured:
        raise ValueError("is_packed: packed results have no measures (expected one of is_packed "
                         "and is_measured)")
    task = functools.partial(_task, requests=requests, items=items, method=method, seed=seed,
                             categories=categories)
    user = to_arrow_type(requests.schema["user"].dataType)
    if is_packed:
        answer, schema = task(spark_worker.answer_packed, k=k), packed.result_schema(user)
    else:
        answer = task(spark_worker.answer, k=k, is_measured=is_measured)
        schema = arrow.result_schema(user, is_measured)
    whole, pieces = _cut(requests, work)
    rows = whole if pieces is None else whole.unionByName(pieces.drop(spark_worker.REQUEST))
    return rows.mapInArrow(answer, from_arrow_schema(schema))


def pack(requests: DataFrame) -> DataFrame:
    """The rows of `requests` with history, candidates and times as binary, by eta_simd.packed.pack;
    other columns are handed on.

    Spark converts a list number by number, on each of its ways from Parquet to Python. So pack a
    log once, write it, and read it with all later jobs.

    A bad row fails the job, as of retrieve.
    """
    if "user" not in requests.columns:
        raise ValueError("column 'user': there is none in requests")
    fields = [StructField(field.name, BinaryType(), True) if field.name in columns.PACKED else field
              for field in requests.schema]
    return requests.mapInArrow(spark_worker.pack, StructType(fields))


def evaluate(requests: DataFrame, items: PathLike, method: str, k: int, *, seed: int = 1,
             categories: Optional[PathLike] = None,
             work: Optional[int] = WORK_EVALUATED) -> dict[str, Any]:
    """How good a method is over all rows of `requests` that have candidates; arguments as of
    retrieve.

    Returns
    -------
    dict
        Summary.row: the columns of retrieval_bench's CSV that hold no times, from sums and a
        histogram that are exact, so that no partition changes a bit. Empty where there is no row.
    """
    summary = summarize(requests, items, method, k, seed=seed, categories=categories, work=work)
    return {} if summary is None else summary.row()


def summarize(requests: DataFrame, items: PathLike, method: str, k: int, *, seed: int = 1,
              categories: Optional[PathLike] = None,
              work: Optional[int] = WORK_EVALUATED) -> Optional[Summary]:
    """The Summary whose row evaluate returns, to be merged with others; None where there is no
    row."""
    _check_columns(requests)
    whole, pieces = _cut(requests, work)
    task = functools.partial(_task, requests=requests, items=items, method=method, seed=seed,
                             categories=categories)
    texts = whole.mapInArrow(task(spark_worker.count, k=k), "summary string")
    if pieces is not None:
        # The pieces of a request meet again, as sums of a few hundred bytes.
        sums = (pieces.mapInArrow(task(spark_worker.count_pieces, k=k), "request long, part string")
                .repartition(_tasks(requests), "request")
                .sortWithinPartitions("request"))
        texts = texts.union(sums.mapInArrow(task(spark_worker.merge_pieces, k=k),
                                            "summary string"))
    merged: Optional[Summary] = None
    for row in texts.collect():
        part = Summary.from_json(row["summary"])
        if merged is None:
            merged = part
        else:
            merged.merge(part)
    return merged


def encode_items(items: DataFrame, hyperplanes: ArrayLike) -> DataFrame:
    """SimHash codes of items.

    Parameters
    ----------
    items : DataFrame
        item (any type) and embedding (array of float)
    hyperplanes : float32 array, dim x bits
        As of Hyperplanes.from_array.

    Returns
    -------
    DataFrame of item and code (binary, bits / 8 bytes)

    A bad row fails the job, as of retrieve, with its item.
    """
    matrix = np.ascontiguousarray(hyperplanes)
    Hyperplanes.from_array(matrix)  # raises here what would fail on the executors
    schema = pa.schema([("item", to_arrow_type(items.schema["item"].dataType)),
                        ("code", pa.binary())])
    return items.mapInArrow(functools.partial(spark_worker.encode, matrix),
                            from_arrow_schema(schema))


def shared(items: PathLike, methods: Iterable[str], *, seed: int = 1,
           categories: Optional[PathLike] = None) -> dict[str, str]:
    """Settings of a session, for SparkSession.builder.config(map=...), in which the Python workers
    of an executor share the retrievers of these methods, all their tables among them.

    The executor's Python parent makes them before it forks the workers. `items` and `categories`
    must be at this path on every executor, whole and unchanged as long as the session is there.

    Examples
    --------
    >>> from eta_simd.spark import shared
    >>> sorted(shared("/data/items.npy", ["eta:64"]))
    ['spark.executorEnv.ETA_SIMD_SHARED', 'spark.python.daemon.module']
    """
    wanted = [[_path(items), method, seed, _path(categories)] for method in methods]
    return {"spark.python.daemon.module": "eta_simd.spark_daemon",
            f"spark.executorEnv.{spark_daemon.VARIABLE}": json.dumps(wanted)}


# ---- on the driver

_shipped: dict[tuple[str, str], tuple[str, int, int]] = {}  # by application and name, its version


def _path(path: Optional[PathLike]) -> Optional[str]:
    return None if path is None else str(Path(path).resolve())


def _check_columns(requests: DataFrame) -> None:
    missing = {"user", "history", "candidates"} - set(requests.columns)
    if missing:
        raise ValueError(f"column '{min(missing)}': there is none in requests")


def _task(function: Any, requests: DataFrame, items: PathLike, method: str, seed: int,
          categories: Optional[PathLike], *arguments: Any, **named: Any) -> Any:
    """The function of executors with a table and the method on it, for mapInArrow."""
    spark = requests.sparkSession
    _check_table(Path(items))
    wanted = [_path(items), method, seed, _path(categories)]
    text = spark.sparkContext.getConf().get(f"spark.executorEnv.{spark_daemon.VARIABLE}", "[]")
    is_shared = wanted in json.loads(text or "[]")
    if not is_shared:
        for place in (0, 3):
            wanted[place] = _ship(spark, wanted[place])
    return functools.partial(function, (is_shared, *wanted), *arguments, **named)


@functools.lru_cache(maxsize=8)
def _checked(path: str, version: int) -> None:
    table = np.load(path, mmap_mode="r", allow_pickle=False)
    if table.dtype != np.float32 or table.ndim != 2:
        raise ValueError(f"{path}: {table.dtype} of shape {list(table.shape)} (expected float32, "
                         "items x dim)")
    step = max((1 << 20) // max(table.shape[1], 1), 1)
    for begin in range(0, len(table), step):
        good = np.isfinite(table[begin:begin + step])
        if not good.all():
            row, column = np.argwhere(~good)[0]
            raise ValueError(f"{path}: row {begin + row}, element {column}: "
                             f"{table[begin + row, column]} (expected a finite number)")


def _check_table(path: Path) -> None:
    """Raises ValueError unless the file holds finite embeddings; each version is read once."""
    _checked(str(path.resolve()), path.stat().st_mtime_ns)


def _ship(spark: SparkSession, path: Any) -> Any:
    """Has Spark copy a file, if there is one, to each executor; returns its name there."""
    if path is None:
        return None
    about = Path(path).stat()
    version = path, about.st_size, about.st_mtime_ns
    place = spark.sparkContext.applicationId, Path(path).name
    if _shipped.setdefault(place, version) != version:
        raise ValueError(f"{path}: this session has another file of this name (Spark keeps the "
                         "first)")
    spark.sparkContext.addFile(path)
    return place[1]


def _tasks(requests: DataFrame) -> int:
    """Among how many tasks the pieces of long rows are shared out."""
    return 2 * requests.sparkSession.sparkContext.defaultParallelism


def _length(requests: DataFrame, name: str) -> Any:
    """How many ids a row of a column has."""
    if isinstance(requests.schema[name].dataType, BinaryType):
        return functions.floor(functions.octet_length(name) / 4)
    return functions.size(name).cast("long")


def _cut(requests: DataFrame, work: Optional[int]) -> tuple[DataFrame, Optional[DataFrame]]:
    """The rows of at most this work, and the pieces of the others, each with the number of its
    request; None for the pieces where nothing is cut."""
    if work is None:
        return requests, None
    if work < 1:
        raise ValueError(f"work: {work} (expected 1 or more, or None)")
    size = _length(requests, "history") * _length(requests, "candidates")
    is_long = functions.coalesce(size > work, functions.lit(False))
    long = requests.where(is_long).withColumn(spark_worker.REQUEST,
                                              functions.monotonically_increasing_id())
    pieces = long.mapInArrow(functools.partial(spark_worker.cut, work), long.schema)
    return requests.where(~is_long), pieces.repartition(_tasks(requests))
