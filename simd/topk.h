// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace eta::simd {

// Which of several equally near positions comes first. Position 0 is the oldest behaviour; FAISS's
// flat indexes are observed to keep the oldest.
enum class TieOrder { kNewestFirst, kOldestFirst };

// kSorted: nearest first, ties in TieOrder. kAny: exactly the same set in unspecified order.
enum class ResultOrder { kSorted, kAny };

}  // namespace eta::simd
