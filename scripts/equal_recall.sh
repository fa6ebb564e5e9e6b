#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures the latency per candidate at equal recall, for history lengths from 256 to 65,536, warm
# and cold. Writes a table, a CSV, a JSON and a picture. Installs what is missing and builds.
#
#   scripts/equal_recall.sh [--output DIR] [--movielens DIR] [--bench PATH] [--build DIR]
#                           [ARGUMENT...]
#
#   --output DIR      folder for the results, default results/equal-recall; a run that is finished
#                     there is not repeated
#   --movielens DIR   the folder of a MovieLens data set of any size, beside the generator; imported
#                     once, into the output folder
#   --bench PATH      a retrieval_bench to use instead of building one
#   --build DIR       where to build, default build/release
#   ARGUMENT...       given to scripts/equal_recall.py, such as --data NAME=BUNDLE (a bundle beside
#                     the generator), --budget SECONDS or --llc-mb N; its --help lists them
#
# The whole grid takes about a quarter of an hour on two cores. Lengths that no user of a data set
# reaches are left out.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

output="$ROOT/results/equal-recall"
movielens=
bench=
parse_options "output= movielens= bench= build=" "$@"
[[ -z $movielens || -d $movielens ]] || die "--movielens $movielens: there is no such folder"
check_program --bench "$bench"

"$ROOT/scripts/setup.sh" build data plot
if [[ -z $bench ]]; then
  configure release
  build release retrieval_bench bundle_tool
  bench="$(build_folder release)/bench/retrieval_bench"
fi
if [[ -n $movielens ]]; then
  bundle="$output/movielens"
  if [[ ! -e $bundle/bundle.json ]]; then
    say "Importing $movielens into $bundle ..."
    mkdir -p "$output"
    "$PYTHON" "$ROOT/scripts/import_movielens.py" --input "$movielens" --output "$bundle" \
      --bundle-tool "$(dirname "$bench")/bundle_tool"
  fi
  rest=(--data "movielens=$bundle" "${rest[@]}")
fi
"$PYTHON" "$ROOT/scripts/equal_recall.py" --bench "$bench" --output "$output" "${rest[@]}"
say "Results are in $output: equal_recall.md, .csv, .json, .svg, .png"
