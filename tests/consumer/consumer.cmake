# SPDX-License-Identifier: Apache-2.0
# Included by tests/CMakeLists.txt. A consumer does not know of sanitizers, so not under those.
if(NOT ETA_SANITIZE)
  add_test(NAME consumer COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh ${PROJECT_BINARY_DIR})
  set_tests_properties(consumer PROPERTIES TIMEOUT 300)
endif()
