#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Adds the source tree, with core/ and without, and a copy of simd/ to a parent project
# (add_subdirectory) and checks that this changes nothing there: no flags, no variables, no cache
# entries but its own, no tests, no programs, no install rules. Compiles a few files, not more, to
# stay fast.
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

# configure NAME SOURCE [CMAKE ARGUMENT...]: also writes what the parent's directory and cache hold.
configure() {
  local name=$1 source=$2
  shift 2
  cmake -S "$here/subdirectory" -B "$work/$name" -G "$generator" -DETA_SIMD_SOURCE="$source" "$@" \
    >"$work/$name.log" 2>&1 || fail "$(cat "$work/$name.log")"
  grep '^-- parent ' "$work/$name.log" >"$work/$name.parent"
  # Entries as name:type=value, without those that differ by design.
  grep -E '^[^#/]+:[A-Z]+=' "$work/$name/CMakeCache.txt" | sed "s|$work/$name|DIR|" |
    grep -vE '^(ETA_\w+|CMAKE_NUMBER_OF_MAKEFILES):' | sort >"$work/$name.cache"
}

# expect_unchanged NAME: the parent is as it is alone.
expect_unchanged() {
  local name=$1 own gone more tests built
  diff "$work/alone.parent" "$work/$name.parent" || fail "$name changed the parent's directory"
  gone="$(comm -23 "$work/alone.cache" "$work/$name.cache")"
  [[ -z $gone ]] || fail "$name changed the parent's cache: $gone"
  # Its own options and what find_package leaves.
  own='^(ETA_|eta-simd_|hwy_|OpenMP_|nlohmann_json_|FIND_PACKAGE_MESSAGE_DETAILS_)'
  more="$(comm -13 "$work/alone.cache" "$work/$name.cache" | grep -vE "$own" || true)"
  [[ -z $more ]] || fail "$name added to the parent's cache: $more"
  tests="$(ctest --test-dir "$work/$name" -N | sed -n 's/^ *Test *#[0-9]*: //p')"
  [[ $tests == parent ]] || fail "$name added tests: $tests"
  built="$(cmake --build "$work/$name" --target help |
    grep -E '_test\b|_bench\b|bundle_tool|baselines' || true)"
  [[ -z $built ]] || fail "$name added targets: $built"
  [[ ! -e $work/$name/compile_commands.json ]] || fail "$name exported compile commands"
  DESTDIR="$work/stage" cmake --install "$work/$name" >/dev/null
  [[ ! -e $work/stage ]] || fail "$name added install rules"
}

# Neither the kernels of the tree nor a copy of them need what core/ needs; a parent may ask for
# unity builds.
mkdir "$work/copy"
cp -r "$root/simd" "$work/copy/simd"
kernels=(-DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON)
configure alone ""
configure with-core "$root" -DETA_BUILD_CORE=ON
expect_unchanged with-core
configure alone "" "${kernels[@]}" -DCMAKE_UNITY_BUILD=ON
configure kernels "$root" "${kernels[@]}" -DCMAKE_UNITY_BUILD=ON
expect_unchanged kernels
configure copied "$work/copy/simd" "${kernels[@]}" -DCMAKE_UNITY_BUILD=ON
expect_unchanged copied

# The kernels are compiled, and found by the parent's sources, which have headers of the same names.
if [[ $generator == Ninja ]]; then
  for name in with-core copied; do
    objects="$(ninja -C "$work/$name" -t targets all |
      sed -nE 's/^(.*\/(code_blocks|target|kernel_main|parent_main|main|unity_0_cxx)\.(cc|cxx)\.o): .*/\1/p' |
      grep -v reference/)"
    [[ $(wc -l <<<"$objects") -ge 4 ]] || fail "expected more objects: $objects"
    # shellcheck disable=SC2086 # one word each
    ninja -C "$work/$name" $objects >"$work/log" || fail "$name: $(cat "$work/log")"
  done
fi
echo "the parent is as it was"
