// SPDX-License-Identifier: Apache-2.0
// A candidate equal to one of the behaviours must find exactly that one, whatever the hyperplanes.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "eta/core/retrieval/eta.h"

int main() {
  constexpr size_t kItems = 6;
  eta::ItemTable items{eta::Matrix<float>(kItems, 3), {}};
  for (size_t i = 0; i < items.embeddings.values.size(); ++i) {
    items.embeddings.values[i] = static_cast<float>(i * i % 7) - 3.0f;
  }
  const auto hyperplanes = eta::Hyperplanes::Make(eta::HyperplaneKind::kGaussian, 3, 256, 1);
  const auto retriever = eta::MakeEtaRetriever("eta:256", items, hyperplanes);

  const std::vector<int32_t> history{4, 1, 0, 5};
  const std::vector<int32_t> candidates{0};
  const auto prepared = retriever->Prepare(history);
  const auto scratch = retriever->NewScratch();
  std::vector<int32_t> positions(1), counts(1);
  retriever->Retrieve(*prepared, candidates, 1, *scratch, {positions, counts});
  std::printf("item 0 found at position %d\n", positions[0]);
  return positions[0] == 2 && counts[0] == 1 ? 0 : 1;
}
