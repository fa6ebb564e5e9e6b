# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the other scripts: paths, options, messages, and how to configure and build.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
JOBS="$(nproc 2>/dev/null || echo 2)"
# shellcheck disable=SC2034 # used by those that source this file
PYTHON=/usr/bin/python3 # not the first in PATH: a private build there cannot see apt's modules

# Ends with one line on stderr and exit code 2, for bad options or input.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 2
}

say() { printf '%s\n' "$*" >&2; }

# The comment block at the head of a script is its --help.
print_help() { awk 'NR > 2 && /^#/ { sub(/^# ?/, ""); print; next } NR > 2 { exit }' "$0"; }

# parse_options "NAME..." ARGUMENT...: sets variables from the arguments of a script. The NAME
# `name=` takes --name VALUE and `name` the flag --name, which sets 1; a dash becomes an underscore
# in the variable. All other arguments go to the array `rest`, in order. -h and --help print the
# help.
parse_options() {
  local names=" $1 " name
  shift
  rest=()
  while [[ $# -gt 0 ]]; do
    name=${1#--}
    if [[ $1 == -h || $1 == --help ]]; then
      print_help
      exit
    elif [[ $1 != --* || $name == *[!a-z-]* ]]; then
      rest+=("$1")
    elif [[ $names == *" $name= "* ]]; then
      [[ -n ${2:-} ]] || die "$1 needs a value"
      printf -v "${name//-/_}" %s "$2"
      shift
    elif [[ $names == *" $name "* ]]; then
      printf -v "${name//-/_}" 1
    else
      rest+=("$1")
    fi
    shift
  done
}

# refuse ARGUMENT...: dies if there is one.
refuse() { [[ $# -eq 0 ]] || die "unknown argument '$1'; --help lists the options"; }

# check_program OPTION PATH: dies unless PATH is empty or can be run.
check_program() { [[ -z $2 || -x $2 ]] || die "$1 $2: there is no such program"; }

# configure PRESET [CMAKE ARGUMENT...]: configures; shows the output of CMake only if it fails.
configure() {
  local preset=$1 log="$ROOT/build/$1/configure.log"
  mkdir -p "$(dirname "$log")"
  (cd "$ROOT" && cmake --preset "$@") >"$log" 2>&1 || {
    cat "$log" >&2
    say "cmake --preset $preset failed"
    return 1
  }
}

# build PRESET [TARGET...]: builds; shows progress on a terminal, only warnings in a pipe.
build() {
  local preset=$1 quiet=()
  shift
  [[ -t 1 ]] || quiet=(-- --quiet)
  say "Building ($preset) ..."
  (cd "$ROOT" && cmake --build --preset "$preset" -j "$JOBS" ${1:+--target "$@"} "${quiet[@]}")
}
