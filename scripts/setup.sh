#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what the project needs, with apt: Debian 12 and later, Ubuntu 24.04 and later.
#
#   scripts/setup.sh [build] [data] [fetch] [format] [lint] [plot] [train] [arm] [cache] [clang]
#                    [valgrind] [docs] [python] [peers] [arrow] [spark]
#
#   build   compiler, CMake and the libraries (also the baselines', the tests' and the examples')
#   data    Python with NumPy, SciPy and h5py, for the importers
#   fetch   what scripts/fetch_movielens.sh downloads and unpacks with
#   format  the pinned clang-format, git and Python
#   lint    flake8, mypy and shellcheck, for scripts/lint.sh, and NumPy, whose types mypy reads
#   plot    Python with Matplotlib, for pictures of results
#   train   PyTorch, NumPy, SciPy and Matplotlib, for the CTR models (docs/models.md)
#   arm     cross compiler, arm64 libraries and emulator for scripts/arm.sh; makes arm64 a foreign
#           architecture of dpkg (dpkg --remove-architecture arm64 undoes it)
#   cache   the compiler cache that .ci/run builds through
#   clang   clang, its OpenMP and its sanitizers, for the presets tsan, clang and fuzz,
#           and LLVM's symbolizer, which gives their reports names and lines
#   valgrind  for scripts/memcheck.sh
#   docs    Doxygen, for scripts/docs.sh
#   python  pybind11, Python's headers, NumPy and venv, for the native module and its wheel
#   peers   what build and python install, and in build/peers a virtual environment with the
#           libraries that `python -m eta_simd.peers` compares with: from PyPI, gigabytes by PyTorch
#   arrow   what python installs, and in build/arrow a virtual environment with NumPy, SciPy and
#           PyArrow from PyPI, for eta_simd.arrow, Parquet and their tests
#   spark   what arrow installs, Java, and PySpark into build/arrow, for eta_simd.spark
#
# Without arguments: build and data. When nothing is missing it touches neither network nor system.
# Elsewhere, or without the right to install, it names what is needed and goes on. So it does with a
# package that the distribution does not have, such as clang-format-14 on Debian 13.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

BUILD=(g++ cmake ninja-build libhwy-dev libfaiss-dev libopenblas-dev libbenchmark-dev libgtest-dev
  libcli11-dev nlohmann-json3-dev librocksdb-dev libcpp-httplib-dev pkgconf)
DATA=(python3 python3-numpy python3-scipy python3-h5py)
FETCH=(ca-certificates curl unzip)
FORMAT=(clang-format-14 git python3)
LINT=(flake8 git mypy python3 python3-numpy shellcheck)
PLOT=(python3 python3-numpy python3-matplotlib)
TRAIN=(python3 python3-numpy python3-scipy python3-matplotlib python3-torch)
ARM=(cmake ninja-build g++-aarch64-linux-gnu qemu-user libhwy-dev:arm64 libgtest-dev:arm64
  libgomp1:arm64 nlohmann-json3-dev)
CACHE=(ccache)
CLANG=(clang libclang-rt-dev libomp-dev llvm)
VALGRIND=(valgrind libc6-dbg)
DOCS=(doxygen python3)
PYTHON_MODULE=(pybind11-dev python3-dev python3-numpy python3-venv)
# Of PyPI, as in pyproject.toml; those of ONNX are for torch_latency.py.
PEERS=(numpy "faiss-cpu>=1.15" usearch numkong scann hnswlib torch onnx onnxruntime onnxscript)
ARROW=(numpy scipy pyarrow)                                # likewise
SPARK=('pyspark>=4,<5' 'pandas<3')                         # likewise; PySpark 4 asks for older pandas
JAVA=(openjdk-17-jre-headless)

# install_in NAME PACKAGE...: makes the virtual environment build/NAME, or adds to it what it lacks.
install_in() {
  local name=$1
  shift
  say "Installing into build/$name with pip: $*"
  "$PYTHON" -m venv "$ROOT/build/$name"
  "$ROOT/build/$name/bin/python" -m pip -q --disable-pip-version-check --no-input install "$@"
}

