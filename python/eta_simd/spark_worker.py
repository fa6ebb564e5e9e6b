# SPDX-License-Identifier: Apache-2.0
"""What eta_simd.spark runs on executors: functions from record batches to record batches.

`table` is (whether the parent holds the retriever, items, method, seed, categories); files are
paths where it does, else names of what Spark has copied.
"""
from __future__ import annotations

import functools
from typing import Any, Callable, Iterator, Optional

import numpy as np
import pyarrow as pa
from pyspark import SparkFiles, TaskContext

from eta_simd import arrow, columns, packed, spark_daemon
from eta_simd.codes import Hyperplanes
from eta_simd.retrieval import Retriever
from eta_simd.summary import Part, Summary, parts_of

Batches = Iterator[pa.RecordBatch]
Table = tuple[bool, str, str, int, Optional[str]]

REQUEST = "eta_simd_request"  # the column that numbers requests whose candidates are cut


def answer(table: Table, batches: Batches, k: int, is_measured: bool) -> Batches:
    """Rows of arrow.retrieve."""
    retriever, embeddings = _loaded(table)
    measured_by = embeddings if is_measured else None
    for batch in batches:
        yield _named(batch, "user", lambda rows: arrow.retrieve(rows, retriever, k,
                                                                measured_by=measured_by))


def answer_packed(table: Table, batches: Batches, k: int) -> Batches:
    """Rows of packed.retrieve."""
    retriever, _ = _loaded(table)
    for batch in batches:
        yield _named(batch, "user", lambda rows: packed.retrieve(rows, retriever, k))


def pack(batches: Batches) -> Batches:
    """The same rows, with packed lists."""
    for batch in batches:
        yield _named(batch, "user", packed.pack)


def count(table: Table, batches: Batches, k: int) -> Batches:
    """One row for all batches: a Summary."""
    retriever, embeddings = _loaded(table)
    summary = Summary.of(retriever, k)
    for batch in batches:
        for part in _named(batch, "user",
                           lambda rows: list(parts_of(rows, retriever, k, embeddings))):
            summary.add(part)
    yield _text(summary)


def cut(work: int, batches: Batches) -> Batches:
    """Rows of at most `work` behaviours times candidates, or of one candidate. A row is a batch:
    nothing is copied, and no more than it is held."""
    for batch in batches:
        place = batch.schema.get_field_index("candidates")
        is_packed = columns.is_binary(batch.schema.field(place).type)
        # Histories stay as they are; only the candidates are cut.
        lists = _named(batch, "user", columns.unpacked)
        histories, candidates = lists.column("history"), lists.column("candidates")
        for row in range(batch.num_rows):
            wanted = candidates[row].values
            step = max(work // max(len(histories[row].values), 1), 1)
            for begin in range(0, len(wanted), step):
                part = wanted.slice(begin, step)
                piece = pa.array([part.to_numpy().astype("<i4").tobytes() if is_packed else part],
                                 batch.schema.field(place).type)
                yield batch.slice(row, 1).set_column(place, batch.schema.field(place), piece)


def count_pieces(table: Table, batches: Batches, k: int) -> Batches:
    """For each piece the number of its request, and its Part as a text."""
    retriever, embeddings = _loaded(table)
    for batch in batches:
        parts = _named(batch, "user", lambda rows: list(parts_of(rows, retriever, k, embeddings)))
        yield pa.record_batch({"request": batch.column(REQUEST),
                               "part": [" ".join(map(str, part)) for part in parts]})


def merge_pieces(table: Table, batches: Batches, k: int) -> Batches:
    """One row for all batches, which are sorted by request: a Summary."""
    summary = Summary.of(_loaded(table)[0], k)
    current: Optional[tuple[int, Part]] = None
    for batch in batches:
        for request, text in zip(batch.column("request").to_pylist(),
                                 batch.column("part").to_pylist()):
            part = Part(*map(int, text.split()))
            if current is not None and current[0] == request:
                current = request, current[1] + part
                continue
            if current is not None:
                summary.add(current[1])
            current = request, part
    if current is not None:
        summary.add(current[1])
    yield _text(summary)


def encode(matrix: Any, batches: Batches) -> Batches:
    """Rows of item and code."""
    planes = Hyperplanes.from_array(matrix)
    for batch in batches:
        codes = _named(batch, "item", lambda rows: planes.encode(
            columns.vectors(columns.column(rows, "embedding"), "embedding")))
        yield pa.RecordBatch.from_arrays(
            [columns.column(batch, "item"), pa.array(list(map(bytes, codes)), pa.binary())],
            ["item", "code"])


@functools.lru_cache(maxsize=2)
def _loaded(table: Table) -> tuple[Retriever, Any]:
    """A retriever with its table, mapped; a worker keeps them from task to task."""
    is_shared, items, method, seed, categories = table
    if not is_shared:
        items = SparkFiles.get(items)
        categories = None if categories is None else SparkFiles.get(categories)
    retriever = (spark_daemon.shared(items, method, seed, categories)
                 or spark_daemon.make(items, method, seed, categories))
    return retriever, np.load(items, mmap_mode="r", allow_pickle=False)


def _named(batch: pa.RecordBatch, name: str, work: Callable[[pa.RecordBatch], Any]) -> Any:
    """What `work` makes of a batch. Its error names the partition, and the first bad row by the
    column `name`, because a row of a batch is nothing that anybody could look up."""
    try:
        return work(batch)
    except (TypeError, ValueError) as error:
        context = TaskContext.get()
        place = "" if context is None else f"partition {context.partitionId()}, "
        for row in range(batch.num_rows):
            try:
                work(batch.slice(row, 1))
            except (TypeError, ValueError):
                place += f"{name} {batch.column(name)[row].as_py()!r}: "
                break
        raise type(error)(f"{place}{error}") from None


def _text(summary: Summary) -> pa.RecordBatch:
    return pa.record_batch({"summary": [summary.to_json()]})
