#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Copies kernels into empty folders, the files that simd/README.md lists and no others, compiles each
# with one compiler line that has nothing of our CMake, and compares what they find on every SIMD
# target with plain loops. Compilers and flags must not change a bit; -ffast-math is refused. Kernels
# can also share a translation unit: one is made of all of them.
#
#   tests/copy/run.sh [COMPILER...]     default: g++ clang++, as far as they are there
# shellcheck source=../../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root=$ROOT
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}
compilers=("$@")
if [[ $# -eq 0 ]]; then
  for name in g++ clang++; do
    ! command -v "$name" >/dev/null || compilers+=("$name")
  done
fi

# copy FOLDER PROGRAM FUNCTION...: FUNCTION's files and PROGRAM as main.cc in a new folder.
copy() {
  local folder=$work/$1 program=$2 function file
  shift 2
  mkdir "$folder"
  for function in "$@" ForceTargetForTest; do # the last one to try every target
    while read -r file; do
      mkdir -p "$folder/$(dirname "$file")"
      cp "$root/$file" "$folder/$file"
    done < <("$here/copy_files.py" --list "$function")
  done
  mkdir -p "$folder/tests/copy"
  cp "$here/common.h" "$folder/tests/copy/"
  cp "$here/$program" "$folder/main.cc"
}
copy hamming hamming_main.cc HammingTopK PackCodeBlocks
copy dot_i8 dot_i8_main.cc DotI8TopK
copy dot dot_main.cc DotScores

# One translation unit of all kernels: what Highway compiles once per target, as one block of it.
mkdir "$work/joined"
cat - >"$work/joined/joined.cc" <<'END'
#include "simd/internal/common.h"
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "joined.cc"
#include "hwy/foreach_target.h"
END
grep -hvE 'HWY_TARGET_INCLUDE|hwy/foreach_target\.h' "$root"/simd/*.cc >>"$work/joined/joined.cc"

# compile FOLDER COMPILER [FLAG...]: the one line, then the program's own line of results.
compile() {
  local folder=$1 program
  program="$work/$(tr ' /' '__' <<<"$*")"
  shift
  (cd "$work/$folder" &&
    "$@" -std=c++17 -O2 -Wall -Wextra -Werror -I. main.cc simd/*.cc -lhwy -o "$program")
  "$program" >"$program.result" || fail "$folder, $*: $(cat "$program.result")"
  printf '%s: %s\n' "$(cat "$program.result")" "$*"
}
for compiler in "${compilers[@]}"; do
  compile hamming "$compiler" &
  compile dot_i8 "$compiler"
  wait $!
  # Contraction is allowed, and every target may fuse.
  compile dot "$compiler" -march=native -ffp-contract=fast &
  compile hamming "$compiler" -march=native
  wait $!
  # Without assertions: what only they use must not raise a warning.
  (cd "$work/joined" &&
    "$compiler" -std=c++17 -DNDEBUG -Wall -Wextra -Werror -fsyntax-only -I. -I"$root" joined.cc) ||
    fail "$compiler: kernels cannot share a translation unit"
  flags=(-ffast-math -Ofast -ffinite-math-only)
  # clang does not reveal these.
  "$compiler" --version | grep -q clang ||
    flags+=(-freciprocal-math -funsafe-math-optimizations -fno-signed-zeros)
  for flag in "${flags[@]}"; do
    ! log="$(cd "$work/dot" && "$compiler" -std=c++17 "$flag" -fsyntax-only -I. simd/dot.cc 2>&1)" ||
      fail "$compiler $flag is accepted"
    grep -q '#error' <<<"$log" || fail "$compiler $flag: $log"
  done
done
different="$(cat "$work"/*.result | sort -u | cut -d' ' -f1 | uniq -d)"
[[ -z $different ]] || fail "compilers or flags disagree on $different"
