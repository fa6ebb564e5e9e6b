#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, compares the retrieval methods, recall against latency, measures
# how they depend on history length, candidates, oversampling and threads, and makes a page of it all.
#
#   scripts/bench.sh [--data BUNDLE | --movielens DIR] [--output DIR] [--build DIR] [--quick]
#                    [-- ARGUMENT...]
#
#   --data BUNDLE     a data bundle, such as your own embeddings (README.md says how to write one);
#                     without --data and --movielens: data from the seeded generator
#   --movielens DIR   the folder of a MovieLens data set of any size; imported once
#   --output DIR      where the results go, default results/<date>-<name>
#   --build DIR       where to build, and where imported data and results go by default; so the
#                     source tree may be read-only
#   --quick           a short run, to see that all works; its numbers are noisy
#   -- ARGUMENT...    given to retrieval_bench, which then makes the comparison alone; -- --help lists
#                     them
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

data="" movielens="" output="" quick=""
ours=() theirs=()
while [[ $# -gt 0 && $1 != -- ]]; do
  ours+=("$1")
  shift
done
[[ $# -eq 0 ]] || theirs=("${@:2}")
parse_options "data= movielens= output= build= quick" "${ours[@]}"
refuse "${rest[@]}"
bundle=$data
[[ -z $bundle || -z $movielens ]] || die "--data and --movielens exclude each other"
[[ -z $bundle || -d $bundle ]] || die "--data $bundle: there is no such folder"
inputs=()
if [[ -n $movielens ]]; then
  for file in "$movielens"/{ratings,movies}.{csv,dat}{,.gz} "$movielens"/u.{data,item}{,.gz}; do
    [[ ! -f $file ]] || inputs+=("$file")
  done
  [[ ${#inputs[@]} -ge 2 ]] || die "--movielens $movielens: there are no ratings and movies in it"
fi
[[ -z $output || ! -e $output/results.csv ]] || die "--output $output: there are results in it"

purposes=(build plot)
[[ -z $movielens ]] || purposes+=(data)
"$ROOT/scripts/setup.sh" "${purposes[@]}"
configure release
build release retrieval_bench bundle_tool
tools="$(build_folder release)/bench"
home="$ROOT"
[[ -z $build ]] || home="$(build_folder release)"

name=generated
if [[ -n $movielens ]]; then
  # The name of the imported bundle holds a digest of all it is made from.
  importer="$ROOT/scripts/import_movielens.py"
  package="$ROOT/python/eta_simd/data"
  digest="$(cat "${inputs[@]}" "$package"/{movielens{,_files},embeddings}.py | sha256sum)"
  bundle="$home/data/movielens-${digest:0:12}"
  name=movielens
  if [[ ! -e $bundle/bundle.json ]]; then
    say "Importing $movielens into $bundle ..."
    mkdir -p "$home/data" 2>/dev/null || die "$home/data: cannot be made (--build DIR is used instead)"
    "$PYTHON" "$importer" --input "$movielens" --output "$bundle" \
      --bundle-tool "$tools/bundle_tool"
  fi
elif [[ -n $bundle ]]; then
  name="$(basename "$(realpath "$bundle")")"
fi

arguments=(${bundle:+--data "$bundle"})
if [[ -n $quick ]]; then
  [[ -n $bundle ]] || arguments+=(--users 50 --items 20000)
  arguments+=(--requests 40 --repeats 1)
fi

output="${output:-$home/results/$(date +%Y-%m-%d-%H%M%S)-$name}"
mkdir -p "$output" 2>/dev/null || die "$output: cannot be made (--output DIR is used instead)"
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
code=0
"$tools/retrieval_bench" "${arguments[@]}" --csv "$output/results.csv" \
  --json "$output/results.json" "${theirs[@]}" | tee "$scratch/table.txt" || code=$?
if [[ ! -e $output/results.csv ]]; then # it failed, or printed its help
  rmdir --ignore-fail-on-non-empty "$output"
  exit "$code"
fi
replace_file "$output/table.txt" <"$scratch/table.txt"

# also FILE ARGUMENT...: a short measurement beside the comparison, for the report. Fewer users, so
# that generated histories of one length each take no longer than the measurement.
also() {
  local users=64 repeats=5
  [[ -z $quick ]] || users=16 repeats=1
  [[ -n $bundle ]] || set -- "$@" --users "$users"
  "$tools/retrieval_bench" "${arguments[@]}" --requests "$users" --repeats "$repeats" --quiet \
    --json "$output/$1.json" "${@:2}" >/dev/null || code=$?
}
if [[ ${#theirs[@]} -eq 0 ]]; then
  say "Measuring history lengths, candidates, oversampling and threads ..."
  methods=exact,scan_i8,eta:64,eta:256,eta_asym:64,eta:64+rerank:4
  ! grep -qE '(^|,)pq4:64,' "$output/results.csv" || methods+=,pq4:64 # of 16 dimensions or more
  also length --methods "$methods" --sweep L=128:8192:x4
  also candidates --methods "$methods" --sweep b=1:256:x4
  # nproc believes OMP_THREAD_LIMIT, beyond which retrieval_bench refuses to go.
  also threads --methods "$methods" --sweep "threads=1:$(env -u OMP_NUM_THREADS nproc 2>/dev/null || echo 2):x2"
  also oversampling --methods \
    "exact,eta:64,eta:256$(printf ',eta:64+rerank:%d,eta:64+rerank_i8:%d,eta:256+rerank:%d' \
      2 2 2 4 4 4 8 8 8 16 16 16)"
fi
say "Results are in $output: table.txt, results.csv, results.json"
if report="$("$PYTHON" "$ROOT/scripts/report.py" "$output" 2>"$scratch/report.log")"; then
  say "The report is $report"
else
  say "No report: $(tail -n 1 "$scratch/report.log")"
fi
exit "$code"
