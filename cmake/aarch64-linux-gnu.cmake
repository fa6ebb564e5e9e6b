# SPDX-License-Identifier: Apache-2.0
# Toolchain: from Debian amd64 to aarch64, with Debian's cross compiler and the arm64 packages that
# multiarch puts beside the native ones (scripts/setup.sh arm installs both). Programs run under
# qemu-user; QEMU_CPU chooses the CPU.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64)
# The root stays / because of multiarch: libraries are looked for in /usr/lib/aarch64-linux-gnu by
# the compiler's triplet. What exists for amd64 only must not be taken in their place.
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_IGNORE_PATH /usr/lib/x86_64-linux-gnu /lib/x86_64-linux-gnu)
