// SPDX-License-Identifier: Apache-2.0
// Keys and values of the store as bytes, and the two operations on values: joining them, and
// keeping what the limits allow.
//
// Keys: 'u' 'i' and a number, 'u' 't' and a text for users; 's' and a partition for sources; 'm'
// for the store's own. Numbers are big-endian with the sign flipped, so that byte order is their
// order. A user's value is 12 bytes a behaviour, int32 item and int64 time, little-endian, in
// order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/store/history_store.h"

namespace eta::store {

inline constexpr size_t kBehaviourBytes = 12;
inline constexpr size_t kMaxNameBytes = 255;
inline constexpr char kUserPrefix = 'u';
inline constexpr char kSourcePrefix = 's';
inline constexpr char kOwnKey[] = "m";

// Throw std::invalid_argument where the name is empty or too long.
std::string UserKey(const UserId& user);
std::string SourceKey(const std::string& partition);

// Nothing where the key is no user's.
std::optional<UserId> ParseUserKey(std::string_view key);

// A source's value, 8 bytes.
std::string EncodeOffset(uint64_t offset);
std::optional<uint64_t> ParseOffset(std::string_view value);

void AppendBehaviour(const Behaviour& behaviour, std::string& value);

// Whether `value` is what a user's value looks like: whole behaviours of items from 0, times that
// never decrease.
bool IsHistory(std::string_view value);

// The behaviours of a history, or of a part of it that starts at one.
std::vector<Behaviour> Decode(std::string_view value);

// Sorts behaviours by time; equal times stay in their order.
void SortByTime(std::string& value);

// The end of a history that the limits keep at the time `now`.
std::string_view Keep(std::string_view value, const StoreLimits& limits, int64_t now);

// The histories one after the other, those appended first first, in order of time and within the
// limits. Joining neighbours first gives the same, because a limit keeps an end.
std::string Join(std::span<const std::string_view> values, const StoreLimits& limits, int64_t now);

}  // namespace eta::store
