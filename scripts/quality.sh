#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Trains all CTR models on MovieLens and on planted data, five seeds each, and compares them.
#
#   scripts/quality.sh [RESULTS] [ARGUMENT OF quality.py ...]
#
# RESULTS (default: results/quality) keeps data, cells, models, tables and pictures; finished parts
# are not repeated. MOVIELENS in the environment names an unpacked MovieLens folder (default:
# data/ml-latest-small); without that folder only planted data are used. Needs scripts/setup.sh
# train, and for MovieLens a built bundle_tool. Where ctr_bench is built in build/release the models
# of the first seed are timed too, after the training.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

if [[ ${1:-} == -h || ${1:-} == --help ]]; then
  print_help
  exit
fi
results="$ROOT/results/quality"
if [[ $# -gt 0 && $1 != -* ]]; then
  results=$1
  shift
fi
movielens="${MOVIELENS:-$ROOT/data/ml-latest-small}"
mkdir -p "$results/data"
export OMP_NUM_THREADS=1 # cells run side by side

[[ -d $results/data/planted ]] ||
  "$PYTHON" "$ROOT/scripts/make_planted.py" --out "$results/data/planted"
sets=(--planted "$results/data/planted")
if [[ -d $movielens ]]; then
  [[ -d $results/data/movielens ]] ||
    "$PYTHON" "$ROOT/scripts/import_movielens.py" --input "$movielens" \
      --output "$results/data/movielens" ${BUNDLE_TOOL:+--bundle-tool "$BUNDLE_TOOL"}
  sets+=(--movielens "$results/data/movielens")
else
  say "No MovieLens in $movielens: planted data only"
fi
bench="$ROOT/build/release/bench/ctr_bench"
if [[ -x $bench ]]; then
  sets+=(--ctr-bench "$bench")
else
  say "No $bench: models are not timed"
fi
"$PYTHON" "$ROOT/scripts/quality.py" --results "$results" "${sets[@]}" "$@"
