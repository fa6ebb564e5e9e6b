// SPDX-License-Identifier: Apache-2.0
// What the kernel tests share: a run over every SIMD target, guarded buffers, seeded data and
// comparisons that name the first mismatch.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "simd/target.h"

namespace eta::test {

inline std::vector<int64_t> SupportedTargetList() {
  std::vector<int64_t> targets;
  const auto supported = static_cast<uint64_t>(simd::SupportedTargets());
  for (uint64_t rest = supported; rest != 0; rest &= rest - 1) {
    targets.push_back(static_cast<int64_t>(rest & (~rest + 1)));
  }
  return targets;
}

// Runs a suite once for every supported target, with that target forced. TearDown asserts that it
// is still forced: a test that lost it would have checked another kernel than it names.
class TargetTest : public ::testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(simd::ForceTargetForTest(simd::TargetName(GetParam())));
    ASSERT_EQ(simd::ActiveTarget(), GetParam()) << simd::TargetName(GetParam());
  }
  void TearDown() override {
    EXPECT_EQ(simd::ActiveTarget(), GetParam()) << simd::TargetName(GetParam());
    EXPECT_TRUE(simd::ForceTargetForTest(nullptr));
  }
};

inline std::string TargetParamName(const ::testing::TestParamInfo<int64_t>& info) {
  return simd::TargetName(info.param);
}

#define ETA_FOR_EVERY_TARGET(suite)                                                 \
  INSTANTIATE_TEST_SUITE_P(Targets, suite,                                          \
                           ::testing::ValuesIn(::eta::test::SupportedTargetList()), \
                           ::eta::test::TargetParamName)

// A heap array of `offset` + size + `tail` elements whose middle is handed out. Without a tail the
// array ends where the data end, so that AddressSanitizer sees an access one byte past them; with
// one, canaries there show a stray write in every build. The canaries are checked on destruction.
template <class T>
class Buffer {
 public:
  explicit Buffer(size_t size, size_t offset = 0, size_t tail = 0)
      : size_(size), offset_(offset), tail_(tail), array_(new T[offset + size + tail]) {
    std::memset(static_cast<void*>(array_.get()), kCanary, (offset + size + tail) * sizeof(T));
  }
  explicit Buffer(std::span<const T> data, size_t offset = 0, size_t tail = 0)
      : Buffer(data.size(), offset, tail) {
    std::ranges::copy(data, this->data());
  }
  Buffer(Buffer&&) = default;
  ~Buffer() {
    if (array_ == nullptr) return;
    EXPECT_TRUE(OnlyCanaries(array_.get(), offset_)) << "written before the start of a buffer";
    EXPECT_TRUE(OnlyCanaries(data() + size_, tail_)) << "written past the end of a buffer";
  }

  T* data() { return array_.get() + offset_; }
  const T* data() const { return array_.get() + offset_; }
  size_t size() const { return size_; }
  T& operator[](size_t i) { return data()[i]; }
  std::span<T> span() { return {data(), size_}; }

  // True when elements [begin, end) are as the constructor left them.
  bool Untouched(size_t begin, size_t end) { return OnlyCanaries(data() + begin, end - begin); }

 private:
  static constexpr uint8_t kCanary = 0xC5;

  static bool OnlyCanaries(const T* first, size_t count) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(first);
    return std::all_of(bytes, bytes + count * sizeof(T), [](uint8_t b) { return b == kCanary; });
  }

  size_t size_;
  size_t offset_;
  size_t tail_;
  std::unique_ptr<T[]> array_;
};

// Scratch memory of exactly `bytes` bytes, filled with one of several values by turns: kernels must
// not count on what they find there.
inline Buffer<uint8_t> MakeScratch(size_t bytes, size_t offset, uint64_t turn) {
  constexpr uint8_t kFills[] = {0xA5, 0x00, 0xFF, 0x01, 0x80};
  Buffer<uint8_t> scratch(bytes, offset, turn % 2 * 64);
  std::memset(scratch.data(), kFills[turn % std::size(kFills)], bytes);
  return scratch;
}

// Raw output of this engine is the same on every platform; std distributions are not, so none is
// used.
using Rng = std::mt19937_64;

inline size_t Below(Rng& rng, size_t bound) { return static_cast<size_t>(rng() % bound); }

