#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Downloads a MovieLens data set from GroupLens, shows its terms and imports it as a data bundle.
#
#   scripts/fetch_movielens.sh [small|100k|1m|10m|20m|25m|32m] [--output DIR] [--bundle-tool PATH]
#                              [--build DIR]
#
#   small .. 32m        which set: small is 1 MB and 0.1 M ratings; 25m is 250 MB and 25 M ratings
#   --output DIR        the bundle to make, default data/movielens-<set>; must not exist
#   --bundle-tool PATH  used instead of building bundle_tool
#   --build DIR         where to build it, default build/release
#
# Commercial use of the data needs permission, and most sets must not be redistributed: read the
# terms that are shown. ETA_MOVIELENS_URL names another folder to download from, such as a mirror or
# file:///path. A failure leaves nothing behind; the exit code is 2.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

output=
bundle_tool=
parse_options "output= bundle-tool= build=" "$@"
[[ ${#rest[@]} -le 1 ]] || die "two sets asked for, ${rest[0]} and ${rest[1]}"
set_name=${rest[0]:-small}
case $set_name in
  small | 100k | 1m | 10m | 20m | 25m | 32m) ;;
  *) refuse "$set_name" ;;
esac
output=${output:-$ROOT/data/movielens-$set_name}
[[ ! -e $output ]] || die "$output exists already"

# The archive, the folder in it, and what is taken from that.
archive=ml-$set_name.zip
folder=ml-$set_name
members=(ratings.csv movies.csv README.txt)
case $set_name in
  small) archive=ml-latest-small.zip folder=ml-latest-small ;;
  100k) members=(u.data u.item README) ;;
  1m) members=(ratings.dat movies.dat README) ;;
  10m) folder=ml-10M100K members=(ratings.dat movies.dat README.html) ;;
esac
base_url=${ETA_MOVIELENS_URL:-https://files.grouplens.org/datasets/movielens}

command -v unzip >/dev/null || die "unzip is not installed (apt install unzip)"
command -v curl >/dev/null || command -v wget >/dev/null || die "neither curl nor wget is installed"

temporary="$(mktemp -d "${TMPDIR:-/tmp}/eta-movielens.XXXXXX")"
trap 'rm -rf "$temporary"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# download NAME [OPTION...]: fetches it from the server into the temporary folder.
download() {
  local name=$1
  shift
  if command -v curl >/dev/null; then
    curl --fail --location --retry 3 --connect-timeout 20 --show-error "$@" \
      --output "$temporary/$name" "$base_url/$name"
  else
    wget --no-verbose --tries=3 --timeout=20 --output-document="$temporary/$name" "$base_url/$name"
  fi
}

download_archive() {
  local error
  say "Downloading $base_url/$archive ..."
  if [[ -t 2 ]]; then
    download "$archive" --progress-bar || die "$base_url/$archive cannot be downloaded"
  elif ! error="$(download "$archive" --silent 2>&1)"; then
    die "$base_url/$archive cannot be downloaded: ${error##*$'\n'}"
  fi
}

# GroupLens publishes a checksum beside most sets, as "name digest" in one order or the other.
check_md5() {
  local published actual
  if ! download "$archive.md5" --silent 2>/dev/null; then
    say "No checksum of $archive is published; going on without."
    return
  fi
  published="$(grep -oiE '\b[0-9a-f]{32}\b' "$temporary/$archive.md5")" ||
    die "$base_url/$archive.md5: there is no checksum in it"
  published=${published:0:32}
  published=${published,,}
  actual="$(md5sum <"$temporary/$archive" | cut -d ' ' -f 1)"
  [[ $actual == "$published" ]] ||
    die "$archive: damaged in transit (MD5 expected $published, found $actual)"
}

# The part of the README from "Usage License" to the next underlined title, or <h1> of HTML.
show_licence() {
  local is_html=
  [[ $1 != *.html ]] || is_html=1
  awk -v is_html="$is_html" '
    { sub(/\r$/, "") }
    is_html && inside && /<h1>/ { print previous; ended = 1; exit }
    is_html { gsub(/<[^>]*>/, ""); sub(/^ +/, "") }
    inside && /^(==|--)[=-]*$/ && ++underlines > 1 { ended = 1; exit }
    inside { print previous }
    tolower($0) ~ /^[ a-z&]*usage license *$/ { inside = 1 }
    { previous = $0 }
    END {
      if (inside && !ended) print previous
      if (!inside) print "Terms: https://grouplens.org/datasets/movielens/"
    }
  ' "$1" >&2
}

"$ROOT/scripts/setup.sh" fetch
download_archive
check_md5
unzip -tqq "$temporary/$archive" >/dev/null 2>&1 || die "$archive: not a sound zip archive"
unzip -qq -j -o "$temporary/$archive" "${members[@]/#/$folder/}" -d "$temporary/$folder" \
  >/dev/null 2>&1 || die "$archive: lacks one of ${members[*]/#/$folder/}"
rm "$temporary/$archive"
show_licence "$temporary/$folder/${members[2]}"

if [[ -z $bundle_tool ]]; then
  "$ROOT/scripts/setup.sh" build data
  configure release
  build release bundle_tool
  bundle_tool="$(build_folder release)/bench/bundle_tool"
fi
mkdir -p "$(dirname "$output")"
say "Importing into $output ..."
"$PYTHON" "$ROOT/scripts/import_movielens.py" --input "$temporary/$folder" --output "$output" \
  --bundle-tool "$bundle_tool" || exit 2
say "Done; try scripts/bench.sh --data $output"
