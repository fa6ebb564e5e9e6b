// SPDX-License-Identifier: Apache-2.0
// FAISS takes memory for 4,096 x 1,024 distances each time it assigns rows to centroids, be they 16
// of a sub-quantiser, and AddressSanitizer maps, poisons and unmaps 16 MiB each time: OPQ then
// trains for 33 s in place of 5. With fewer queries at once it takes less.
#include <faiss/utils/distances.h>

namespace {
[[maybe_unused]] const int query_block = faiss::distance_compute_blas_query_bs = 64;
}
