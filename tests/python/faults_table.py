# SPDX-License-Identifier: Apache-2.0
"""Every program and script that writes, by its options that name an output: what faults_test.py
puts each of them through, or why it does not."""
from typing import NamedTuple

KUAIRAND = ("user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,"
            "is_forward,is_hate,long_view,play_time_ms,duration_ms,profile_stay_time,"
            "comment_stay_time,is_profile_enter,is_rand,tab")
SETTINGS = ("--requests", "2", "--repeats", "1", "--b", "4", "--k", "4", "--methods", "exact",
            "--quiet")
SMALL = ("--users", "4", "--items", "200", "--length", "40", *SETTINGS)
REQUESTS = ("--requests", "2", "--length", "20")
PLANTED = ("--users", "40", "--topics", "12", "--side", "3", "--categories", "4", "--length", "48",
           "--recent", "10", "--interests", "5", "--repeats", "4", "--dim", "8")
SERVING = ("--bundle", "{bundle}", "--b", "4", "--k", "4", "--rate", "200", "--seconds", "0.1",
           "--appends", "1000", "--batch", "10", "--swap-every", "0.1", "--durability", "none",
           "--samples", "2")
TINY = ("--epochs", "1", "--dim", "8", "--heads", "2", "--max-history", "20", "--short", "4")


# Makes files for the importers of Parquet, in the folder that is its argument.
PARQUET_LOGS = """
import sys
import pyarrow as pa
import pyarrow.parquet as pq

def write(name, columns):
    pq.write_table(pa.table(columns), f"{sys.argv[1]}/{name}.parquet")

users = [user for user in range(8) for _ in range(8)]
items = pa.array([(user + n) % 16 for n, user in enumerate(users)], pa.int64())
times = pa.array(range(1649545620867, 1649545620867 + 64), pa.int64())
vectors = pa.array([[float(n), 1] for n in range(16)], pa.list_(pa.float64()))
write("kuairand", {"user_id": pa.array(users, pa.int64()), "video_id": items, "time_ms": times,
                   "is_click": pa.array([1] * 64, pa.int8()), "tab": pa.array(["1"] * 64)})
write("videos", {"video_id": range(16), "embedding": vectors})
write("yambda", {"uid": pa.array(users, pa.uint32()), "timestamp": pa.array(range(64), pa.uint32()),
                 "item_id": items.cast(pa.uint32()), "is_organic": pa.array([1] * 64, pa.uint8()),
                 "played_ratio_pct": pa.array([90] * 64, pa.uint16()),
                 "track_length_seconds": pa.array([200] * 64, pa.uint32())})
write("tracks", {"item_id": pa.array(range(16), pa.uint32()), "embed": vectors,
                 "normalized_embed": vectors})
"""


class Writer(NamedTuple):
    """A command and its output; {NAME} in the arguments is a file of faults_test.make_inputs()."""
    program: str
    option: str
    arguments: "tuple[str, ...]"
    output: str = "out"  # name of the file or folder
    reads: str = ""  # the input that is made unreadable
    is_new: bool = False  # an output that exists is refused, or gone on from
    needs: "tuple[str, ...]" = ()  # Python modules, or programs that are not always built
    names: str = ""  # what an error on a full disk names, if not the output
    unlimited: str = ""  # why a limit on the size of files does not stop the output in the middle
    shares: str = ""  # what the second of two at once is refused, if not the output
    checker: "tuple[str, ...]" = ()  # accepts a whole output, where no two have the same files


