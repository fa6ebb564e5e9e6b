# SPDX-License-Identifier: Apache-2.0
# find_package that names the Debian package to install, and reports all that is missing at once.
set(ETA_MISSING_PACKAGES "")

# eta_find_package(NAME DEBIAN_PACKAGE [VERSION] [ARGUMENT...]): the rest goes to find_package.
macro(eta_find_package name debian_package)
  find_package(${name} ${ARGN})
  if(NOT ${name}_FOUND)
    string(REGEX MATCH "^[0-9.]+" eta_version "${ARGN}")
    if(eta_version)
      string(PREPEND eta_version " ")
      string(APPEND eta_version " or later")
    endif()
    list(APPEND ETA_MISSING_PACKAGES "${name}${eta_version} (Debian: ${debian_package})")
  endif()
endmacro()

function(eta_report_missing_packages)
  if(ETA_MISSING_PACKAGES)
    list(JOIN ETA_MISSING_PACKAGES "\n  " text)
    message(FATAL_ERROR "Missing packages:\n  ${text}\nscripts/setup.sh installs them all.")
  endif()
endfunction()
