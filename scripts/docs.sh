#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is missing and makes the API page of simd/ and core/, build/docs/html/index.html.
#
#   scripts/docs.sh
#
# Fails on any warning of Doxygen, such as a public function without a comment. Fields and
# enumerators need none of their own, as the comment of the struct or enum speaks of them, and a
# defaulted comparison needs none at all.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

parse_options "" "$@"
refuse "${rest[@]}"
"$ROOT/scripts/setup.sh" docs
command -v doxygen >/dev/null || die "Doxygen is missing; scripts/setup.sh docs installs it"

cd "$ROOT"
mkdir -p build/docs
ETA_VERSION="$(sed -n 's/^project(eta-simd VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)" \
  doxygen docs/Doxyfile 2>build/docs/doxygen.log
silent='( \((variable|enumvalue)\) of | operator==\().* is not documented\.$'
warnings="$(grep -vE "$silent" build/docs/doxygen.log || true)"
[[ -z $warnings ]] || {
  printf '%s\n' "${warnings//$ROOT\//}" >&2
  exit 1
}
say "build/docs/html/index.html"