NUMPY = ("numpy", "scipy.sparse")
WRITERS = (
    Writer("retrieval_bench", "--csv", SMALL),
    Writer("retrieval_bench", "--json", ("--data", "{bundle}", *SETTINGS),
           reads="bundle/item_embeddings.npy"),
    Writer("retrieval_bench", "--cells",
           ("--sweep", "L=20:40:x2", "--users", "4", "--items", "200", *SETTINGS),
           is_new=True),
    Writer("retrieval_bench", "--load-csv", ("--load", "200", "--load-seconds", "0.2", *SMALL)),
    Writer("retrieval_bench", "--per-request", SMALL),
    Writer("retrieval_bench", "--dump", ("--data", "{bundle}", *SETTINGS), is_new=True,
           reads="bundle/item_embeddings.npy"),
    Writer("ctr_bench", "--csv", ("{model}", *REQUESTS), reads="model/manifest.json",
           needs=("torch",)),
    Writer("ctr_bench", "--json", ("{model}", *REQUESTS), needs=("torch",)),
    Writer("freshness_bench", "--csv", ("{series}",), reads="series/step_1/manifest.json",
           needs=("torch",)),
    Writer("freshness_bench", "--json", ("{series}",), needs=("torch",)),
    Writer("bundle_tool generate", "--output", ("--users", "4", "--items", "200"), is_new=True),
    Writer("bundle_tool import-movielens", "--output", ("--input", "{movielens}"), is_new=True,
           reads="movielens/ratings.csv"),
    Writer("bundle_tool export-interactions", "--output", ("--input", "{movielens}"), is_new=True,
           reads="movielens/ratings.csv"),
    Writer("bundle_tool train-itq", "--output", ("--input", "{bundle}", "--bits", "8"), "out.npy",
           is_new=True, reads="bundle/item_embeddings.npy"),
    Writer("bundle_tool train-pq4", "--output", ("--input", "{bundle}", "--bits", "8"), is_new=True,
           reads="bundle/item_embeddings.npy"),
    Writer("bundle_tool codes", "--output", ("--input", "{bundle}", "--bits", "8"), "out.npy",
           is_new=True, reads="bundle/item_embeddings.npy"),
    Writer("import_amazon.py", "--output", ("--input", "{amazon.csv}", "--dim", "2"), is_new=True,
           reads="amazon.csv", needs=NUMPY),
    Writer("import_kuairand.py", "--output", ("--input", "{kuairand.csv}", "--dim", "2"),
           is_new=True, reads="kuairand.csv", needs=NUMPY),
    Writer("import_kuairand.py", "--output",
           ("--input", "{kuairand.parquet}", "--embeddings", "{videos.parquet}"), is_new=True,
           reads="kuairand.parquet", needs=("numpy", "pyarrow")),
    Writer("import_yambda.py", "--output",
           ("--input", "{yambda.parquet}", "--embeddings", "{tracks.parquet}"), is_new=True,
           reads="yambda.parquet", needs=("numpy", "pyarrow")),
    Writer("import_taobao.py", "--output", ("--input", "{taobao.csv}", "--dim", "2"), is_new=True,
           reads="taobao.csv", needs=NUMPY),
    Writer("import_movielens.py", "--output",
           ("--input", "{movielens}", "--dim", "2", "--bundle-tool", "{bundle_tool}"), is_new=True,
           reads="movielens/ratings.csv", needs=NUMPY,
           names="bundle_tool"),  # Python gives the signal back to its children, and it dies
    Writer("convert.py", "--output", ("--input", "{base.fvecs}"), is_new=True, reads="base.fvecs",
           needs=("numpy",)),
    Writer("convert.py", "--output", ("--input", "{bundle}"), "out.fbin", is_new=True,
           reads="bundle/item_embeddings.npy", needs=("numpy",)),
    Writer("convert.py", "--output", ("--input", "{bundle}"), "out.hdf5", is_new=True,
           reads="bundle/item_embeddings.npy", needs=("numpy", "h5py")),
    Writer("convert.py", "--output", ("--input", "{bundle}"), "out.parquet", is_new=True,
           reads="bundle/item_embeddings.npy", needs=("numpy", "pyarrow")),
    Writer("convert.py", "--output", ("--input", "{bundle.parquet}"), is_new=True,
           reads="bundle.parquet/items.parquet", needs=("numpy", "pyarrow")),
    Writer("make_planted.py", "--out", PLANTED, is_new=True, needs=("numpy",)),
    Writer("train_ctr.py", "--out", ("--bundle", "{planted}", "--model", "none", *TINY),
           is_new=True, reads="planted/history_items.npy", needs=("torch",)),
    Writer("reexport.py", "--out", ("--model", "{model}", "--bundle", "{planted}"), is_new=True,
           reads="model/manifest.json", needs=("torch",)),
    Writer("report.py", "--output", ("{results.json}",), reads="results.json",
           needs=("matplotlib",)),
    Writer("freshness.py", "--out", ("--json", "{freshness.json}"), "out.png",
           reads="freshness.json", needs=("matplotlib",)),
    Writer("serving.py", "--out", ("--json", "{serving.json}"), "out.png", reads="serving.json",
           needs=("matplotlib", "serving_bench")),
    Writer("serving_bench", "--csv", SERVING, reads="bundle/item_embeddings.npy",
           needs=("serving_bench",), unlimited="it would stop the store in TMPDIR first"),
    Writer("serving_bench", "--json", SERVING, reads="bundle/item_embeddings.npy",
           needs=("serving_bench",), unlimited="the same"),
    Writer("eta_store export", "--output", ("{store}", "--items", "{bundle}"), is_new=True,
           reads="store/eta_store.txt", needs=("eta_store",)),
    Writer("eta_store snapshot", "--output", ("{store}",), is_new=True,
           reads="store/eta_store.txt", needs=("eta_store",), shares="store",
           unlimited="large files are links; store_kill_test kills it",
           checker=("eta_store", "check")),
    Writer("thread_scaling.sh", "--csv", ("--bench", "{bench}", "--pairs", "1"),
           names="ratios.csv"),
)

