// SPDX-License-Identifier: Apache-2.0
#include "core/store/internal/encoding.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "core/base/check.h"

namespace eta::store {
namespace {

static_assert(std::endian::native == std::endian::little, "values are stored as memory holds them");

constexpr char kNumber = 'i';
constexpr char kText = 't';
constexpr uint64_t kSign = uint64_t{1} << 63;

template <class T>
T Load(const char* from) {
  T value;
  std::memcpy(&value, from, sizeof(value));
  return value;
}

template <class T>
void Store(T value, std::string& to) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(value));
  to.append(bytes, sizeof(value));
}

int32_t ItemAt(std::string_view value, size_t i) {
  return Load<int32_t>(value.data() + i * kBehaviourBytes);
}

int64_t TimeAt(std::string_view value, size_t i) {
  return Load<int64_t>(value.data() + i * kBehaviourBytes + sizeof(int32_t));
}

bool IsSorted(std::string_view value) {
  for (size_t i = 1; i < value.size() / kBehaviourBytes; ++i) {
    if (TimeAt(value, i) < TimeAt(value, i - 1)) return false;
  }
  return true;
}

void CheckName(const std::string& name, const char* what) {
  Require(!name.empty() && name.size() <= kMaxNameBytes, what, " has ", name.size(),
          " bytes (expected 1 to ", kMaxNameBytes, ")");
}

}  // namespace

std::string UserKey(const UserId& user) {
  std::string key{kUserPrefix};
  if (const int64_t* number = std::get_if<int64_t>(&user)) {
    key += kNumber;
    const uint64_t ordered = static_cast<uint64_t>(*number) ^ kSign;
    for (int shift = 56; shift >= 0; shift -= 8) key += static_cast<char>(ordered >> shift & 0xff);
    return key;
  }
  const std::string& text = std::get<std::string>(user);
  CheckName(text, "the name of a user");
  key += kText;
  return key + text;
}

std::string SourceKey(const std::string& partition) {
  CheckName(partition, "the name of a partition");
  return kSourcePrefix + partition;
}

std::optional<UserId> ParseUserKey(std::string_view key) {
  if (key.size() < 3 || key[0] != kUserPrefix) return std::nullopt;
  const std::string_view name = key.substr(2);
  if (key[1] == kText && name.size() <= kMaxNameBytes) return UserId(std::string(name));
  if (key[1] != kNumber || name.size() != sizeof(uint64_t)) return std::nullopt;
  uint64_t ordered = 0;
  for (const char byte : name) ordered = ordered << 8 | static_cast<unsigned char>(byte);
  return UserId(static_cast<int64_t>(ordered ^ kSign));
}

std::string EncodeOffset(uint64_t offset) {
  std::string value;
  Store(offset, value);
  return value;
}

std::optional<uint64_t> ParseOffset(std::string_view value) {
  if (value.size() != sizeof(uint64_t)) return std::nullopt;
  return Load<uint64_t>(value.data());
}

void AppendBehaviour(const Behaviour& behaviour, std::string& value) {
  Store(behaviour.item, value);
  Store(behaviour.time, value);
}

bool IsHistory(std::string_view value) {
  if (value.size() % kBehaviourBytes != 0) return false;
  for (size_t i = 0; i < value.size() / kBehaviourBytes; ++i) {
    if (ItemAt(value, i) < 0) return false;
  }
  return IsSorted(value);
}

std::vector<Behaviour> Decode(std::string_view value) {
  std::vector<Behaviour> behaviours(value.size() / kBehaviourBytes);
  for (size_t i = 0; i < behaviours.size(); ++i) {
    behaviours[i] = {.item = ItemAt(value, i), .time = TimeAt(value, i)};
  }
  return behaviours;
}

void SortByTime(std::string& value) {
  if (IsSorted(value)) return;
  std::vector<Behaviour> behaviours = Decode(value);
  std::ranges::stable_sort(behaviours, {}, &Behaviour::time);
  value.clear();
  for (const Behaviour& behaviour : behaviours) AppendBehaviour(behaviour, value);
}

std::string_view Keep(std::string_view value, const StoreLimits& limits, int64_t now) {
  const size_t count = value.size() / kBehaviourBytes;
  size_t first = 0;
  if (limits.max_behaviours != 0 && count > limits.max_behaviours) {
    first = count - static_cast<size_t>(limits.max_behaviours);
  }
  constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
  if (limits.max_age_seconds != 0) {
    const uint64_t since_min = static_cast<uint64_t>(now) - static_cast<uint64_t>(kMin);
    // The oldest time that is kept; times begin at kMin.
    // Without a sign, because an age from 2^63 on is no int64_t.
    const int64_t oldest =
        limits.max_age_seconds > since_min
            ? kMin
            : static_cast<int64_t>(static_cast<uint64_t>(now) - limits.max_age_seconds);
    while (first < count && TimeAt(value, first) < oldest) ++first;
  }
  return value.substr(first * kBehaviourBytes);
}

std::string Join(std::span<const std::string_view> values, const StoreLimits& limits, int64_t now) {
  std::string joined;
  for (const std::string_view value : values) joined += value;
  SortByTime(joined);
  joined.erase(0, joined.size() - Keep(joined, limits, now).size());
  return joined;
}

}  // namespace eta::store
