#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs a built tree into a temporary prefix, then builds and runs projects that use it: by
# find_package with and without components, and by pkg-config.
#
#   tests/consumer/run.sh BUILD_DIR
# shellcheck source=../../scripts/common.sh
source "$(dirname "${BASH_SOURCE[0]}")/../../scripts/common.sh"

build=$1
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root=$ROOT
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
fail() {
  printf '%s\n' "$*" >&2
  exit 1
}
cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
# The generator that built the tree is there; CMake's default, make, may not be.
generator="$(cached CMAKE_GENERATOR)"
compiler="$(cached CMAKE_CXX_COMPILER)"

# Into a staging folder first, as packagers do: nothing may land outside it.
DESTDIR="$work/stage" cmake --install "$build" --prefix /opt/eta >/dev/null
mv "$work/stage/opt/eta" "$work/all"
left="$(find "$work/stage" -type f)"
[[ -z $left ]] || fail "installed outside the prefix: $left"
cmake --install "$build" --prefix "$work/kernels" --component simd >/dev/null

# No installed file may speak of where the project was built; what is no interface stays at home.
if grep -rIl -e "$build" -e "$root/" "$work/all"; then
  fail "the files above name the build or source folder"
fi
extra="$(find "$work/all" -path '*/internal/*' -o -path '*/reference/*' -o -name '*-inl.h')"
[[ -z $extra ]] || fail "installed, but no interface: $extra"
core="$(find "$work/kernels" -path '*core*')"
[[ -z $core ]] || fail "component simd installs $core"
for file in doc/eta-simd/LICENSE include/eta-simd/eta/simd/version.h eta-simd.pc; do
  [[ -n $(find "$work/kernels" -path "*/$file") ]] || fail "component simd lacks $file"
done
for file in LICENSE README.md CHANGELOG.md; do
  [[ -n $(find "$work/all" -path "*/doc/eta-simd/$file") ]] || fail "$file is not installed"
done
if [[ $(cached ETA_BUILD_BENCH) == ON ]]; then
  "$work/all/bin/bundle_tool" --help >/dev/null
fi

# configure NAME PREFIX [CMAKE ARGUMENT...]
configure() {
  local name=$1 prefix=$2
  shift 2
  cmake -S "$here/installed" -B "$work/$name" -G "$generator" -DCMAKE_PREFIX_PATH="$prefix" \
    -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_BUILD_TYPE=Release "$@" >"$work/log" 2>&1
}
# use NAME PREFIX [CMAKE ARGUMENT...]: configures, builds and runs.
use() {
  { configure "$@" && cmake --build "$work/$1" >"$work/log"; } || fail "$1: $(cat "$work/log")"
  "$work/$1/kernel_consumer"
  [[ ! -x $work/$1/consumer ]] || "$work/$1/consumer"
  [[ ! -x $work/$1/store_consumer ]] || "$work/$1/store_consumer" "$work/$1/store"
}
# refuse NAME PREFIX TEXT [CMAKE ARGUMENT...]: find_package must fail and say TEXT.
refuse() {
  local name=$1 prefix=$2 text=$3
  shift 3
  ! configure "$name" "$prefix" "$@" || fail "$name was found"
  # CMake breaks lines anywhere.
  [[ $(tr -s ' \n' ' ' <"$work/log") == *"$text"* ]] || fail "$name: $(cat "$work/log")"
}
no_openmp=(-DCMAKE_DISABLE_FIND_PACKAGE_OpenMP=ON -DCMAKE_DISABLE_FIND_PACKAGE_nlohmann_json=ON)
use everything "$work/all"
[[ -x $work/everything/consumer ]] || fail "without COMPONENTS there is no eta::core"
use "only-simd" "$work/kernels" "${no_openmp[@]}" -DCOMPONENTS=simd
[[ ! -e $work/only-simd/consumer ]] || fail "COMPONENTS simd brings eta::core"
configure no-components "$work/kernels" "${no_openmp[@]}" || fail "$(cat "$work/log")"
configure simd-of-all "$work/all" "${no_openmp[@]}" -DCOMPONENTS=simd || fail "$(cat "$work/log")"
configure core "$work/all" -DCOMPONENTS=core || fail "$(cat "$work/log")"
if [[ $(cached ETA_BUILD_STORE) == ON ]]; then
  [[ -x $work/everything/store_consumer ]] || fail "without COMPONENTS there is no eta::store"
  configure store "$work/all" -DCOMPONENTS=store || fail "$(cat "$work/log")"
  if [[ $(cached BUILD_SHARED_LIBS) != ON ]]; then # a shared library brings RocksDB itself
    no_rocksdb=-DCMAKE_DISABLE_FIND_PACKAGE_RocksDB=ON
    configure without-rocksdb "$work/all" "$no_rocksdb" || fail "$(cat "$work/log")"
    refuse no-rocksdb "$work/all" "component 'store' needs RocksDB" "$no_rocksdb" -DCOMPONENTS=store
  fi
