# SPDX-License-Identifier: Apache-2.0
# Options shared by every target; eta_compile_options(target) applies them.
option(ETA_WERROR "Treat warnings as errors" OFF)
set(ETA_SANITIZE "" CACHE STRING "Sanitizers for all targets, such as address,undefined")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()

# Static libraries too: a serving system often links them into a plug-in of its own.
if(NOT DEFINED CMAKE_POSITION_INDEPENDENT_CODE)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()

if(ETA_SANITIZE)
  add_compile_options(-fsanitize=${ETA_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${ETA_SANITIZE})
endif()

function(eta_compile_options target)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF CXX_STANDARD_REQUIRED ON)
  # Contraction off: an a * b + c that the compiler fuses on one target only would change codes.
  # No interposition: position-independent code may still inline its own exported functions.
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wno-sign-conversion
                                           -ffp-contract=off -fno-semantic-interposition)
  if(ETA_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()
