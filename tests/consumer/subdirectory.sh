#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Adds the source tree to a parent project (add_subdirectory) and checks that this changes nothing
# there: no flags, no variables, no cache entries but its own, no tests, no programs, no install
# rules. Compiles one file of each side, not more, to stay fast.
#
#   tests/consumer/subdirectory.sh GENERATOR
# shellcheck source=../../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

generator=$1
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root=$ROOT
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}

for name in alone with; do
  source=
  [[ $name == alone ]] || source=$root
  cmake -S "$here/subdirectory" -B "$work/$name" -G "$generator" -DETA_SIMD_SOURCE="$source" \
    >"$work/$name.log" 2>&1 || fail "$(cat "$work/$name.log")"
  grep '^-- parent ' "$work/$name.log" >"$work/$name.parent"
  # Entries as name:type=value, without those that differ by design.
  grep -E '^[^#/]+:[A-Z]+=' "$work/$name/CMakeCache.txt" | sed "s|$work/$name|DIR|" |
    grep -vE '^(ETA_SIMD_SOURCE|CMAKE_NUMBER_OF_MAKEFILES):' | sort >"$work/$name.cache"
done

diff "$work/alone.parent" "$work/with.parent" || fail "eta-simd changed the parent's directory"
gone="$(comm -23 "$work/alone.cache" "$work/with.cache")"
[[ -z $gone ]] || fail "eta-simd changed the parent's cache: $gone"
# Its own options and what find_package leaves.
own='^(ETA_|eta-simd_|hwy_|OpenMP_|nlohmann_json_|FIND_PACKAGE_MESSAGE_DETAILS_)'
more="$(comm -13 "$work/alone.cache" "$work/with.cache" | grep -vE "$own" || true)"
[[ -z $more ]] || fail "eta-simd added to the parent's cache: $more"

tests="$(ctest --test-dir "$work/with" -N | sed -n 's/^ *Test *#[0-9]*: //p')"
[[ $tests == parent ]] || fail "eta-simd added tests: $tests"
built="$(cmake --build "$work/with" --target help | grep -E '_test\b|_bench\b|bundle_tool|baselines' || true)"
[[ -z $built ]] || fail "eta-simd added targets: $built"
[[ ! -e $work/with/compile_commands.json ]] || fail "eta-simd exported compile commands"
DESTDIR="$work/stage" cmake --install "$work/with" >/dev/null
[[ ! -e $work/stage ]] || fail "eta-simd added install rules"

# One file of each side: the kernels are compiled, and found by the parent's sources.
if [[ $generator == Ninja ]]; then
  objects="$(ninja -C "$work/with" -t targets all |
    sed -nE 's/^(.*\/(code_blocks|kernel_main|main)\.cc\.o): .*/\1/p' | grep -v reference/)"
  [[ $(wc -l <<<"$objects") -eq 3 ]] || fail "expected three objects: $objects"
  # shellcheck disable=SC2086 # one word each
  ninja -C "$work/with" $objects >"$work/log" || fail "$(cat "$work/log")"
fi
echo "the parent is as it was"
