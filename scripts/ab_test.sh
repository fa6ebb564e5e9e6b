#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Measures how often scripts/compare.py is wrong: compares kernel_bench with itself (A/A) and with
# itself under a planted slowdown (A/B). Installs what is missing and builds.
#
#   scripts/ab_test.sh [--aa N] [--ab N] [--bench PATH] [--build DIR] [ARGUMENT...]
#
#   --aa N         comparisons of a binary with itself, default 200; at most 2 % may differ
#   --ab N         comparisons with one kernel slowed down by 5 %, default 100; 95 % must be caught
#   --bench PATH   a kernel_bench to use instead of building one
#   --build DIR    where to build, default build/release
#   ARGUMENT...    given to scripts/ab_test.py, such as --rounds N; its --help lists them
#
# Exit code: 0 if both hold, 1 if not. docs/measurement.md has the results.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

bench=
parse_options "bench= build=" "$@"
check_program --bench "$bench"
"$ROOT/scripts/setup.sh" build data
if [[ -z $bench ]]; then
  configure release
  build release kernel_bench
  bench="$(build_folder release)/bench/kernel_bench"
fi
"$PYTHON" "$ROOT/scripts/ab_test.py" --bench "$bench" "${rest[@]}"
