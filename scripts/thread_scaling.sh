#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the throughput of N threads over one: for batches of users, and for one request whose
# 1,000 candidates are split.
#
#   scripts/thread_scaling.sh [--threads N] [--pairs N] [--bench PATH] [--csv FILE] [--build DIR]
#                             [ARGUMENT...]
#
#   --threads N    threads to compare with one, default 2
#   --pairs N      runs of each, alternating, default 7; the median of the ratios is printed
#   --bench PATH   a retrieval_bench to use instead of building one
#   --csv FILE     file for the ratios too, which scripts/report.py draws
#   --build DIR    where to build, default build/release
#   ARGUMENT...    given to retrieval_bench, such as --methods exact,eta:64 or --k 100
#
# Runs alternate, so that a drift of the machine hits both sides alike. A wide spread (least and
# largest ratio) means that the machine was not quiet enough.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

threads=2
pairs=7
bench=
csv=
parse_options "threads= pairs= bench= csv= build=" "$@"
[[ $threads =~ ^[1-9][0-9]{0,3}$ ]] || die "--threads $threads: not a whole number below 10000"
[[ $pairs =~ ^[1-9][0-9]{0,3}$ ]] || die "--pairs $pairs: not a whole number below 10000"
[[ -z $csv || -w $csv || (! -e $csv && -w $(dirname "$csv")) ]] ||
  die "--csv $csv: cannot be written"
check_program --bench "$bench"
if [[ -z $bench ]]; then
  "$ROOT/scripts/setup.sh" build
  configure release
  build release retrieval_bench
  bench="$(build_folder release)/bench/retrieval_bench"
fi

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
echo case,method,threads,median,least,largest >"$scratch/ratios.csv"

# throughput THREADS ARGUMENT...: lines "method candidates_per_s". The columns are found by their
# names. What is in quotes may hold commas; neither of the two columns is.
throughput() {
  local count=$1
  shift
  "$bench" --quiet --threads "$count" --csv "$scratch/csv" "$@" >/dev/null || exit 2
  awk -F, '{ gsub(/"[^"]*"/, "quoted") }
  NR == 1 { columns = NF; for (i = 1; i <= NF; ++i) column[$i] = i }
  NR > 1 {
    if (NF != columns || !("method" in column && "candidates_per_s" in column)) exit 1
    value = $column["candidates_per_s"]
    if (value !~ /^[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?$/ || value == 0) exit 1
    print $column["method"], value
  }' "$scratch/csv" || die "$bench: a row without a method, or a throughput that is no number above 0"
}

# measure NAME ARGUMENT...: prints a row per method.
measure() {
  local name=$1 pair
  shift
  : >"$scratch/ratios"
  for ((pair = 0; pair < pairs; ++pair)); do
    throughput 1 "$@" >"$scratch/one"
    throughput "$threads" "$@" >"$scratch/many"
    paste -d' ' "$scratch/one" "$scratch/many" |
      awk 'NF != 4 || $1 != $3 { exit 1 }
      { printf "%d %s %.4f\n", NR, $1, $4 / $2 }' >>"$scratch/ratios" ||
      die "$bench: rows of other methods with $threads threads than with one"
  done
  sort -k1,1n -k3,3n "$scratch/ratios" | awk -v name="$name" -v threads="$threads" \
    -v csv="$scratch/ratios.csv" '
    function show() {
      if (n == 0) return
      median = n % 2 ? r[(n + 1) / 2] : (r[n / 2] + r[n / 2 + 1]) / 2
      printf "%-38s %-16s %6.2fx   %.2f to %.2f\n", name, method, median, r[1], r[n]
      printf "\"%s\",%s,%d,%.4f,%.4f,%.4f\n", name, method, threads, median, r[1], r[n] >>csv
    }
    $1 != group { show(); n = 0; group = $1; method = $2 }
    { r[++n] = $3 }
    END { show() }'
}

methods=(--methods "exact,eta:64,eta:256")
printf '%-38s %-16s %7s   %s\n' "throughput of $threads threads over one" method median spread
measure "(a) batches of users, B = 256" --split users --users 128 --length 1032 --requests 128 \
  --repeats 5 "${methods[@]}" "${rest[@]}"
measure "(b) one request of B = 1,000, split" --split candidates --users 8 --length 1032 \
  --requests 8 --repeats 20 --b 1000 "${methods[@]}" "${rest[@]}"
[[ -z $csv ]] || replace_file "$csv" <"$scratch/ratios.csv"
