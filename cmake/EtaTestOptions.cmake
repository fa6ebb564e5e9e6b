# SPDX-License-Identifier: Apache-2.0
# eta_test_compile_options(target): as eta_compile_options, but sanitizer builds do not optimise
# what only tests: compiling it takes 0.65 of the time.
function(eta_test_compile_options target)
  eta_compile_options(${target})
  if(ETA_SANITIZE AND NOT ETA_FUZZ)
    target_compile_options(${target} PRIVATE -O0)
  endif()
endfunction()
