#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks the Python and shell code for mistakes; setup.cfg has the settings of the Python checks.
#
#   scripts/lint.sh
#
# Runs flake8, mypy and shellcheck. Exit code: 0 fine, 1 something found, 2 a program is missing.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

case ${1:-} in
  "") ;;
  -h | --help)
    print_help
    exit
    ;;
  *) die "unknown argument '$1'" ;;
esac

for module in flake8 mypy; do
  "$PYTHON" -c "import $module" 2>/dev/null ||
    die "$module is missing; scripts/setup.sh lint installs it"
done
command -v shellcheck >/dev/null || die "shellcheck is missing; scripts/setup.sh lint installs it"

cd "$ROOT"
code=0
"$PYTHON" -m flake8 python scripts tests docs || code=1
"$PYTHON" -m mypy --no-error-summary || code=1
mapfile -t scripts < <(git ls-files --cached --others --exclude-standard -- '*.sh' .ci/run)
shellcheck "${scripts[@]}" || code=1
exit "$code"
