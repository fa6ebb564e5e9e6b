// SPDX-License-Identifier: Apache-2.0
// Takes what a fuzzer needs out of its input: sizes, choices, arrays of values, SIMD targets. Every
// input is valid: where it ends, zeros follow. Tests (the g++ build) read the corpus with it too,
// which is why clang's FuzzedDataProvider will not do.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "simd/target.h"
#include "simd/views.h"
#include "tests/support/target_test_util.h"

namespace eta::fuzz {

// True in tests, which run each input on every SIMD target; a fuzzer runs it on one of them.
extern const bool kRunEveryTarget;

class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(data, size) {}

  size_t left() const { return rest_.size(); }  // bytes

  uint8_t Byte() { return Value<uint8_t>(); }

  // The next sizeof(T) bytes as a value of any bits.
  template <class T>
  T Value() {
    T value{};
    const size_t bytes = std::min(sizeof(T), rest_.size());
    if (bytes > 0) std::memcpy(&value, rest_.data(), bytes);
    rest_ = rest_.subspan(bytes);
    return value;
  }

  bool Flag() { return (Byte() & 1) != 0; }

  // A number from low to high; low at the end of the input.
  size_t Between(size_t low, size_t high) {
    const size_t count = high - low + 1;
    return low + (count <= 256 ? Byte() : Value<uint32_t>()) % count;
  }

  // A size from low to high: small ones and those about multiples of 64 are frequent.
  size_t Size(size_t low, size_t high) {
    const uint8_t choice = Byte();
    size_t size = choice % 32;
    if (choice >= 192) {
      size = Value<uint16_t>();
    } else if (choice >= 96) {
      size = (1 + choice % 8) * 64 + choice / 8 % 4 - 2;
    }
    return low + size % (high - low + 1);
  }

  template <class T>
  T OneOf(std::initializer_list<T> values) {
    return values.begin()[Between(0, values.size() - 1)];
  }

  // The next `count` bytes, fewer at the end of the input.
  std::span<const uint8_t> Bytes(size_t count) {
    const auto bytes = rest_.first(std::min(count, rest_.size()));
    rest_ = rest_.subspan(bytes.size());
    return bytes;
  }
  std::string Text(size_t count) {
    const auto bytes = Bytes(count);
    return {bytes.begin(), bytes.end()};
  }

  test::Rng Random() { return test::Rng(Value<uint32_t>()); }

  // `count` values of any bits: one value, a pattern out of the input, few values, or noise; then
  // some values of the input's own at places of its own.
  template <class T>
  std::vector<T> Any(size_t count) {
    std::vector<T> values(count, Value<T>());
    switch (Between(0, 3)) {
      case 0:
        break;
      case 1:
        Tile<T>(values);
        break;
      case 2: {
        const T others[] = {values.empty() ? T() : values[0], Value<T>(), Value<T>()};
        test::Rng rng = Random();
        for (T& value : values) value = others[test::Below(rng, 3)];
        break;
      }
      default: {
        test::Rng rng = Random();
        for (T& value : values) value = std::bit_cast<T>(LowBytes<T>(rng()));
      }
    }
    for (size_t edits = count == 0 ? 0 : Between(0, 3); edits > 0; --edits) {
      const size_t at = Between(0, count - 1);
      values[at] = Value<T>();
    }
    return values;
  }

  // `count` floats of any kind, NaN and infinities among them.
  std::vector<float> Floats(size_t count) {
    switch (Between(0, 4)) {
      case 0:
        return Any<float>(count);
      case 1:  // full significands
        return Made(count, test::BellFloat);
      case 2:  // exact sums, many ties
        return Made(count, [](test::Rng& rng) { return test::SmallInteger(rng, 2); });
      case 3:
        return Made(count, test::AnyFloat);
      default:  // at the edge of the denormals
        return Made(count, [](test::Rng& rng) { return std::ldexp(test::BellFloat(rng), -140); });
    }
  }

  // The same, all finite and of a magnitude of at most `most`.
  std::vector<float> BoundedFloats(size_t count, float most) {
    std::vector<float> values = Floats(count);
    for (float& value : values) {
      if (std::isnan(value)) value = 0;
      value = std::clamp(value, -most, most);
    }
    return values;
  }

  // Rows of a table of `rows` rows; they may repeat.
  std::vector<int32_t> Ids(size_t count, size_t rows) {
    std::vector<int32_t> ids;
    for (const uint16_t any : Any<uint16_t>(count)) ids.push_back(static_cast<int32_t>(any % rows));
    return ids;
  }

  simd::TopKOptions TopK(size_t n) {
    return {.k = Flag() ? Between(1, n + 2) : Size(1, 300),
            .ties = OneOf({simd::TieOrder::kNewestFirst, simd::TieOrder::kOldestFirst}),
            .order = OneOf({simd::ResultOrder::kAny, simd::ResultOrder::kSorted})};
  }

 private:
  template <class T>
  void Tile(std::span<T> values) {
    std::vector<T> tile(Between(1, 16));
    for (T& value : tile) value = Value<T>();
    for (size_t i = 0; i < values.size(); ++i) values[i] = tile[i % tile.size()];
  }

  template <class T>
  static auto LowBytes(uint64_t word) {
    if constexpr (sizeof(T) == 1) return static_cast<uint8_t>(word);
    if constexpr (sizeof(T) == 2) return static_cast<uint16_t>(word);
    if constexpr (sizeof(T) == 4) return static_cast<uint32_t>(word);
    if constexpr (sizeof(T) == 8) return word;
  }

  template <class Make>
  std::vector<float> Made(size_t count, Make make) {
    test::Rng rng = Random();
    return test::MakeFloats(count, [&] { return make(rng); });
  }

  std::span<const uint8_t> rest_;
};

// Calls run() with the SIMD target forced that the input chooses; in tests with each in turn.
template <class Run>
void OnTargets(Input& in, Run run) {
  static const std::vector<int64_t> targets = test::SupportedTargetList();
  const size_t choice = in.Between(0, targets.size() - 1);
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!kRunEveryTarget && i != choice) continue;
    const char* name = simd::TargetName(targets[i]);
    SCOPED_TRACE(name);
    ASSERT_TRUE(simd::ForceTargetForTest(name));
    run();
  }
}

}  // namespace eta::fuzz
