// SPDX-License-Identifier: Apache-2.0
// ETA_CORE_API marks what a shared library of core/ exports, as ETA_SIMD_API does for the kernels
// (simd/export.h). Classes carry it too: they are thrown, and cast, across libraries.
#pragma once

#ifndef ETA_CORE_API
#if defined(__GNUC__)
#define ETA_CORE_API __attribute__((visibility("default")))
#else
#define ETA_CORE_API
#endif
#endif
