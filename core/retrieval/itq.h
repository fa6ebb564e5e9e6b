// SPDX-License-Identifier: Apache-2.0
// Hyperplanes that are trained on the items: iterative quantisation.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/export.h"
#include "core/data/items.h"
#include "core/retrieval/hyperplanes.h"

namespace eta {

// A rotation under which embeddings lie near the corners of a cube, so that their signs say more
// (Gong and Lazebnik, "Iterative quantization: a procrustean approach to learning binary codes",
// CVPR 2011, section 2), without the mean, because SimHash has no offset: 30 times the signs of the
// rotated sample, then the rotation nearest to them. The sample is up to 10,000 items chosen by the
// seed, each no longer than 4 median lengths. Bits are trained in groups of dim, each from another
// random rotation; a group of fewer bits first keeps as many principal directions. The columns of a
// group are orthonormal within float rounding.
//
// The result is of kind kLoaded: a matrix that any ETA server can load as its R. The same bytes for
// the same items, bits and seed on every target. Items that are not finite or 0 are left out; where
// nothing is left the result is that of kOrthogonal. Throws std::invalid_argument when the item
// table is malformed or bits is not in [1, kMaxBits].
ETA_CORE_API Hyperplanes TrainItq(const ItemTable& items, size_t bits, uint64_t seed);

}  // namespace eta
