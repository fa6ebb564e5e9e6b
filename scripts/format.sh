#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Formats all C++ files, but none that .gitignore leaves out.
#
#   scripts/format.sh [--check]
#
#   --check   changes nothing; fails and shows the places when a file is not formatted, or when
#             scripts/check_docs.py finds a fault in the texts: long lines, dead links, missing files
#
# The formatter is pinned to clang-format 14: every version lays code out a little differently.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

mode=(-i)
case ${1:-} in
  "") ;;
  -h | --help)
    print_help
    exit
    ;;
  --check) mode=(--dry-run --Werror) ;;
  *) die "unknown argument '$1'" ;;
esac

formatter=
for name in clang-format-14 clang-format; do
  if command -v "$name" >/dev/null && [[ $("$name" --version) == *"version 14."* ]]; then
    formatter=$name
    break
  fi
done
[[ -n $formatter ]] || die "clang-format 14 is missing; scripts/setup.sh format installs it"

cd "$ROOT"
git ls-files -z --cached --others --exclude-standard -- '*.h' '*.cc' |
  xargs -0 -r -n 20 "$formatter" "${mode[@]}" || {
  [[ ${mode[0]} == -i ]] || say "scripts/format.sh puts this right."
  exit 1
}
[[ ${mode[0]} == -i ]] || "$PYTHON" scripts/check_docs.py || exit 1
