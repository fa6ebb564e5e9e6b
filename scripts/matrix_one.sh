#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds, tests and measures on this system as a new user would: scripts/test.sh, then
# scripts/bench.sh --quick, whose results are checked. Writes logs and which versions it used.
# scripts/matrix.sh and public CI run it in systems made for it, because it installs packages.
#
#   scripts/matrix_one.sh --output DIR [--compiler gcc|clang] [--quick] [--cache]
#
#   --output DIR     a new or empty folder for the logs: setup.log, test.log, tests.xml (JUnit),
#                    bench.log, bench/ and used.txt
#   --compiler NAME  gcc (default), or clang, which is installed too
#   --quick          without PyTorch and the tests written in Python
#   --cache          compiles through ccache, which keeps its files in CCACHE_DIR
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

output="" compiler=gcc quick="" cache=""
parse_options "output= compiler= quick cache" "$@"
refuse "${rest[@]}"
[[ -n $output ]] || die "--output is missing"
[[ -z $(ls -A -- "$output" 2>/dev/null) ]] || die "--output $output: it is not empty"
case $compiler in
  gcc) export CXX=${CXX:-g++} ;;
  clang) export CXX=${CXX:-clang++} ;;
  *) die "--compiler $compiler: gcc or clang" ;;
esac
mkdir -p "$output" || die "--output $output: cannot be made"
output="$(realpath "$output")"
cd "$ROOT"

purposes=()
[[ $compiler == gcc ]] || purposes+=(clang)
[[ -n $quick ]] || purposes+=(train)
if [[ -n $cache ]]; then
  purposes+=(cache)
  export CMAKE_CXX_COMPILER_LAUNCHER=ccache CCACHE_BASEDIR=/ CCACHE_NOHASHDIR=1
fi
code=0
if [[ ${#purposes[@]} -gt 0 ]]; then
  scripts/setup.sh "${purposes[@]}" >"$output/setup.log" 2>&1 || code=1
fi

# timed NAME COMMAND...: its output goes to NAME.log, its time to used.txt.
timed() {
  local name=$1 start=$SECONDS result=ok
  shift
  say "$*"
  "$@" >"$output/$name.log" 2>&1 || result=FAILED code=1
  say "$result after $((SECONDS - start)) s: $output/$name.log"
  [[ $result == ok ]] || tail -n 30 "$output/$name.log" >&2
  printf '%s\n' "$name=$result" "${name}_seconds=$((SECONDS - start))" >>"$output/used.txt"
}

bench() {
  scripts/bench.sh --quick --output "$output/bench" || return
  "$PYTHON" scripts/check_results.py "$output/bench/results.csv" || return
  [[ -s $output/bench/report.html ]] || { echo "no report.html" && return 1; }
}

test_arguments=(--output-junit "$output/tests.xml")
[[ -z $quick ]] || test_arguments+=(-LE python)
timed test scripts/test.sh "${test_arguments[@]}"
timed bench bench

# version NAME COMMAND...: the first number with a dot in it that the command prints.
version() {
  local name=$1 text
  shift
  text="$("$@" 2>/dev/null | grep -oE -m 1 '[0-9]+(\.[0-9]+)+' | head -n 1)" || text=-
  echo "$name=${text:--}"
}
package_version() { version "$1" dpkg-query -W -f="\${Version}" "$2"; }
{
  echo "compiler=$compiler"
  version compiler_version "$CXX" --version
  version cmake cmake --version
  version python "$PYTHON" --version
  package_version highway libhwy-dev
  package_version faiss libfaiss-dev
  package_version torch python3-torch
} >>"$output/used.txt"
[[ $code -eq 0 ]]
