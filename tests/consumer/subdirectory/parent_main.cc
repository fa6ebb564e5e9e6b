// SPDX-License-Identifier: Apache-2.0
// Includes a header of the project's own and one of the kernels by the same name.
#include "simd/views.h"

#include "eta/simd/version.h"
#include "eta/simd/views.h"

static_assert(ETA_SIMD_VERSION >= 2000 && eta::simd::PaddedRows(1) == 64);

int main() { return kViewsOfTheParent - 1; }