[[ $# -gt 0 ]] || set -- build data
needed=()
for purpose in "$@"; do
  case $purpose in
    build) needed+=("${BUILD[@]}") ;;
    data) needed+=("${DATA[@]}") ;;
    fetch) needed+=("${FETCH[@]}") ;;
    format) needed+=("${FORMAT[@]}") ;;
    lint) needed+=("${LINT[@]}") ;;
    plot) needed+=("${PLOT[@]}") ;;
    train) needed+=("${TRAIN[@]}") ;;
    arm) needed+=("${ARM[@]}") ;;
    cache) needed+=("${CACHE[@]}") ;;
    clang) needed+=("${CLANG[@]}") ;;
    valgrind) needed+=("${VALGRIND[@]}") ;;
    docs) needed+=("${DOCS[@]}") ;;
    python) needed+=("${PYTHON_MODULE[@]}") ;;
    peers)
      "$0" build python
      install_in peers "${PEERS[@]}"
      ;;
    arrow)
      "$0" python
      install_in arrow "${ARROW[@]}"
      ;;
    spark)
      "$0" arrow
      needed+=("${JAVA[@]}")
      install_in arrow "${SPARK[@]}"
      ;;
    -h | --help)
      print_help
      exit
      ;;
    *) die "unknown purpose '$purpose'; see scripts/setup.sh --help" ;;
  esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  say "No apt on this system. Needed, by their Debian names: ${needed[*]}"
  command -v cmake >/dev/null || die "cmake is not there either"
  exit 0
fi

# A name without an architecture means the system's own, or a package for all.
installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package}:${Architecture} ' \
  "${needed[@]}" 2>/dev/null || true)"
native="$(dpkg --print-architecture)"
missing=()
foreign=
for package in "${needed[@]}"; do
  case $package in
    *:*) [[ $installed == *" installed:$package "* ]] && continue ;;
    *) [[ $installed == *" installed:$package:$native "* || \
      $installed == *" installed:$package:all "* ]] && continue ;;
  esac
  missing+=("$package")
  [[ $package != *:* || ${package#*:} == "$native" ]] || foreign=${package#*:}
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

as_root=()
if [[ $EUID -ne 0 ]]; then
  if ! command -v sudo >/dev/null || { [[ ! -t 0 ]] && ! sudo -n true 2>/dev/null; }; then
    say "Not installed, and no right to install: ${missing[*]}"
    say "Going on without; to install them:${foreign:+ dpkg --add-architecture $foreign,}" \
      "apt-get install ${missing[*]}"
    exit 0
  fi
  as_root=(sudo)
fi

say "Installing with ${as_root[*]:+sudo }apt-get: ${missing[*]}"
# A lock held by a daily update is waited for; a missing locale or a question must not stop anything.
apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
  apt-get -y -q -o DPkg::Lock::Timeout=600)
[[ -t 1 ]] || apt+=(-qq -o Dpkg::Use-Pty=0)
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
run() {
  if [[ -t 1 ]]; then
    "$@" </dev/null
  else
    "$@" </dev/null >"$log" 2>&1 || {
      cat "$log" >&2
      return 1
    }
  fi
}
if [[ -n $foreign && " $(dpkg --print-foreign-architectures | tr '\n' ' ')" != *" $foreign "* ]]; then
  say "Adding the architecture $foreign to dpkg"
  "${as_root[@]}" dpkg --add-architecture "$foreign"
  # An archive that lacks the architecture would otherwise fail every later apt-get update.
  trap 'rm -f "$log"; "${as_root[@]}" dpkg --remove-architecture "$foreign" || true' EXIT
fi
run "${apt[@]}" update
present=()
for package in "${missing[@]}"; do
  if apt-cache policy "$package" | grep '^  Candidate: [^(]' >/dev/null; then
    present+=("$package")
    continue
  fi
  say "Not in this distribution: $package"
  [[ $package != clang-format-* ]] ||
    say "pip installs it as clang-format==${package##*-}.0.6; scripts/format.sh looks in PATH"
done
[[ ${#present[@]} -eq 0 ]] || run "${apt[@]}" install --no-install-recommends "${present[@]}"
trap 'rm -f "$log"' EXIT
