#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the source distribution and, from it, the wheel of the Python package; installs the wheel
# into an empty virtual environment and runs its tests there.
#
#   scripts/wheel.sh [--output DIR] [--python PROGRAM]
#
#   --output DIR      where both go, default build/wheel
#   --python PROGRAM  the Python to build for, default /usr/bin/python3
#
# Exit code 77, and a word: the build tools could not be fetched from PyPI.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

output=$ROOT/build/wheel
python=$PYTHON
parse_options "output= python=" "$@"
refuse "${rest[@]}"
"$ROOT/scripts/setup.sh" build python
command -v "$python" >/dev/null || die "--python $python: there is no such program"

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
output="$(realpath -m -- "$output")"
mkdir -p "$output"

# environment NAME PACKAGE...: makes a virtual environment; fails quietly where there is no PyPI.
environment() {
  local folder=$scratch/$1
  shift
  "$python" -m venv "$folder" || die "$python cannot make a virtual environment"
  "$folder/bin/python" -m pip -q --disable-pip-version-check --no-input install "$@" \
    >"$scratch/pip.log" 2>&1
}

if ! environment tools 'scikit-build-core>=0.10' 'pybind11>=2.10' || ! environment clean numpy; then
  tail -n 1 "$scratch/pip.log" >&2
  say "skipped: PyPI cannot be reached"
  exit 77
fi

export CXX="${CXX:-c++}" # as CMake's other builds, not what Python was built with
say "Building the source distribution and the wheel ..."
rm -f "$output"/eta_simd-*
(cd "$ROOT" && "$scratch/tools/bin/python" -c \
  'import sys, scikit_build_core.build as build; build.build_sdist(sys.argv[1])' "$output") \
  >"$scratch/log" 2>&1 || { cat "$scratch/log" >&2 && exit 1; }
# In a folder as deep as build/release, so that a compiler cache knows the files.
mkdir "$scratch/source"
tar -xzf "$output"/eta_simd-*.tar.gz -C "$scratch/source" --strip-components 1
"$scratch/tools/bin/python" -m pip --disable-pip-version-check wheel --no-deps \
  --no-build-isolation -w "$output" "$scratch/source" >"$scratch/log" 2>&1 ||
  { cat "$scratch/log" >&2 && exit 1; }

"$scratch/clean/bin/python" -m pip -q --disable-pip-version-check install --no-deps --no-index \
  "$output"/eta_simd-*.whl
site="$("$scratch/clean/bin/python" -c 'import sysconfig; print(sysconfig.get_path("platlib"))')"
# All that it links is the system's C and C++ library, libgomp, or lies in the wheel.
foreign="$(ldd "$site"/eta_simd/_native*.so | awk '{ print $1 "=" $3 }' |
  grep -vE '^(linux-vdso|/lib|lib(stdc\+\+|gcc_s|gomp|c|m|dl|pthread|rt)\.so)' |
  grep -v "=$site/eta_simd/" || true)"
[[ -z $foreign ]] || die "the wheel links what it has not: $foreign"
cd "$scratch"
for name in native native_docs native_faults; do
  "$scratch/clean/bin/python" "$ROOT/tests/python/${name}_test.py" -b
done
say "$(cd "$output" && du -h --apparent-size eta_simd-* | tr '\n' ' ')"
