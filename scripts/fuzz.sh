#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzzers of tests/fuzz and lets them look for faults. They share the time; each starts
# from the seeds in tests/fuzz/corpus and from what earlier runs have found. See docs/fuzzing.md.
#
#   scripts/fuzz.sh --minutes N [--jobs J] [--target NAME] [--build DIR]
#
#   --minutes N     time for all together, without the build; may be a fraction
#   --jobs J        fuzzers at a time, default the number of CPUs
#   --target NAME   only this one, such as hamming, or converters (the Python ones)
#   --build DIR     where to build, default build/fuzz; so the source tree may be read-only
#
# Prints a table of what each has run. DIR/corpus keeps new inputs for later runs, DIR/findings the
# inputs that broke something, DIR/logs what the fuzzers said. Exit code 1: there are findings.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

minutes=
jobs=$JOBS
target=
parse_options "minutes= jobs= target= build=" "$@"
refuse "${rest[@]}"
[[ $minutes =~ ^[0-9]+(\.[0-9]+)?$ ]] || die "--minutes '$minutes' is no number; --help lists the options"
[[ $jobs =~ ^[1-9][0-9]*$ ]] || die "--jobs '$jobs' is no number"

sources=$ROOT/tests/fuzz
targets=()
for file in "$sources"/*_fuzz.cc; do
  name=$(basename "$file" _fuzz.cc)
  [[ -n $target && $name != "$target" ]] || targets+=("$name")
done
programs=("${targets[@]/%/_fuzz}")
[[ -n $target && $target != converters ]] || targets+=(converters) # Python
[[ ${#targets[@]} -gt 0 ]] || die "--target $target: there is no tests/fuzz/${target}_fuzz.cc"

"$ROOT/scripts/setup.sh" build clang data
configure fuzz
[[ ${#programs[@]} -eq 0 ]] || build fuzz "${programs[@]}"
folder="$(build_folder fuzz)"
seconds=$(awk -v m="$minutes" -v j="$jobs" -v n="${#targets[@]}" \
  'BEGIN { s = int(m * 60 * (j < n ? j : n) / n); print s < 1 ? 1 : s }')
rm -rf "$folder/findings" "$folder/logs" "$folder/scratch"
mkdir -p "$folder"/{findings,logs,scratch}

# fuzz NAME: one fuzzer for its share of the time. It ends at its first finding.
fuzz() {
  local name=$1 seeds=()
  if [[ $name == converters ]]; then
    TMPDIR=$folder/scratch "$PYTHON" "$ROOT/tests/python/data_fuzz_test.py" --seed "$RANDOM" \
      --minutes "$(awk -v s="$seconds" 'BEGIN { print s / 60 }')" \
      --findings "$folder/findings" >"$folder/logs/$name.log" 2>&1 ||
      echo "failed with exit code $?" >>"$folder/logs/$name.log"
    return
  fi
  mkdir -p "$folder/corpus/$name"
  [[ ! -d $sources/corpus/$name ]] || seeds=("$sources/corpus/$name")
  TEST_TMPDIR=$folder/scratch UBSAN_OPTIONS=print_stacktrace=1 \
    "$folder/fuzz/${name}_fuzz" -max_total_time="$seconds" -max_len=4096 -len_control=0 -timeout=30 \
    -print_final_stats=1 -artifact_prefix="$folder/findings/$name-" \
    "$folder/corpus/$name" "${seeds[@]}" >"$folder/logs/$name.log" 2>&1 ||
    echo "failed with exit code $?" >>"$folder/logs/$name.log"
}

say "Fuzzing ${#targets[@]} targets, $jobs at a time, $seconds s each ..."
for name in "${targets[@]}"; do
  while [[ $(jobs -rp | wc -l) -ge $jobs ]]; do wait -n || true; done
  fuzz "$name" &
done
wait
rm -rf "$folder/scratch"

printf '%-12s %12s %10s %10s %8s %9s\n' target executions 'per second' coverage inputs findings
found=0
for name in "${targets[@]}"; do
  log=$folder/logs/$name.log
  findings=("$folder/findings/$name"-*)
  [[ -e ${findings[0]} ]] || findings=()
  # A fuzzer that ends without an input to show for it, such as for lack of memory, counts too.
  count=${#findings[@]}
  ! grep -q '^failed with exit code' "$log" || [[ $count -gt 0 ]] || count=1
  awk -v name="$name" -v findings="$count" '
    /^stat::number_of_executed_units:/ { runs = $2 }
    /^stat::average_exec_per_sec:/ { speed = $2 }
    /^#[0-9]+.* cov: / {
      for (i = 1; i < NF; ++i) {
        if ($i == "cov:") coverage = $(i + 1)
        if ($i == "corp:") inputs = $(i + 1)
      }
      sub(/\/.*/, "", inputs)
    }
    END { printf "%-12s %12d %10d %10d %8d %9d\n", name, runs, speed, coverage, inputs, findings }
  ' "$log"
  [[ $count -eq 0 ]] || found=1
done
say "New inputs: $folder/corpus"
if [[ $found -ne 0 ]]; then
  printf '\nFindings:\n'
  for name in "${targets[@]}"; do
    ! grep -q '^failed with exit code' "$folder/logs/$name.log" ||
      printf '  %s: %s\n' "$folder/logs/$name.log" \
        "$(grep -m1 -E 'ERROR: |runtime error: |what\(\)|^failed' "$folder/logs/$name.log")"
  done
  find "$folder/findings" -type f -printf '  %p\n' | sort
  exit 1
fi
