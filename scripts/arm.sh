#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Cross-builds the kernel tests for aarch64 and runs them under qemu-user: all of them on a CPU with
# NEON only, those of the SVE targets at several vector lengths. Installs what is missing. See
# docs/arm.md.
#
#   scripts/arm.sh [--build-only] [--quick] [-DNAME=VALUE...]
#
#   --build-only    runs no tests
#   --quick         runs every SIMD target once: SVE and SVE2 at one vector length each. The
#                   portable target, tested on x86 too, only takes part in comparisons of targets
#   -DNAME=VALUE    given to CMake, such as -DETA_WERROR=ON
#
# Exit code 77: the arm64 packages are missing and cannot be installed.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

build_only=
quick=
parse_options "build-only quick" "$@"
cmake_arguments=()
for argument in "${rest[@]}"; do
  [[ $argument == -D?*=* ]] || refuse "$argument"
  cmake_arguments+=("$argument")
done

skip() {
  say "aarch64: skipped, $*"
  exit 77
}
[[ $(uname -s -m) == "Linux x86_64" ]] || skip "the cross build is for Linux on x86-64"
"$ROOT/scripts/setup.sh" arm || skip "the arm64 packages cannot be installed"
for file in /usr/bin/{aarch64-linux-gnu-g++,qemu-aarch64} /lib/ld-linux-aarch64.so.1 \
  /usr/lib/aarch64-linux-gnu/{libhwy.so,libgtest.a,libgomp.so.1}; do
  [[ -e $file ]] || skip "there is no $file"
done

configure arm64 "${cmake_arguments[@]}"
build arm64 kernel_tests
[[ -z $build_only ]] || exit 0

reports="$(mktemp -d)"
trap 'rm -rf "$reports"' EXIT

# run_tests NAME CPU TARGETS [TARGET...]: runs the kernel tests on an emulated CPU, which must
# support exactly TARGETS. TARGET... limits the tests to these targets, the golden file and the
# comparisons of targets. Dies if a program that has tests for every target has not run each of
# them.
run_tests() {
  local name=$1 cpu=$2 has=$3 filter="*${quick:+-*/EMU128}" start=$SECONDS total=0
  local targets target program report count
  shift 3
  if [[ $# -gt 0 ]]; then
    filter="TargetChoiceTest.*:*AcrossTargets*:*/GoldenTest.*$(printf ':*/%s' "$@")"
  else
    read -ra targets <<<"${has/${quick:+ EMU128}/}"
    set -- "${targets[@]}"
  fi
  rm -f "$reports"/*
  if ! LD_PRELOAD=$preload QEMU_UNSET_ENV=LD_PRELOAD QEMU_CPU=$cpu GTEST_FILTER=$filter \
    GTEST_OUTPUT=xml:$reports/ ETA_EXPECT_TARGETS=$has \
    ctest --preset arm64 -L kernel --no-tests=error -j "$JOBS" >"$reports/log" 2>&1; then
    cat "$reports/log"
    say "aarch64, $name: failed"
    return 1
  fi
  for program in "$ROOT"/tests/*/*_test.cc; do
    grep -q '^ETA_FOR_EVERY_TARGET' "$program" || continue
    program=$(basename "$program" .cc)
    [[ -e $ROOT/build/arm64/tests/$program ]] || continue # not built, as with baselines
    report=$reports/$program.xml
    [[ -e $report ]] || die "aarch64, $name: $program has not run"
    for target in "$@"; do
      count="$(grep -c "<testcase name=\"[^\"]*/$target\" .*status=\"run\"" "$report" || true)"
      [[ $count -gt 0 ]] || die "aarch64, $name: $program ran nothing on $target"
      total=$((total + count))
    done
  done
  [[ $total -gt 0 ]] || die "aarch64, $name: nothing has run"
  printf 'aarch64, %s (%s): %d tests on %s, %d s\n' \
    "$name" "$cpu" "$total" "$*" $((SECONDS - start))
}

cd "$ROOT"
# Makes emulated SVE several times as fast on Intel's CPUs; the source says why.
preload=
if grep -qw fma /proc/cpuinfo; then
  preload=$ROOT/build/arm64/qemu_fma.so
  gcc -O2 -shared -fPIC -o "$preload" scripts/qemu_fma.c
fi
run_tests "NEON" cortex-a72 "NEON EMU128"
# Targets with a fixed vector length run at that. SVE and SVE2 run at two lengths each, or one if
# quick.
more=(SVE SVE2)
[[ -z $quick ]] || more=()
run_tests "SVE of 128 bits" max,sve-max-vq=1 "SVE2_128 SVE2 SVE NEON EMU128" SVE2_128 \
  "${more[@]:0:1}"
run_tests "SVE of 256 bits" max,sve-max-vq=2 "SVE_256 SVE2 SVE NEON EMU128" SVE_256 "${more[@]:1:1}"
run_tests "SVE of 512 bits" max,sve-max-vq=4 "SVE2 SVE NEON EMU128" SVE2 SVE
