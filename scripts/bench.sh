#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, compares the retrieval methods, recall against latency, and
# makes a page of the results.
#
#   scripts/bench.sh [--data BUNDLE | --movielens DIR] [--output DIR] [--quick] [-- ARGUMENT...]
#
#   --data BUNDLE     a data bundle, such as your own embeddings (README.md says how to write one);
#                     without --data and --movielens: data from the seeded generator
#   --movielens DIR   an unpacked MovieLens data set (ratings and movies, .csv or .dat); imported once
#   --output DIR      where the results go, default results/<date>-<name>
#   --quick           a short run, to see that all works; its numbers are noisy
#   -- ARGUMENT...    given to retrieval_bench; -- --help lists them
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

bundle=
movielens=
output=
quick=
arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      print_help
      exit
      ;;
    --data | --movielens | --output)
      [[ -n ${2:-} ]] || die "$1 needs a folder"
      case $1 in
        --data) bundle=$2 ;;
        --movielens) movielens=$2 ;;
        --output) output=$2 ;;
      esac
      shift
      ;;
    --quick) quick=1 ;;
    --)
      shift
      arguments+=("$@")
      break
      ;;
    *) die "unknown argument '$1'; see scripts/bench.sh --help" ;;
  esac
  shift
done
[[ -z $bundle || -z $movielens ]] || die "--data and --movielens exclude each other"
[[ -z $bundle || -d $bundle ]] || die "--data $bundle: there is no such folder"
inputs=()
if [[ -n $movielens ]]; then
  extension=csv
  [[ ! -e $movielens/ratings.dat ]] || extension=dat # the older data sets
  inputs=("$movielens/ratings.$extension" "$movielens/movies.$extension")
  for file in "${inputs[@]}"; do
    [[ -r $file ]] || die "--movielens $movielens: there is no ${file##*/} in it"
  done
fi
[[ -z $output || ! -e $output/results.csv ]] || die "--output $output: there are results in it"

purposes=(build plot)
[[ -z $movielens ]] || purposes+=(data)
"$ROOT/scripts/setup.sh" "${purposes[@]}"
configure release
build release retrieval_bench bundle_tool
tools="$ROOT/build/release/bench"

name=generated
if [[ -n $movielens ]]; then
  # The name of the imported bundle holds a digest of all it is made from.
  importer="$ROOT/scripts/import_movielens.py"
  package="$ROOT/python/eta_simd/data"
  digest="$(cat "${inputs[@]}" "$package"/{movielens,embeddings}.py | sha256sum)"
  bundle="$ROOT/data/movielens-${digest:0:12}"
  name=movielens
  if [[ ! -e $bundle/bundle.json ]]; then
    say "Importing $movielens into $bundle ..."
    mkdir -p "$ROOT/data"
    "$PYTHON" "$importer" --input "$movielens" --output "$bundle" \
      --bundle-tool "$tools/bundle_tool"
  fi
elif [[ -n $bundle ]]; then
  name="$(basename "$(realpath "$bundle")")"
fi

if [[ -n $quick ]]; then
  arguments=(--requests 40 --repeats 1 "${arguments[@]}")
  [[ -n $bundle ]] || arguments=(--users 50 --items 20000 "${arguments[@]}")
fi

output="${output:-$ROOT/results/$(date +%Y-%m-%d-%H%M%S)-$name}"
mkdir -p "$output"
code=0
"$tools/retrieval_bench" ${bundle:+--data "$bundle"} --csv "$output/results.csv" \
  --json "$output/results.json" "${arguments[@]}" | tee "$output/table.txt" || code=$?
if [[ ! -e $output/results.csv ]]; then # it failed, or printed its help
  rm -f "$output/table.txt"
  rmdir --ignore-fail-on-non-empty "$output"
  exit "$code"
fi
say "Results are in $output: table.txt, results.csv, results.json"
if report="$("$PYTHON" "$ROOT/scripts/report.py" "$output" 2>"$output/.report.log")"; then
  say "The report is $report"
else
  say "No report: $(tail -n 1 "$output/.report.log")"
fi
rm -f "$output/.report.log"
exit "$code"
