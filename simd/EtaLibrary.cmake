# SPDX-License-Identifier: Apache-2.0
# What every target shares. It lies beside the kernels, so that a copy of this folder has it. All is
# set per target, so that nothing leaks into a project that adds this one.
include_guard()
get_filename_component(ETA_ROOT ${CMAKE_CURRENT_LIST_DIR}/.. ABSOLUTE)
option(ETA_WERROR "Treat warnings as errors" OFF)
set(ETA_SANITIZE "" CACHE STRING "Sanitizers for all targets, such as address,undefined")
option(ETA_SIMD_CHECKED "Kernels check their preconditions, ids and scratch, and end the process" OFF)
option(ETA_FUZZ "Build the fuzzers in tests/fuzz (needs clang), as the preset fuzz does" OFF)

function(eta_compile_options target)
  # No unity builds: Highway compiles a kernel's file once per target by including it again.
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF CXX_STANDARD_REQUIRED ON
                                             UNITY_BUILD OFF)
  # Paths of includes start at the folder above simd/. It comes first, because a project around this
  # one may have headers of the same names, and it is not handed on: eta_public_headers is for users.
  target_include_directories(${target} BEFORE PRIVATE ${ETA_ROOT})
  # Static libraries too: a serving system often links them into a plug-in of its own.
  if(NOT DEFINED CMAKE_POSITION_INDEPENDENT_CODE)
    set_target_properties(${target} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  endif()
  if(CMAKE_CXX_COMPILER_ID MATCHES "^(GNU|Clang|AppleClang)$")
    # Contraction off: an a * b + c that the compiler fuses on one target only would change codes.
    # No interposition: position-independent code may still inline its own exported functions.
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wno-sign-conversion
                                             -ffp-contract=off -fno-semantic-interposition)
    if(ETA_WERROR)
      target_compile_options(${target} PRIVATE -Werror)
    endif()
  endif()
  # Builds that look for faults check what the standard library and kernels require. Highway takes a
  # build by GCC with optimisation for no debug build, under a sanitizer too.
  set(look_for_faults $<CONFIG:Debug>)
  if(ETA_SANITIZE)
    set(look_for_faults 1)
  endif()
  target_compile_definitions(${target} PRIVATE $<$<BOOL:${ETA_SIMD_CHECKED}>:ETA_SIMD_CHECKED>
    $<${look_for_faults}:_GLIBCXX_ASSERTIONS> $<${look_for_faults}:HWY_IS_DEBUG_BUILD=1>)
  if(ETA_SANITIZE)
    target_compile_options(${target} PRIVATE -fsanitize=${ETA_SANITIZE} -fno-sanitize-recover=all
                                             -fno-omit-frame-pointer -UNDEBUG)
    target_link_options(${target} PUBLIC $<BUILD_INTERFACE:-fsanitize=${ETA_SANITIZE}>)
  endif()
  if(ETA_FUZZ)
    target_compile_options(${target} PRIVATE -fsanitize=fuzzer-no-link)
  endif()
endfunction()

# eta_hide_symbols(TARGET MACRO): a shared library exports what MACRO marks and nothing else, a
# static one nothing, because a plug-in that it is linked into would export it again. Its users
# define MACRO as nothing too: the compiler makes tables and inline members of a class in their files.
function(eta_hide_symbols target macro)
  set_target_properties(${target} PROPERTIES CXX_VISIBILITY_PRESET hidden
                                             VISIBILITY_INLINES_HIDDEN ON)
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "STATIC_LIBRARY")
    target_compile_definitions(${target} PRIVATE ${macro}= INTERFACE $<INSTALL_INTERFACE:${macro}=>)
    if(NOT PROJECT_IS_TOP_LEVEL)
      target_compile_definitions(${target} INTERFACE $<BUILD_INTERFACE:${macro}=>)
    endif()
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # A unique symbol, as the standard library's templates have, keeps a library, or a plug-in that
    # it is linked into, loaded for good.
    target_compile_options(${target} PRIVATE -fno-gnu-unique)
  endif()
endfunction()

# eta_public_headers(TARGET PART HEADER...): what users of the library include, as
# "eta/PART/HEADER". The headers are copied into the build folder with that prefix in their own
# includes, because a project may well have a simd/topk.h of its own.
function(eta_public_headers target part)
  set(folder ${CMAKE_CURRENT_BINARY_DIR}/include)
  foreach(header ${ARGN})
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${header})
    file(READ ${header} text)
    string(REGEX REPLACE "#include \"(simd|core)/" "#include \"eta/\\1/" text "${text}")
    file(CONFIGURE OUTPUT ${folder}/eta/${part}/${header} CONTENT "${text}" @ONLY)
  endforeach()
  target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${folder}>)
  set_target_properties(${target} PROPERTIES ETA_HEADERS "${ARGN}" ETA_HEADERS_PART ${part}
                                             ETA_HEADERS_DIR ${folder}/eta/${part})
endfunction()
