// SPDX-License-Identifier: Apache-2.0
// ETA_SIMD_API marks what a shared library of the kernels exports; all else is hidden where the
// compiler is told so (-fvisibility=hidden), so that the library can be unloaded and does not meet
// other copies of itself. A static library defines it as nothing: whoever links that in exports no
// kernels unless they mean to.
#pragma once

#ifndef ETA_SIMD_API
#if defined(__GNUC__)
#define ETA_SIMD_API __attribute__((visibility("default")))
#else
#define ETA_SIMD_API
#endif
#endif
