#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs a built tree into a temporary prefix, then builds and runs a project that uses it.
#
#   tests/consumer/run.sh BUILD_DIR
set -euo pipefail

build=$1
source_dir="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# Into a staging folder first, as packagers do: nothing may land outside it.
DESTDIR="$work/stage" cmake --install "$build" --prefix /opt/eta >/dev/null
[[ -n $(find "$work/stage/opt/eta" -name eta-simd-config.cmake) ]]
mv "$work/stage/opt/eta" "$work/prefix"
left="$(find "$work/stage" -type f)"
[[ -z $left ]] || { echo "installed outside the prefix: $left" && exit 1; }

# No installed file may speak of where the project was built.
if grep -rIl -e "$build" -e "$(dirname "$(dirname "$source_dir")")/" "$work/prefix"; then
  echo "the files above name the build or source folder"
  exit 1
fi

# The generator that built the tree is there; CMake's default, make, may not be.
generator="$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt")"
cmake -S "$source_dir" -B "$work/build" -G "$generator" -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_BUILD_TYPE=Release >"$work/log" || { cat "$work/log" && exit 1; }
cmake --build "$work/build" >"$work/log" || { cat "$work/log" && exit 1; }
"$work/build/consumer"
"$work/build/kernel_consumer"