# Those that write with the code of a writer above, and take too long or need too much to be run.
THROUGH = {
    ("kernel_bench", "--benchmark_out"): "Google Benchmark writes this file",
    ("ab_test.py", "--json"): "eta_simd.files",
    ("equal_auc.py", "--results"): "eta_simd.files and ctr_bench",
    ("precision.py", "--results"): "eta_simd.files, and ctr_bench to a temporary folder",
    ("recall_matters.py", "--results"): "eta_simd.files, and the rest to a temporary folder",
    ("equal_recall.py", "--output"): "eta_simd.files and retrieval_bench",
    ("quality.py", "--results"): "eta_simd.files and train_ctr.py",
    ("bench.sh", "--output"): "retrieval_bench, report.py and replace_file of thread_scaling.sh",
    ("ctr_bench.sh", "--csv"): "ctr_bench",
    ("ctr_bench.sh", "--json"): "ctr_bench",
    ("decide.py", "--output"): "eta_simd.files and retrieval_bench, and the rest to temporary "
    "folders",
    ("decide.sh", "--output"): "decide.py",
    ("equal_recall.sh", "--output"): "equal_recall.py",
    ("fetch_movielens.sh", "--output"): "import_movielens.py",
    ("matrix.sh", "--output"): "logs, which grow while it runs",
    ("matrix.sh", "--keep"): "whole systems",
    ("matrix_one.sh", "--output"): "logs, which grow while it runs",
    ("wheel.sh", "--output"): "pip and the compiler write there",
    ("targets.sh", "--keep"): "replace_file of thread_scaling.sh",
}

# Those without an option that names an output.
OTHERS = {
    "ab_test.sh": "passes its options to ab_test.py",
    "arm.sh": "builds in build/", "check_docs.py": "reads only", "check_results.py": "reads only",
    "compare.py": "reads only", "docs.sh": "writes build/docs", "format.sh": "clang-format writes",
    "fuzz.sh": "builds in build/, and keeps what the fuzzers find there",
    "lint.sh": "reads only", "memcheck.sh": "builds in build/", "memory.py": "reads only",
    "quality.sh": "passes its options to quality.py",
    "regress.sh": "writes to a temporary folder", "scale.py": "writes to a temporary folder",
    "setup.sh": "apt writes",
    "targets.py": "reads only", "test.sh": "builds in build/", "torch_latency.py": "reads only",
}
# Options in a --help that name an input, or are those of another program.
INPUTS = {("freshness.py", "--json"), ("freshness_bench", "--out"), ("compare.py", "--json"),
          ("compare.py", "--per-request"),
          ("report.py", "--csv"), ("serving.py", "--json")}

# Modules of eta_simd that write without eta_simd.files, and why none of it is half-written.
WRITING_MODULES = {
    "files.py": "is where it is done",
    "ctr/export.py": "into a staged folder", "ctr/planted.py": "into a staged folder",
    "data/bundle.py": "into a staged folder", "data/vectors.py": "to a staged file",
    "data/parquet.py": "into a staged folder", "data/histories.py": "into a staged folder",
    "data/kuairand.py": "into a staged folder",
    "data/movielens.py": "to a temporary folder", "data/movielens_files.py": "to the same",
    "experiments/ab_test.py": "to a temporary folder",
    "experiments/decide/runs.py": "to a temporary folder",
    "experiments/equal_auc/picture.py": "within files.replaced",
    "experiments/equal_recall/picture.py": "within files.replaced",
    "experiments/freshness.py": "within files.replaced",
    "experiments/quality/cells.py": "within files.replaced",
    "experiments/quality/picture.py": "within files.replaced",
    "experiments/recall_matters/cells.py": "to a temporary folder",
    "experiments/scale.py": "to a temporary folder",
    "experiments/serving.py": "within files.replaced",
    "experiments/recall_matters/picture.py": "within files.replaced",
    "report/page.py": "to memory",
}
