#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Answers the questions of docs/decide.md for a bundle, each with the command that gives it: which K,
# how many bits, memory, what a new model costs, when to stay with a scan, centring, and how long
# training takes. Installs what is missing and builds.
#
#   scripts/decide.sh BUNDLE [--quick] [--output DIR] [--bench DIR] [--build DIR] [ARGUMENT...]
#
#   BUNDLE         folder of a bundle (docs/bundle.md), best that of a trained model: MODEL/bundle
#   --quick        few requests and methods, no training: about a minute
#   --output DIR   folder for what was measured and decide.txt, default results/decide
#   --bench DIR    a folder with retrieval_bench and bundle_tool to use instead of building them
#   --build DIR    where to build, default build/release
#   ARGUMENT...    given to scripts/decide.py, such as --recall 0.8, --k 64, --users 1e8 or
#                  --length 1000; its --help lists them
#
# Took 4 minutes for 30,000 items of 96 dimensions on two cores of a Zen 4, most of it to train one
# epoch; larger data may take a quarter of an hour. Without the first build.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

output="$ROOT/results/decide"
bench=
quick=
parse_options "output= bench= build= quick" "$@"
[[ -z $bench || -d $bench ]] || die "--bench $bench: there is no such folder"
if [[ -z $bench ]]; then
  "$ROOT/scripts/setup.sh" build data
  configure release
  build release retrieval_bench bundle_tool
  bench="$(build_folder release)/bench"
fi
exec "$PYTHON" "$ROOT/scripts/decide.py" --bench "$bench" --output "$output" ${quick:+--quick} \
  "${rest[@]}"
