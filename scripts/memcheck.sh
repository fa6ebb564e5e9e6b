#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs tests under Valgrind's memcheck, which sees what no sanitizer here does: decisions that depend
# on values that nobody has set. Installs what is missing and builds the release tests.
#
#   scripts/memcheck.sh [--tests REGEX] [--target NAME] [--jobs J] [--build DIR]
#
#   --tests REGEX   only programs whose whole name matches, such as 'npy_test|bundle_test'; default
#                   the readers, the data and all kernels, with their scalar twins
#   --target NAME   the SIMD target of the kernels' tests, default EMU128; Valgrind has no AVX-512
#   --jobs J        programs at a time, default the number of CPUs
#   --build DIR     where to build, default build/release; so the source tree may be read-only
#
# Prints a line per program. Exit code: 0 fine, 1 something found. Logs are in BUILD/memcheck.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

tests="" target=EMU128 jobs=$JOBS
parse_options "tests= target= jobs= build=" "$@"
refuse "${rest[@]}"
[[ $jobs =~ ^[1-9][0-9]*$ ]] || die "--jobs '$jobs' is no number"

programs=()
for file in "$ROOT"/tests/{simd,core,golden}/*_test.cc; do
  name=$(basename "$file" .cc)
  if [[ -n $tests ]]; then
    [[ ! $name =~ ^($tests)$ ]] || programs+=("$name")
  elif [[ $name == stack_test ]]; then
    continue # reads the stack of a thread that has ended, which is what it tests
  elif [[ $file == */simd/* || $name =~ ^(bundle|ctr_export|ctr_metrics|generator|golden|metrics|movielens|npy|random)_test$ ]]; then
    programs+=("$name")
  fi
done
[[ ${#programs[@]} -gt 0 ]] || die "--tests $tests: there are no such programs"

"$ROOT/scripts/setup.sh" build valgrind
command -v valgrind >/dev/null || die "Valgrind is missing; scripts/setup.sh valgrind installs it"
configure release
build release "${programs[@]}"
folder="$(build_folder release)"
rm -rf "$folder/memcheck"
mkdir "$folder/memcheck"

# check NAME: one program. A test of every SIMD target runs on the one that was chosen.
check() {
  local name=$1 filter='*' start=$SECONDS code=0 log=$folder/memcheck/$1.log
  ! grep -q '^ETA_FOR_EVERY_TARGET' "$ROOT"/tests/*/"$name.cc" || filter="*/$target"
  ETA_SIMD_TARGET=$target valgrind -q --error-exitcode=99 --leak-check=full \
    --errors-for-leak-kinds=definite "$folder/tests/$name" --gtest_brief=1 \
    --gtest_filter="$filter" >"$log" 2>&1 || code=$?
  # A filter that fits nothing would pass as well.
  grep -qE '^\[==========\] [1-9][0-9]* tests? from ' "$log" || code=1
  if [[ $code -eq 0 ]]; then
    printf '%-24s fine, %d s\n' "$name" $((SECONDS - start))
  else
    printf '%-24s FAILED, %s\n' "$name" "$log"
    touch "$folder/memcheck/failed"
  fi
}
say "Running ${#programs[@]} programs under memcheck, kernels on $target ..."
for name in "${programs[@]}"; do
  while [[ $(jobs -rp | wc -l) -ge $jobs ]]; do wait -n || true; done
  check "$name" &
done
wait
[[ ! -e $folder/memcheck/failed ]]
