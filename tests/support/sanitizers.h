// SPDX-License-Identifier: Apache-2.0
// ETA_IS_SANITIZED: 1 under AddressSanitizer or ThreadSanitizer, which GCC and clang each say in
// their own way. ETA_IS_THREAD_SANITIZED: 1 under the latter.
#pragma once

#include "hwy/base.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || HWY_IS_ASAN || HWY_IS_TSAN
#define ETA_IS_SANITIZED 1
#else
#define ETA_IS_SANITIZED 0
#endif

#if defined(__SANITIZE_THREAD__) || HWY_IS_TSAN
#define ETA_IS_THREAD_SANITIZED 1
#else
#define ETA_IS_THREAD_SANITIZED 0
#endif
