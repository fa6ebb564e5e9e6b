#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the kernels and checks them against their speed targets.
#
#   scripts/targets.sh [--quick] [--keep DIR] [--build DIR] [--base COMMIT]
#
#   --quick        takes a tenth of the time, to try the script out; its numbers are noisy
#   --keep DIR     copies the measurements to DIR
#   --build DIR    where to build, default build/release
#   --base COMMIT  builds that commit, too, in a temporary folder, and runs it in turn with this tree:
#                  for the targets that compare with what was before
#
# Prints a line for each target: name, target, measured, reached or not. Exit code 1 if one is not.
# Most targets are defined for AVX-512 with BITALG, VBMI2 and VNNI: on another machine their lines
# show its best instruction set, and decide nothing. Both sides of a ratio run in turn in one process,
# and the fastest of many times counts; a quiet machine is still needed.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

quick=
keep=
base=
parse_options "quick keep= build= base=" "$@"
refuse "${rest[@]}"
[[ -z $base ]] || base="$(commit_of "$base")"
min_time=0.2
repeats=5
pairs=5
rounds=5
if [[ -n $quick ]]; then
  min_time=0.02
  repeats=1
  pairs=1
  rounds=2
fi

"$ROOT/scripts/setup.sh" build data
configure release
build release kernel_bench retrieval_bench >&2
bench="$(build_folder release)/bench"
results="$(mktemp -d)"
scratch="$(mktemp -d)"
# shellcheck disable=SC2317 # called by the trap
finish() {
  remove_commit "$scratch"
  rm -rf "$results" "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
[[ -z $base ]] || build_commit "$base" "$scratch" kernel_bench retrieval_bench
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
  --methods scan_i8,eta:64 --csv "$results/scans1024.csv" >/dev/null
"$bench/retrieval_bench" --quiet --length 16392 --users 8 --requests 8 --repeats "$repeats" \
  --methods exact,scan_i8 --csv "$results/scans16384.csv" >/dev/null
say "Threads ..."
"$ROOT/scripts/thread_scaling.sh" --bench "$bench/retrieval_bench" --pairs "$pairs" \
  --methods eta:64,eta:256 >"$results/threads.txt"

# Rows that base has as well. It asks kernels for the same queries again and again, which this tree
# does not (docs/kernels.md).
base_rows='dot_i8_rows/count:128/dim:64|asym_topk_any/bits:64/L:(1024|16384)/K:64'
new_rows='dot_i8_rows/count:128/dim:64|(pq4|asym_factor)_topk_any/bits:64/L:(1024|16384)/K:64'
codes=pq4:64+rerank_i8:8,pq4:64+rerank_i8:16,pq4:96+rerank_i8:8,pq4:128+rerank_i8:2
codes+=,pq4:128+rerank_i8:4,pq4:128+rerank_i8:8

# turn SIDE BENCH ROWS METHODS ROUND: one round of one side, into SIDE-* of the results.
turn() {
  local side=$1 bench=$2 cell dim length users cache
  if [[ -n $3 ]]; then
    ETA_KERNEL_BENCH_RIVALS=0 "$bench/kernel_bench" --benchmark_min_time="$min_time" \
      --benchmark_format=json --benchmark_filter="^($3)/$target\$" >"$results/$side-kernels-$5.json"
  fi
  for cell in 64:1032:60:warm 64:4104:20:warm 64:16392:8:warm 128:4104:20:warm 128:16392:8:warm \
    64:16392:8:cold; do
    IFS=: read -r dim length users cache <<<"$cell"
    "$bench/retrieval_bench" --quiet --dim "$dim" --length "$length" --users "$users" \
      --requests "$users" --repeats "$repeats" --cache "$cache" --methods "$4" \
      --csv "$results/$side-$dim-$((length - 8))-$cache-$5.csv" >/dev/null
  done
}

say "Codes against scans ..."
for ((round = 1; round <= rounds; ++round)); do
  [[ -z $base ]] ||
    turn base "$scratch/source/build/release/bench" "$base_rows" scan_i8 "$round"
  turn new "$bench" "${base:+$new_rows}" "scan_i8,$codes" "$round"
done

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
  --hyperplanes "gaussian=$results/gaussian.csv" "hadamard=$results/hadamard.csv" \
  --turns "$results"
