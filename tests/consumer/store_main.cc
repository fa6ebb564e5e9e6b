// SPDX-License-Identifier: Apache-2.0
// A store that is made, written and read.
#include <cstdio>
#include <filesystem>

#include "eta/core/store/history_store.h"

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path folder = argv[1];
  eta::HistoryStore::Create(folder);
  eta::HistoryStore store(folder);
  eta::EventBatch batch;
  batch.events = {{"somebody", {.item = 3, .time = 5}}};
  store.Append(batch, eta::Durability::kSynced);
  const auto history = store.Read("somebody", 10);
  std::printf("%zu behaviour in the store\n", history.size());
  return history.size() == 1 && history[0].item == 3 ? 0 : 1;
}
