# SPDX-License-Identifier: Apache-2.0
# eta_test_compile_options(target [level]): as eta_compile_options, but what only tests is optimised
# less. GCC compiles tests at -O1 in 0.6 of the time of -O3. Sanitizer builds do not optimise them at
# all, which takes 0.65 of the time of -O1, unless `level` says so.
function(eta_test_compile_options target)
  eta_compile_options(${target})
  if(ETA_FUZZ)
    return()
  endif()
  set(level -O1)
  if(ETA_SANITIZE)
    set(level -O0)
  endif()
  if(ARGC GREATER 1)
    set(level ${ARGV1})
  endif()
  target_compile_options(${target} PRIVATE $<$<NOT:$<CONFIG:Debug>>:${level}>)
endfunction()
