#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Finds out whether a change makes a kernel slower or retrieval return something else. Builds
# another commit beside this source tree, runs both interleaved on this machine and compares them.
#
#   scripts/regress.sh BASE_REV [--filter REGEX] [--rounds N] [--threshold SHARE] [--markdown]
#                      [--allow-changed]
#
#   BASE_REV           commit to compare with, such as origin/main
#   --filter REGEX     rows of kernel_bench, default a few at 64 and 256 bits and L = 1,024; only
#                      the best SIMD target is run
#   --rounds N         runs of each side, alternating A B, B A, ..., default 16
#   --threshold SHARE  a row fails if it is slower by more, default 0.15
#   --markdown         tables for a pull request
#   --allow-changed    show a change of what is returned, but do not fail because of it
#
# A slowdown beyond the threshold fails only if two more series of rounds confirm it. The results of
# retrieval_bench on generated data are compared exactly. Exit code: 0 fine, 1 a regression, 2 bad
# input. The other commit is built in a temporary folder, which is removed at the end.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

filter='^hamming_(distances|topk_any)/bits:(64|256)/L:1024/|^dot_topk_any/L:1024/dim:64/B:256/'
rounds=16
threshold=0.15
markdown=
allow_changed=
parse_options "filter= rounds= threshold= markdown allow-changed" "$@"
for argument in "${rest[@]}"; do
  [[ $argument != -* ]] || refuse "$argument"
done
[[ ${#rest[@]} -le 1 ]] || die "two commits named, ${rest[0]} and ${rest[1]}"
base=${rest[0]:-}
[[ -n $base ]] || die "no commit to compare with is named; --help lists the options"
[[ $threshold =~ ^[0-9]*\.?[0-9]+$ ]] || die "--threshold $threshold: not a number above 0"
[[ $rounds =~ ^[1-9][0-9]{0,2}$ && $rounds -ge 8 ]] || die "--rounds $rounds: not from 8 to 999"
revision="$(commit_of "$base")"

"$ROOT/scripts/setup.sh" build data
scratch="$(mktemp -d)"
# shellcheck disable=SC2317 # called by the trap
finish() {
  remove_commit "$scratch"
  rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

build_commit "$revision" "$scratch" kernel_bench retrieval_bench
build release kernel_bench retrieval_bench

declare -A bin=([base]="$scratch/source/build/release/bench" [new]="$ROOT/build/release/bench")
target="$("${bin[new]}/kernel_bench" --benchmark_list_tests --benchmark_filter='^limit_fma/' |
  sed -n '1s|.*/||p')"
"${bin[new]}/kernel_bench" --benchmark_list_tests --benchmark_filter="$filter" >/dev/null 2>&1 ||
  die "--filter $filter: kernel_bench has no such rows"
export ETA_SIMD_TARGET=$target ETA_KERNEL_BENCH_RIVALS=0

# series NAME REGEX: rounds of both sides, into $scratch/NAME/{base,new}.
series() {
  local round side order
  mkdir -p "$scratch/$1/base" "$scratch/$1/new"
  for ((round = 0; round < rounds; ++round)); do
    order=(base new)
    ((round % 2 == 0)) || order=(new base)
    for side in "${order[@]}"; do
      [[ ! -t 2 ]] || printf '\r\033[K%s: round %d of %d' "$1" $((round + 1)) "$rounds" >&2
      "${bin[$side]}/kernel_bench" --benchmark_filter="$2" --benchmark_format=json \
        --benchmark_repetitions=40 --benchmark_min_time=0.0005 \
        --benchmark_enable_random_interleaving=true 2>"$scratch/log" \
        >"$scratch/$1/$side/$(printf '%03d' "$round").json" || {
        cat "$scratch/log" >&2
        die "kernel_bench of the $side side failed"
      }
    done
  done
  [[ ! -t 2 ]] || printf '\r\033[K' >&2
}

compare() { "$PYTHON" "$ROOT/scripts/compare.py" --threshold "$threshold" "$@"; }

# The rows of a side that fail by their speed, as one regular expression.
slow_rows() {
  compare "$scratch/$1/base" "$scratch/$1/new" --list-slow |
    sed 's/[][\.*^$+?(){}|]/\\&/g; s/^/^/; s/$/$/' | paste -sd '|'
}

# has SIDE NAME: whether NAME:BITS is among the methods of a side.
has() { "${bin[$1]}/retrieval_bench" --list-methods | grep "^$2:BITS " >/dev/null; }

methods=exact,eta:64,eta:100,eta:256,eta:64+rerank:4,scan_i8
for name in eta_norm eta_asym pq4; do # newer than commits that may be the base
  ! has base "$name" || ! has new "$name" || methods+=",$name:64"
done
failed=0
for side in base new; do
  mkdir -p "$scratch/exact"
  "${bin[$side]}/retrieval_bench" --quiet --users 50 --items 20000 --requests 20 --repeats 1 \
    --methods "$methods" --json "$scratch/exact/$side.json" --csv /dev/null >/dev/null
done
printf 'What is returned:\n'
compare "$scratch/exact/base.json" "$scratch/exact/new.json" --returned || failed=$?
[[ $failed -ne 2 ]] || exit 2
[[ -z $allow_changed ]] || failed=0

here="$(git -C "$ROOT" rev-parse --short=12 HEAD)"
[[ -z "$(git -C "$ROOT" status --porcelain --untracked-files=no)" ]] || here+=" and local changes"
printf '\nSpeed of %s against %s, %s:\n' "$here" "${revision:0:12}" "$target"
series first "$filter"
code=0
compare "$scratch/first/base" "$scratch/first/new" ${markdown:+--markdown} || code=$?
[[ $code -ne 2 ]] || exit 2
if [[ $code -eq 1 ]]; then
  # A check against the scalar twin gives the same result every time, so one series is enough.
  compare "$scratch/first/base" "$scratch/first/new" --returned >/dev/null || failed=1
  slow="$(slow_rows first || true)"
  for name in second third; do
    [[ -n $slow ]] || break
    printf '\nRun again, to confirm:\n'
    series "$name" "$slow"
    compare "$scratch/$name/base" "$scratch/$name/new" ${markdown:+--markdown} || true
    slow="$(slow_rows "$name" || true)"
  done
  [[ -z $slow ]] || failed=1
fi
if [[ $failed -eq 0 ]]; then printf '\nNo regression.\n'; else printf '\nA regression.\n'; fi
exit "$failed"
