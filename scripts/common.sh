# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the other scripts: a clean environment, paths, options, messages, and how to configure
# and build.
set -euo pipefail

# What a user exports for other work must not steer the scripts. CXX, CXXFLAGS, CMAKE_PREFIX_PATH and
# CMAKE_CXX_COMPILER_LAUNCHER stay, because they say how to build.
set +o posix +o noclobber +o noglob                  # SHELLOPTS, POSIXLY_CORRECT
export LC_ALL=C.UTF-8                                # a decimal comma would end up in tables
unset LANGUAGE POSIXLY_CORRECT BASH_ENV ENV CDPATH   # with CDPATH cd prints where it went
unset GREP_OPTIONS GREP_COLOR GREP_COLORS CLICOLOR_FORCE GCC_COLORS NINJA_STATUS
unset CMAKE_GENERATOR_PLATFORM CMAKE_GENERATOR_TOOLSET CMAKE_GENERATOR_INSTANCE DESTDIR
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_PREFIX GIT_COMMON_DIR # set where git runs a hook
# Google Test and Google Benchmark take options from the environment, such as a filter of tests; what
# is set for Python is meant for another one.
for name in "${!GTEST_@}" "${!BENCHMARK_@}" "${!PYTHON@}"; do
  case $name in
    PYTHONDONTWRITEBYTECODE | PYTHONPYCACHEPREFIX) ;;
    *) unset "$name" ;;
  esac
done

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# nproc believes OpenMP's variables, which a user may have set for what is measured.
JOBS="$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2>/dev/null || echo 2)"
build= # --build DIR, in scripts that have it
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

# replace_file FILE: replaces FILE by stdin as a whole, or leaves it and dies. A device is written to.
replace_file() {
  local file part
  file="$(realpath -m -- "$1")"
  part="$(dirname "$file")/.$(basename "$file").tmp-$$"
  if [[ -e $file && ! -f $file ]]; then
    cat >"$file" || die "$1: cannot be written"
  elif ! { cat >"$part" && mv -f -- "$part" "$file"; } 2>/dev/null; then
    rm -f -- "$part"
    die "$1: cannot be written"
  fi
}

# check_program OPTION PATH: dies unless PATH is empty or can be run.
check_program() { [[ -z $2 || -x $2 ]] || die "$1 $2: there is no such program"; }

# build_folder PRESET: the folder that a preset is built in.
build_folder() { realpath -ms -- "${build:-$ROOT/build/$1}"; }

# configure PRESET [CMAKE ARGUMENT...]: configures; shows the output of CMake only if it fails.
configure() {
  local preset=$1 folder log
  shift
  folder="$(build_folder "$preset")"
  log=$folder/configure.log
  { mkdir -p "$folder" && : >"$log"; } 2>/dev/null ||
    die "$folder: cannot be written to (--build DIR builds elsewhere)"
  (cd "$ROOT" && cmake --preset "$preset" -B "$folder" "$@") >"$log" 2>&1 || {
    cat "$log" >&2
    say "cmake --preset $preset failed"
    return 1
  }
}

# build PRESET [TARGET...]: builds; shows progress on a terminal, only warnings in a pipe.
build() {
  local preset=$1 folder quiet=()
  folder="$(build_folder "$preset")"
  shift
  [[ -t 1 ]] || quiet=(-- --quiet)
  say "Building ($preset) ..."
  cmake --build "$folder" -j "$JOBS" ${1:+--target "$@"} "${quiet[@]}"
}

# commit_of REVISION: the full name of a commit.
commit_of() {
  git -C "$ROOT" rev-parse --verify --quiet "$1^{commit}" || die "$1: there is no such commit"
}

# build_commit COMMIT FOLDER TARGET...: builds another commit in FOLDER/source/build/release. It is
# configured as this tree, launcher and compiler included, so that only the sources differ. The build
# folder has the same name, so that a compiler cache finds the files that both commits share.
build_commit() {
  local commit=$1 source=$2/source log=$2/log
  shift 2
  git -C "$ROOT" worktree add --quiet --detach "$source" "$commit"
  say "Building ${commit:0:12} ..."
  configure release
  cached() { sed -n "s/^$1:[A-Z]*=//p" "$(build_folder release)/CMakeCache.txt"; }
  (cmake -S "$source" -B "$source/build/release" -G Ninja -DCMAKE_BUILD_TYPE=Release \
    -DBUILD_TESTING=OFF -DCMAKE_CXX_COMPILER="$(cached CMAKE_CXX_COMPILER)" \
    -DCMAKE_CXX_FLAGS="$(cached CMAKE_CXX_FLAGS)" \
    -DCMAKE_CXX_COMPILER_LAUNCHER="$(cached CMAKE_CXX_COMPILER_LAUNCHER)" &&
    cmake --build "$source/build/release" -j "$JOBS" --target "$@") >"$log" 2>&1 || {
    tail -n 40 "$log" >&2
    die "${commit:0:12} does not build"
  }
}

# remove_commit FOLDER: takes away what build_commit left in FOLDER, if it did.
remove_commit() { git -C "$ROOT" worktree remove --force "$1/source" 2>/dev/null || true; }
