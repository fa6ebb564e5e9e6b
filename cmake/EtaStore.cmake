# SPDX-License-Identifier: Apache-2.0
# The option ETA_BUILD_STORE: on where RocksDB is found, but in a subproject only if asked for, since
# the search leaves entries in the parent's cache. core/store and the program eta_store need it, and
# nothing else does.
set(ETA_BUILD_STORE_DEFAULT OFF)
if((PROJECT_IS_TOP_LEVEL OR ETA_BUILD_STORE) AND ETA_BUILD_CORE AND NOT ETA_FUZZ
   AND NOT CMAKE_CROSSCOMPILING)
  # Without a version: RocksDB says that it fits only the same major one, and 9.11 does too.
  find_package(RocksDB CONFIG QUIET)
  if(RocksDB_FOUND AND RocksDB_VERSION VERSION_LESS 7.8)
    set(RocksDB_FOUND FALSE)
  endif()
  # Debian's RocksDB is not built for ThreadSanitizer, which then sees races in its headers.
  if(RocksDB_FOUND AND NOT ETA_SANITIZE MATCHES thread)
    set(ETA_BUILD_STORE_DEFAULT ON)
  endif()
endif()
option(ETA_BUILD_STORE "Build core/store and eta_store (needs RocksDB)" ${ETA_BUILD_STORE_DEFAULT})
if(ETA_BUILD_STORE AND NOT RocksDB_FOUND)
  message(FATAL_ERROR "ETA_BUILD_STORE needs ETA_BUILD_CORE and RocksDB 7.8 or later (Debian: "
                      "librocksdb-dev)")
endif()
