# SPDX-License-Identifier: Apache-2.0
# install() of the libraries, so that find_package(eta-simd) works from another project.
include(CMakePackageConfigHelpers)

# Before 1.0 a minor version may change the ABI. eta_core finds eta_simd beside itself, wherever the
# prefix lies; a distribution drops that run path by CMAKE_SKIP_INSTALL_RPATH.
set_target_properties(eta_simd eta_core PROPERTIES
  VERSION ${PROJECT_VERSION}
  SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR}
  INSTALL_RPATH $ORIGIN)

set(ETA_CMAKE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/eta-simd)
install(TARGETS eta_simd eta_core EXPORT eta-simd-targets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY simd core DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/eta-simd
        FILES_MATCHING PATTERN "*.h")
install(EXPORT eta-simd-targets NAMESPACE eta:: DESTINATION ${ETA_CMAKE_DIR})

configure_package_config_file(cmake/eta-simd-config.cmake.in
                              ${PROJECT_BINARY_DIR}/eta-simd-config.cmake
                              INSTALL_DESTINATION ${ETA_CMAKE_DIR})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/eta-simd-config-version.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/eta-simd-config.cmake
              ${PROJECT_BINARY_DIR}/eta-simd-config-version.cmake
        DESTINATION ${ETA_CMAKE_DIR})
