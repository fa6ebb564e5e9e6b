#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds, tests and measures in clean systems, one for each distribution and compiler, from nothing:
# debootstrap makes a bare system, then scripts/test.sh and scripts/bench.sh --quick run in it
# (scripts/matrix_one.sh). Ends with exit code 1 if one failed; the others run all the same. Needs
# root.
#
#   scripts/matrix.sh [--quick] [DISTRIBUTION...] [--compiler gcc|clang] [--output DIR]
#                     [--keep DIR] [--cache DIR]
#
#   DISTRIBUTION     debian12, debian13, testing (Debian's) or ubuntu24.04; default: the three of
#                    Debian
#   --compiler NAME  gcc or clang; default: both
#   --quick          without PyTorch and the tests written in Python
#   --output DIR     where logs and table.md go, default results/matrix-<date>
#   --keep DIR       makes the systems in this new folder and leaves them there, to look into one:
#                    chroot DIR/debian13-gcc
#   --cache DIR      keeps packages and compiled objects there for the next run; without it nothing
#                    but the network is used
#
# What is tested is the last commit. MovieLens is used if it is in ../shared/data. Environment:
# ETA_DEBIAN_MIRROR and ETA_UBUNTU_MIRROR name other mirrors.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

quick="" compiler="" output="" keep="" cache=""
parse_options "quick compiler= output= keep= cache=" "$@"
distributions=("${rest[@]}")
[[ ${#distributions[@]} -gt 0 ]] || distributions=(debian12 debian13 testing)
declare -A SUITE=([debian12]=bookworm [debian13]=trixie [testing]=forky [ubuntu24.04]=noble)
for distribution in "${distributions[@]}"; do
  [[ -n ${SUITE[$distribution]:-} ]] ||
    die "unknown distribution '$distribution'; there are debian12, debian13, testing, ubuntu24.04"
done
compilers=(gcc clang)
[[ -z $compiler ]] || compilers=("$compiler")
case ${compilers[0]} in
  gcc | clang) ;;
  *) die "--compiler $compiler: gcc or clang" ;;
esac
output="$(realpath -ms -- "${output:-$ROOT/results/matrix-$(date +%Y-%m-%d-%H%M%S)}")"
[[ ! -e $output/table.md ]] || die "--output $output: there are results in it"
[[ -z $keep || ! -e $keep ]] || die "--keep $keep: it exists already"
[[ $EUID -eq 0 ]] || die "needs root, because only root may mount and change the root folder"
for program in debootstrap git unshare; do
  command -v "$program" >/dev/null ||
    die "$program is missing (Debian: apt-get install debootstrap git util-linux)"
done
git -C "$ROOT" rev-parse --quiet --verify HEAD >/dev/null 2>&1 ||
  die "$ROOT: not a git repository with a commit"
[[ -z $(git -C "$ROOT" status --porcelain -uno) ]] ||
  say "Changes that are not committed are not tested."

if [[ -n $cache ]]; then
  mkdir -p "$cache/objects" || die "--cache $cache: cannot be made"
  cache="$(realpath "$cache")"
fi
mkdir -p "$output/logs" 2>/dev/null || die "$output: cannot be made (--output DIR is used instead)"
if [[ -n $keep ]]; then
  mkdir -p "$keep" || die "--keep $keep: cannot be made"
  systems="$(realpath "$keep")"
else
  systems="$(mktemp -d /var/tmp/eta-matrix.XXXXXX)" # often larger than /tmp: a system takes 6 GB
fi
# Nothing is mounted here, for every mount is made in a namespace that ends with the processes in it.
discard() { [[ -n $keep ]] || rm -rf --one-file-system "$@"; }
trap 'discard "$systems"' EXIT

# bootstrap DISTRIBUTION ROOT: a bare system with the sources in it.
bootstrap() {
  local suite=${SUITE[$1]} root=$2 script=/usr/share/debootstrap/scripts options=()
  local mirror=${ETA_DEBIAN_MIRROR:-http://deb.debian.org/debian}
  if [[ $1 == ubuntu* ]]; then
    mirror=${ETA_UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
    options=("--components=main,universe")
  fi
  # A debootstrap older than the distribution lacks its name, but not the way to make it.
  if [[ ! -e $script/$suite ]]; then
    script+=/sid
    [[ $1 != ubuntu* ]] || script=${script%/*}/gutsy
  else
    script+=/$suite
  fi
  if [[ -n $cache ]]; then
    mkdir -p "$cache/packages-$suite"
    options+=(--cache-dir="$cache/packages-$suite")
  fi
  unshare --mount debootstrap --variant=minbase "${options[@]}" "$suite" "$root" "$mirror" \
    "$script" || return
  # Testing is updated daily; a mirror or an image of it that lags is still what is to be tested.
  echo 'Acquire::Check-Valid-Until "false";' >"$root/etc/apt/apt.conf.d/99eta-matrix"
  cp /etc/resolv.conf /etc/hosts "$root/etc/" # without hosts torchrun does not know localhost
  mkdir -p "$root/work/source" "$root/work/log"
  git -C "$ROOT" archive HEAD | tar -x -C "$root/work/source"
}

# enter ROOT COMPILER SUITE: mounts what a system needs and runs scripts/matrix_one.sh in it. Mounts
# and processes are in namespaces of their own, so that none is left over, whatever happens.
enter() {
  # shellcheck disable=SC2016 # expanded there
  unshare --mount --pid --fork --kill-child bash -euc '
    root=$1 compiler=$2 quick=$3 data=$4 objects=$5 packages=$6
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount --rbind -o ro /sys "$root/sys"
    if [[ -d $data ]]; then
      mkdir -p "$root/work/shared/data"
      mount --bind -o ro "$data" "$root/work/shared/data"
    fi
    if [[ -n $objects ]]; then
      mkdir -p "$root/work/objects"
      mount --bind "$objects" "$root/work/objects"
      mount --bind "$packages" "$root/var/cache/apt/archives"
    fi
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root \
      LC_ALL=C.UTF-8 ${http_proxy:+http_proxy="$http_proxy"} \
      ${https_proxy:+https_proxy="$https_proxy"} ${objects:+CCACHE_DIR=/work/objects} \
      chroot "$root" /work/source/scripts/matrix_one.sh --compiler "$compiler" --output /work/log \
      ${quick:+--quick} ${objects:+--cache}
  ' enter "$1" "$2" "$quick" "$ROOT/../shared/data" "${cache:+$cache/objects}" \
    "${cache:+$cache/packages-$3}"
}

# field FILE NAME: the value of NAME=value in a file, or "-".
field() { { sed -n "s/^$2=//p" "$1" 2>/dev/null | grep .; } || echo -; }

# counts FILE: what ctest counted, as "passed | failed | skipped".
counts() {
  local head tests failed skipped
  head="$(grep -m 1 -A 12 '<testsuite ' "$1" 2>/dev/null | tr '\n\t' '  ')" || head=
  if [[ ! $head =~ tests=\"([0-9]+)\" ]]; then
    echo "- | - | -"
    return
  fi
  tests=${BASH_REMATCH[1]}
  [[ $head =~ failures=\"([0-9]+)\" ]] && failed=${BASH_REMATCH[1]}
  [[ $head =~ skipped=\"([0-9]+)\" ]] && skipped=${BASH_REMATCH[1]}
  echo "$((tests - failed - skipped)) | $failed | $skipped"
}

# row DISTRIBUTION COMPILER LOGS: a line of the table.
row() {
  local used=$3/used.txt name warnings=-
  [[ ! -e $3/test.log ]] || warnings="$(cat "$3"/{test,bench}.log 2>/dev/null |
    grep -cE 'warning:|^CMake (Deprecation )?Warning' || true)"
  printf '| %s | %s %s' "$1" "$2" "$(field "$used" compiler_version)"
  for name in cmake highway faiss python torch; do printf ' | %s' "$(field "$used" "$name")"; done
  printf ' | %s' "$(counts "$3/tests.xml")" "$warnings"
  for name in test_seconds bench bench_seconds; do printf ' | %s' "$(field "$used" "$name")"; done
  echo ' |'
}

table=$output/table.md
{
  echo '| distribution | compiler | CMake | Highway | FAISS | Python | PyTorch | passed | failed |' \
    'skipped | warnings | test.sh, s | bench.sh | bench.sh, s |'
  echo '|---|---|---|---|---|---|---|---|---|---|---|---|---|---|'
} >"$table"
failed=0
for distribution in "${distributions[@]}"; do
  for compiler in "${compilers[@]}"; do
    name=$distribution-$compiler
    root=$systems/$name logs=$output/logs/$name
    mkdir -p "$root" "$logs"
    say "$name ..."
    code=0
    if bootstrap "$distribution" "$root" >"$logs/debootstrap.log" 2>&1; then
      enter "$root" "$compiler" "${SUITE[$distribution]}" >"$logs/system.log" 2>&1 || code=$?
      cp -r "$root/work/log/." "$logs"
    else
      code=1
    fi
    [[ $code -eq 0 ]] || { failed=1 && say "$name FAILED; logs are in $logs"; }
    row "$distribution" "$compiler" "$logs" >>"$table"
    tail -n 1 "$table" >&2
    discard "$root"
  done
done
say "Table and logs are in $output"
cat "$table"
exit "$failed"
