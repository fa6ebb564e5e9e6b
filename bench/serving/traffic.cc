// SPDX-License-Identifier: Apache-2.0
#include "bench/serving/traffic.h"

#include <utility>

namespace eta::bench {
namespace {

constexpr uint64_t kUserStream = 7;
constexpr size_t kCandidateLists = 64;  // more would not change what is measured

}  // namespace

Traffic::Traffic(const ServingData& data, const ServingOptions& options)
    : batch_(options.batch),
      popularity_(data.users(), options.zipf, options.seed),
      candidates_(MakeCandidates(data, kCandidateLists, options.b, options.seed)),
      acknowledged_(std::make_unique<std::atomic<int64_t>[]>(data.users())) {}

std::vector<uint32_t> Traffic::DrawUsers(size_t requests, uint64_t phase) const {
  Random random(phase, kUserStream);
  std::vector<uint32_t> users;
  for (size_t i = 0; i < requests; ++i) {
    users.push_back(static_cast<uint32_t>(popularity_.Draw(random)));
  }
  return users;
}

EventBatch Traffic::NextBatch(int64_t now, Random& random) const {
  EventBatch batch;
  batch.events.resize(batch_);
  for (Event& event : batch.events) {
    event.user = static_cast<int64_t>(popularity_.Draw(random));
    // A user behaves towards what was offered.
    const std::span<const int32_t> offered = Candidates(random.Next32());
    event.behaviour.item = offered[random.Below(static_cast<uint32_t>(offered.size()))];
    event.behaviour.time = now;
  }
  return batch;
}

void Traffic::Acknowledge(const EventBatch& batch) {
  for (const Event& event : batch.events) {
    acknowledged_[static_cast<size_t>(std::get<int64_t>(event.user))].store(event.behaviour.time);
  }
}

}  // namespace eta::bench
