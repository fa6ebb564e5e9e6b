#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing, builds, and runs all tests.
#
#   scripts/test.sh [--preset NAME] [--build DIR] [-DNAME=VALUE...] [CTEST ARGUMENT...]
#
#   --preset NAME   release (default), debug, asan, tsan or clang
#   --build DIR     where to build, default build/<preset>; so the source tree may be read-only
#   -DNAME=VALUE    given to CMake, such as -DETA_WERROR=ON
#   anything else   given to ctest, such as -R hamming
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

preset=release
cmake_arguments=()
ctest_arguments=()
while [[ $# -gt 0 ]]; do
  case $1 in
    -h | --help)
      print_help
      exit
      ;;
    --preset | --build)
      [[ -n ${2:-} ]] || die "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    --preset=?*) preset=${1#*=} ;;
    --build=?*) build=${1#*=} ;;
    -D?*=*) cmake_arguments+=("$1") ;;
    *) ctest_arguments+=("$1") ;;
  esac
  shift
done
case $preset in
  release | debug | asan | tsan | clang) ;;
  *) die "unknown preset '$preset'; there are release, debug, asan, tsan and clang" ;;
esac

purposes=(build data python)
case $preset in tsan | clang) purposes+=(clang) ;; esac
"$ROOT/scripts/setup.sh" "${purposes[@]}"
configure "$preset" "${cmake_arguments[@]}"
build "$preset"
run=(ctest --test-dir "$(build_folder "$preset")" --output-on-failure -j "$JOBS")
if [[ -t 1 ]]; then
  "${run[@]}" --progress "${ctest_arguments[@]}"
else # the tests that passed are not worth a line each in a log
  "${run[@]}" "${ctest_arguments[@]}" |
    sed -u -E '/^ +Start +[0-9]+: /d; /^ *[0-9]+\/[0-9]+ Test +#.* Passed +[0-9.]+ sec$/d'
fi
