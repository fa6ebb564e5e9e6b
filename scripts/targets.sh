#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the kernels and checks them against their speed targets.
#
#   scripts/targets.sh [--quick] [--keep DIR] [--build DIR]
#
#   --quick      takes a tenth of the time, to try the script out; its numbers are noisy
#   --keep DIR   copies the measurements to DIR
#   --build DIR  where to build, default build/release
#
# Prints a line for each target: name, target, measured, reached or not. Exit code 1 if one is not.
# Most targets are defined for AVX-512 with BITALG, VBMI2 and VNNI: on another machine their lines
# show its best instruction set, and decide nothing. Both sides of a ratio run in turn in one process,
# and the fastest of many times counts; a quiet machine is still needed.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

quick=
keep=
parse_options "quick keep= build=" "$@"
refuse "${rest[@]}"
min_time=0.2
repeats=5
pairs=5
if [[ -n $quick ]]; then
  min_time=0.02
  repeats=1
  pairs=1
fi

"$ROOT/scripts/setup.sh" build data
configure release
build release kernel_bench retrieval_bench >&2
bench="$(build_folder release)/bench"
results="$(mktemp -d)"
trap 'rm -rf "$results"' EXIT
export OMP_NUM_THREADS=1

load="$(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo 0)"
awk -v load="$load" 'BEGIN { exit !(load > 0.5) }' &&
  say "note: load average $load: other programs disturb the timings"

target="$("$bench/kernel_bench" --benchmark_filter='limit_fma' --benchmark_min_time=0.01 \
  --benchmark_format=json 2>/dev/null | sed -n 's/.*"simd_target": "\(.*\)".*/\1/p')"
shapes='bits:(64/L:(1024|16384)|256/L:(1024|16384)|128/L:2048|1024/L:100000)'
rows="(hamming_distances|hamming_topk_(any|sorted))/$shapes(/K:[0-9]+)?"
rows+="|hamming_topk_batch/.*|simhash_encode/rows:1024/.*"
rows+="|hadamard_encode/rows:1024/dim:128/bits:256|gather_code_blocks/table:4194304/.*"
rows+="|dot(_i8)?_scores/L:(1024|16384)/dim:64/B:(256|64)"
rows+="|dot_i8_topk_(any|sorted)/L:1024/dim:64/B:256/K:64"
rows+="|(pq4|asym_factor)_topk_any/bits:64/L:(1024|16384)/K:64"
rows+="|pq4_encode/rows:1024/dim:64/bits:128"
sorted_rows="hamming_topk_sorted/bits:(64|256)/L:1024/K:64/AVX2"
say "Kernels ($target) ..."
"$bench/kernel_bench" --benchmark_min_time="$min_time" --benchmark_format=json \
  --benchmark_filter="^($rows)/$target\$|^$sorted_rows\$" \
  >"$results/kernels.json"

say "Recall of hyperplanes ..."
for kind in gaussian hadamard; do
  "$bench/retrieval_bench" --quiet --dim 128 --length 1032 --users 60 --requests 60 --repeats 1 \
    --methods eta:256 --hyperplanes "$kind" --csv "$results/$kind.csv" >/dev/null
done
say "Recall of codes ..."
"$bench/retrieval_bench" --quiet --length 1032 --users 60 --requests 60 --repeats 1 \
  --methods eta_norm:128,eta_asym:64,eta_asym:128,pq4:64,pq4:128 --csv "$results/codes.csv" \
  >/dev/null
say "Equal recall ..."
"$bench/retrieval_bench" --quiet --length 1032 --users 60 --requests 60 --repeats "$repeats" \
  --methods exact,scan_f32,scan_i8,eta:256+rerank_i8:8,faiss_exact --csv "$results/recall.csv" \
  >/dev/null
say "Scans ..."
"$bench/retrieval_bench" --quiet --length 1032 --users 60 --requests 60 --repeats "$repeats" \
  --methods scan_i8 --csv "$results/scans1024.csv" >/dev/null
"$bench/retrieval_bench" --quiet --length 16392 --users 8 --requests 8 --repeats "$repeats" \
  --methods exact,scan_i8 --csv "$results/scans16384.csv" >/dev/null
say "Threads ..."
"$ROOT/scripts/thread_scaling.sh" --bench "$bench/retrieval_bench" --pairs "$pairs" \
  --methods eta:64,eta:256 >"$results/threads.txt"

if [[ -n $keep ]]; then
  mkdir -p "$keep"
  for file in "$results"/*; do
    name=$(basename "$file")
    replace_file "$keep/$name" <"$file"
  done
fi
"$PYTHON" "$ROOT/scripts/targets.py" --kernels "$results/kernels.json" \
  --threads "$results/threads.txt" --recall "$results/recall.csv" \
  --codes "$results/codes.csv" --scans "1024=$results/scans1024.csv" "16384=$results/scans16384.csv" \
  --hyperplanes "gaussian=$results/gaussian.csv" "hadamard=$results/hadamard.csv"
