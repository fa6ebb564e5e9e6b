#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Quality and latency of exported CTR models, beside PyTorch's forward pass of the same models in the
# fastest form that torch_latency.py finds.
#
#   scripts/ctr_bench.sh [--candidates N] [--length N] [--requests N] [--rounds N] [--csv FILE]
#                        [--json FILE] [--build DIR] MODEL...
#
#   --candidates N  candidates of a request, default 256
#   --length N      behaviours of its user, default 1024
#   --requests N    timed requests of each model in C++, default 200; PyTorch gets a tenth
#   --rounds N      turns of PyTorch, half before and half after the C++ models, default 4
#   --csv, --json   files for the results
#   --build DIR     where to build, default build/release
#   MODEL...        folders that scripts/train_ctr.py wrote
#
# One thread for both. PyTorch's turns lie on both sides of ours and are averaged, so that a machine
# that becomes busier or slower does so for both.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

candidates=256
length=1024
requests=200
rounds=4
csv=
json=
parse_options "candidates= length= requests= rounds= csv= json= build=" "$@"
models=()
for argument in "${rest[@]}"; do
  [[ $argument != -* ]] || refuse "$argument"
  models+=("$argument")
done
for number in "$candidates" "$length" "$requests" "$rounds"; do
  [[ $number =~ ^[1-9][0-9]{0,6}$ ]] || die "$number: not a whole number from 1 to 9999999"
done
[[ ${#models[@]} -gt 0 ]] || die "no model is named; --help lists the options"
for model in "${models[@]}"; do
  [[ -f $model/manifest.json ]] || die "$model: no manifest.json (expected a folder of train_ctr.py)"
done

"$ROOT/scripts/setup.sh" build train
configure release
build release ctr_bench
bench="$(build_folder release)/bench/ctr_bench"
scratch="$(mktemp -d)"
export TORCHINDUCTOR_CACHE_DIR="$scratch/inductor" # what one turn compiles serves the next
late=
trap '[[ -z $late ]] || kill "$late" 2>/dev/null; rm -rf "$scratch"' EXIT

torch_turn() {
  local model
  for model in "${models[@]}"; do
    say "PyTorch: $model"
    "$PYTHON" "$ROOT/scripts/torch_latency.py" --model "$model" --candidates "$candidates" \
      --length "$length" --requests $(((requests + 9) / 10)) --warm-up 3
  done
}

"$bench" --check "${models[@]}"
for ((round = 0; round < rounds / 2; ++round)); do torch_turn; done >"$scratch/early"
# Opening a pipe waits for its reader: ctr_bench reads it once it has measured, and only then do
# PyTorch's later turns begin.
mkfifo "$scratch/torch"
{
  cat "$scratch/early"
  for ((round = rounds / 2; round < rounds; ++round)); do torch_turn; done
} >"$scratch/torch" &
late=$!
"$bench" "${models[@]}" --candidates "$candidates" --length "$length" --requests "$requests" \
  --torch "$scratch/torch" ${csv:+--csv "$csv"} ${json:+--json "$json"}
wait "$late"
late=
