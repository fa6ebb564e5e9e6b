// SPDX-License-Identifier: Apache-2.0
// A store that is made, written and read, and a service over it.
#include <cstdio>
#include <filesystem>

#include "eta/core/serving/ranking_service.h"
#include "eta/core/store/history_store.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  eta::HistoryStore::Create(folder);
  eta::HistoryStore store(folder);
  const eta::ItemTable items{eta::Matrix<float>(6, 3), {}};
  eta::ItemCodes codes(items, eta::Hyperplanes::Make(eta::HyperplaneKind::kGaussian, 3, 64, 1));
  eta::RankingService service(store, codes);
  eta::EventBatch batch;
  batch.events = {{"somebody", {.item = 3, .time = 5}}};
  service.Append(batch, eta::Durability::kSynced);
  const auto history = store.Read("somebody", 10);
  int32_t position = -1, count = 0, item = -1;
  const int32_t candidate = 3;
  service.Retrieve("somebody", {&candidate, 1}, 1, {{&position, 1}, {&count, 1}}, {&item, 1});
  std::printf("%zu behaviour in the store, of item %d\n", history.size(), item);
  return history.size() == 1 && history[0].item == 3 && item == 3 ? 0 : 1;
}
