# SPDX-License-Identifier: Apache-2.0
# Install rules. Each part is an install component, so that `cmake --install DIR --component simd`
# gives the kernels alone: simd, core, c, store, programs and doc.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(ETA_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/eta-simd)
set(ETA_INCLUDE_DIR ${CMAKE_INSTALL_INCLUDEDIR}/eta-simd)
set(ETA_PKGCONFIG_DIR ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# Directories in the .pc files are relative to the file, so that an installed tree can be moved.
file(RELATIVE_PATH ETA_PC_TO_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
set(ETA_PC_LIBDIR "\${prefix}")
cmake_path(APPEND ETA_PC_LIBDIR ${CMAKE_INSTALL_LIBDIR})
set(ETA_PC_INCLUDEDIR "\${prefix}")
cmake_path(APPEND ETA_PC_INCLUDEDIR ${ETA_INCLUDE_DIR})
# Whoever links a static library also links what it uses, and exports nothing of it
# (eta_hide_symbols).
set(ETA_PC_PRIVATE "")
set(ETA_PC_ROCKSDB ", rocksdb")
set(ETA_PC_SIMD_FLAGS " -DETA_SIMD_API=")
set(ETA_PC_CORE_FLAGS " -DETA_CORE_API=")
if(BUILD_SHARED_LIBS)
  set(ETA_PC_PRIVATE .private)
  set(ETA_PC_ROCKSDB "")
  set(ETA_PC_SIMD_FLAGS "")
  set(ETA_PC_CORE_FLAGS "")
endif()

# eta_install_library(PART): the library eta_<part>, its public headers, CMake targets and .pc file.
function(eta_install_library part)
  # Before 1.0 a minor version may change the ABI. eta_core finds eta_simd beside itself, wherever
  # the prefix lies; a distribution drops that run path by CMAKE_SKIP_INSTALL_RPATH.
  set_target_properties(eta_${part} PROPERTIES
    VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
    INSTALL_RPATH $ORIGIN)
  target_include_directories(eta_${part} INTERFACE $<INSTALL_INTERFACE:${ETA_INCLUDE_DIR}>)
  install(TARGETS eta_${part} EXPORT eta-simd-${part}-targets COMPONENT ${part})
  install(EXPORT eta-simd-${part}-targets NAMESPACE eta:: DESTINATION ${ETA_CMAKE_DIR}
          COMPONENT ${part})
  get_target_property(headers eta_${part} ETA_HEADERS)
  get_target_property(folder eta_${part} ETA_HEADERS_DIR)
  get_target_property(headers_part eta_${part} ETA_HEADERS_PART)
  foreach(header ${headers})
    cmake_path(GET header PARENT_PATH parent)
    install(FILES ${folder}/${header} DESTINATION ${ETA_INCLUDE_DIR}/eta/${headers_part}/${parent}
            COMPONENT ${part})
  endforeach()
  configure_file(cmake/eta-${part}.pc.in ${PROJECT_BINARY_DIR}/eta-${part}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/eta-${part}.pc DESTINATION ${ETA_PKGCONFIG_DIR}
          COMPONENT ${part})
endfunction()

eta_install_library(simd)
if(ETA_BUILD_CORE)
  eta_install_library(core)
  if(ETA_BUILD_STORE)
    eta_install_library(store)
  endif()

  # The C interface, for programs that know of no C++: component c. The static form needs the others.
  install(TARGETS eta_c EXPORT eta-simd-c-targets COMPONENT c)
  install(EXPORT eta-simd-c-targets NAMESPACE eta:: DESTINATION ${ETA_CMAKE_DIR} COMPONENT c)
  install(TARGETS eta_c_static EXPORT eta-simd-core-targets COMPONENT core)
  foreach(target eta_c eta_c_static)
    target_include_directories(${target} INTERFACE $<INSTALL_INTERFACE:${ETA_INCLUDE_DIR}>)
  endforeach()
  install(FILES core/c/eta_simd.h DESTINATION ${ETA_INCLUDE_DIR} COMPONENT c)
  configure_file(cmake/eta-c.pc.in ${PROJECT_BINARY_DIR}/eta-c.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/eta-c.pc DESTINATION ${ETA_PKGCONFIG_DIR} COMPONENT c)
endif()

configure_package_config_file(cmake/eta-simd-config.cmake.in
                              ${PROJECT_BINARY_DIR}/eta-simd-config.cmake
                              INSTALL_DESTINATION ${ETA_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/eta-simd-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/eta-simd-config.cmake
              ${PROJECT_BINARY_DIR}/eta-simd-config-version.cmake
        DESTINATION ${ETA_CMAKE_DIR} COMPONENT simd)
install(FILES README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT doc)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT simd)

if(ETA_BUILD_BENCH AND NOT ETA_SANITIZE)  # sanitized programs are not built by default
  set(programs bundle_tool ctr_bench freshness_bench kernel_bench retrieval_bench)
  if(ETA_BUILD_STORE)
    list(APPEND programs eta_store_tool serving_bench)
  endif()
  file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
  set_target_properties(${programs} PROPERTIES INSTALL_RPATH $ORIGIN/${bin_to_lib})
  install(TARGETS ${programs} COMPONENT programs)
endif()