inline std::vector<uint8_t> RandomBytes(Rng& rng, size_t count) {
  std::vector<uint8_t> bytes(count);
  uint64_t word = 0;
  for (size_t i = 0; i < count; ++i) {
    word = i % 8 == 0 ? rng() : word >> 8;
    bytes[i] = static_cast<uint8_t>(word);
  }
  return bytes;
}

// Ids of a table of `items` rows; they may repeat.
inline std::vector<int32_t> RandomIds(Rng& rng, size_t count, size_t items) {
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = static_cast<int32_t>(Below(rng, items));
  return ids;
}

template <class T>
void Shuffle(Rng& rng, std::vector<T>& values) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[Below(rng, i)]);
}

// An integer in [-limit, limit]; sums of products of a few hundred of these are exact.
inline float SmallInteger(Rng& rng, int limit) {
  return static_cast<float>(static_cast<int>(Below(rng, 2 * static_cast<size_t>(limit) + 1)) -
                            limit);
}

// Full 24-bit significands about 0, standard deviation about 1.
inline float BellFloat(Rng& rng) {
  double sum = 0;
  for (int i = 0; i < 4; ++i) sum += std::ldexp(static_cast<double>(rng() >> 11), -53) - 0.5;
  return static_cast<float>(sum * 1.7320508);
}

// Any float at all: NaN, infinities, zeros of both signs and denormals are common among them.
inline float AnyFloat(Rng& rng) {
  const auto bits = static_cast<uint32_t>(rng() >> 32);
  switch (Below(rng, 8)) {
    case 0:
      return std::bit_cast<float>(bits & 0x80000000u);  // a zero
    case 1:
      return std::bit_cast<float>(bits & 0x807FFFFFu);  // a denormal
    case 2:
      return std::bit_cast<float>((bits & 0x80000000u) | 0x7F800000u);  // an infinity
    default:
      return std::bit_cast<float>(bits);
  }
}

// rows x dim floats that are hard to sum: rows of full significands with one value of any kind
// among them (more, and nearly every sum would be NaN), rows of finite values of any magnitude, and
// rows at the edge of the denormals.
inline std::vector<float> HardRows(Rng& rng, size_t rows, size_t dim) {
  std::vector<float> values;
  for (size_t r = 0; r < rows; ++r) {
    const size_t kind = Below(rng, 3);
    const size_t special = Below(rng, dim);
    for (size_t d = 0; d < dim; ++d) {
      float value = kind == 2 ? std::ldexp(BellFloat(rng), -140) : BellFloat(rng);
      if (kind == 0 && d == special) value = AnyFloat(rng);
      while (kind == 1 && !std::isfinite(value = AnyFloat(rng))) {
      }
      values.push_back(value);
    }
  }
  return values;
}

template <class Make>
std::vector<float> MakeFloats(size_t count, Make make) {
  std::vector<float> values(count);
  for (float& value : values) value = make();
  return values;
}

// Equal bits, or two NaNs of whatever payload: the payload of a result is not part of a contract.
template <class T>
bool Same(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  }
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// Success when both hold the same values; else a text that names the first index where they differ.
template <class T>
::testing::AssertionResult SameValues(std::span<const T> actual, std::span<const T> expected) {
  if (actual.size() != expected.size()) {
    return ::testing::AssertionFailure()
           << actual.size() << " values where " << expected.size() << " are expected";
  }
  for (size_t i = 0; i < actual.size(); ++i) {
    if (Same(actual[i], expected[i])) continue;
    return ::testing::AssertionFailure() << "first mismatch at " << i << " of " << actual.size()
                                         << ": " << +actual[i] << ", expected " << +expected[i];
  }
  return ::testing::AssertionSuccess();
}

// `rows` rows of `width` elements, `stride` apart, with `gap` between them and nothing behind the
// last, so that a kernel that reads a whole last stride is seen by AddressSanitizer.
template <class T>
std::vector<T> WithStride(std::span<const T> dense, size_t width, size_t stride, T gap) {
  const size_t rows = width == 0 ? 0 : dense.size() / width;
  std::vector<T> strided(rows == 0 ? 0 : (rows - 1) * stride + width, gap);
  for (size_t r = 0; r < rows; ++r) {
    std::copy_n(dense.begin() + r * width, width, strided.begin() + r * stride);
  }
  return strided;
}

}  // namespace eta::test