else
  refuse no-store "$work/all" "component 'store' is not installed" -DCOMPONENTS=store
fi
refuse no-openmp "$work/all" "component 'core' needs OpenMP" "${no_openmp[@]}" -DCOMPONENTS=core
refuse absent "$work/kernels" "component 'core' is not installed" -DCOMPONENTS=core
refuse unknown "$work/all" "there is no component 'gpu'" -DCOMPONENTS=gpu

# Every public header compiles on its own includes, from the installed tree alone.
include="$work/all/include/eta-simd"
for part in simd core; do
  (cd "$include" && find "eta/$part" -name '*.h') | sort | sed 's/.*/#include "&"/' >"$work/$part.cc"
  standard=17
  [[ $part == simd ]] || standard=20
  "$compiler" -std=c++$standard -Wall -Wextra -Werror -fsyntax-only -I "$include" "$work/$part.cc"
done

# exports_nothing PLUG_IN: of the static libraries, whose classes the compiler also makes parts of in
# a user's own files. Weak templates of std, which GCC exports, may be about our types.
exports_nothing() {
  local exported
  exported="$(nm -D --defined-only "$1" | c++filt | grep -E '^\S+ \S ([a-zA-Z ]+ for )?eta::| u | T eta_' |
    grep -v ' T eta_plug_in_run$' || true)"
  [[ -z $exported ]] || fail "$1 exports symbols of the static libraries: $exported"
}

# What is exported, and that it can be unloaded. A plug-in of a static library exports nothing of it.
library="$(find "$work/all" -name 'libeta_simd.so' -o -name 'libeta_simd.a')"
folder="$(dirname "$library")"
if [[ $library == *.so ]]; then
  "$compiler" -std=c++17 "$here/unload_main.cc" -ldl -o "$work/unload"
  for part in simd core $([[ ! -e $folder/libeta_store.so ]] || echo store); do
    "$PYTHON" "$here/symbols.py" "$folder/libeta_$part.so" "$part" "$include"
  done
  "$work/unload" "$folder/libeta_simd.so" _ZN3eta4simd12ActiveTargetEv
  "$work/unload" "$folder/libeta_core.so" _ZN3eta11PortableLogEd
else
  exports_nothing "$work/everything/libplug_in.so"
  "$compiler" -shared -o "$work/plug-in.so" -Wl,--whole-archive "$folder"/libeta_*.a \
    -Wl,--no-whole-archive -Wl,--unresolved-symbols=ignore-all
  exports_nothing "$work/plug-in.so"
fi

if ! command -v pkg-config >/dev/null; then
  echo "pkg-config is missing: its part is skipped"
  exit
fi
PKG_CONFIG_PATH="$(dirname "$(find "$work/all" -name eta-simd.pc)")"
export PKG_CONFIG_PATH
# compile PACKAGE STANDARD SOURCE [ARGUMENT...]: with what pkg-config says, and nothing else.
compile() {
  local flags libraries
  read -ra flags <<<"$(pkg-config --cflags "$1")"
  read -ra libraries <<<"$(pkg-config --libs "$1")"
  "$compiler" -std="$2" "${flags[@]}" "$here/$3" "${libraries[@]}" \
    -Wl,-rpath,"$(pkg-config --variable=libdir "$1")" -o "$work/by-$1"
  "$work/by-$1" "${@:4}"
}
compile eta-simd c++17 kernel_main.cc
compile eta-core c++20 main.cc
if [[ $(cached BUILD_SHARED_LIBS) != ON ]]; then
  read -ra flags <<<"$(pkg-config --cflags --libs eta-core)"
  "$compiler" -std=c++20 -shared -fPIC -fvisibility=hidden -fvisibility-inlines-hidden \
    "$here/plug_in.cc" "${flags[@]}" -o "$work/plug-in-by-pkg-config.so"
  exports_nothing "$work/plug-in-by-pkg-config.so"
fi
if [[ $(cached ETA_BUILD_STORE) == ON ]]; then
  compile eta-store c++20 store_main.cc "$work/store-by-pkg-config"
fi
# The C interface by itself: an installed component c and a C compiler.
cmake --install "$build" --prefix "$work/c" --component c >/dev/null
if [[ $(cached BUILD_SHARED_LIBS) != ON ]]; then # else it needs libeta_core.so too
  PKG_CONFIG_PATH="$(dirname "$(find "$work/c" -name eta-c.pc)")"
  read -ra flags <<<"$(pkg-config --cflags --libs eta-c)"
  cc -std=c11 -Wall -Wextra -Werror "$root/examples/retrieve.c" "${flags[@]}" \
    -Wl,-rpath,"$(pkg-config --variable=libdir eta-c)" -o "$work/by-eta-c"
  "$work/by-eta-c"
fi
