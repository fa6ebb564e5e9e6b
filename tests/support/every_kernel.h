// SPDX-License-Identifier: Apache-2.0
// A call of every public kernel, for tests of what they have in common: stack and alignment. Each
// is called for small and for large rows where that changes the way it takes.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "simd/activations.h"
#include "simd/asym.h"
#include "simd/attention_all.h"
#include "simd/attention_all_i8.h"
#include "simd/attention_heads.h"
#include "simd/attention_heads_i8.h"
#include "simd/attention_rows.h"
#include "simd/buckets.h"
#include "simd/code_blocks.h"
#include "simd/cross_features.h"
#include "simd/dot.h"
#include "simd/dot_i8.h"
#include "simd/factors.h"
#include "simd/hadamard.h"
#include "simd/hamming.h"
#include "simd/linear.h"
#include "simd/linear_i8.h"
#include "simd/pq4.h"
#include "simd/pq4_encode.h"
#include "simd/rerank.h"
#include "simd/rerank_i8.h"
#include "simd/simhash.h"
#include "tests/support/target_test_util.h"

namespace eta::test {

class EveryKernel {
 public:
  // All arrays start `offset` elements behind an address that is aligned for everything: with 1,
  // bytes and scratch lie at odd addresses and all else is aligned as its type and no better.
  explicit EveryKernel(size_t offset)
      : bytes_(RandomBytes(rng_, kRows * kWide), offset),
        codes_(RandomBytes(rng_, kQueries * kWide), offset),
        tables_(Few<uint8_t>(kQueries * kWide * 32, 64), offset),
        weights_(Few<int8_t>(kFew * kDim, 2), offset),
        floats_(MakeFloats(kFew * kDim, [&] { return 0.1f * BellFloat(rng_); }), offset),
        scales_(MakeFloats(kRows, [&] { return 1 + BellFloat(rng_) * BellFloat(rng_); }), offset),
        ids_(RandomIds(rng_, kFew, kFew), offset),
        ascending_(Ascending(), offset),
        counts_(std::vector<int32_t>(kFew, kFew), offset),
        planes_(Few<uint16_t>(kRows * 8, 64), offset),
        signs_(3 * kDim, offset),
        layer_i8_(simd::PackedLinearI8Bytes(256, 200), offset),
        heads_i8_(kFew * kI8Heads.row_bytes(), offset),
        head_factors_(2 * kFew, offset),
        queries_i8_(kFew * kI8Heads.columns(), offset),
        query_factors_(kFew * kI8Heads.heads, offset),
        all_i8_(simd::ProjectedI8Bytes(kFew, 4, 16), offset),
        out8_(kRows * kWide, offset),
        out_i8_(kDim * 8, offset),
        out16_(kRows, offset),
        out_(kFew * kDim, offset),
        positions_(kQueries * kK, offset),
        scratch_(size_t{1} << 20, offset) {
    simd::PackHadamardSigns(bytes_.data(), 3 * kDim, signs_.data());
    simd::PackLinearI8(Floats(256, 200), layer_i8_.data());
    simd::PackHeadsI8(Floats(kFew, 64), Floats(kFew, 64), kI8Heads,
                      {heads_i8_.data(), head_factors_.data(), kI8Heads.row_bytes()});
    simd::PackHeadQueriesI8(Floats(kFew, 64), kI8Heads,
                            {queries_i8_.data(), query_factors_.data(), kI8Heads.columns()});
    simd::PackProjectedI8(Floats(kFew, 64), Floats(kFew, 64), 4, all_i8_.data());
  }

  // visit(name, call) for every kernel; a call writes to the outputs and nothing else, and is valid
  // until `visit` returns.
  using Visit = std::function<void(const char* name, const std::function<void()>& call)>;
  void ForEach(const Visit& visit) {
    TopK(visit);
    Distances(visit);
    Products(visit);
    Encoders(visit);
    Layouts(visit);
    Models(visit);
  }

  // A hash of all outputs.
  size_t Digest() {
    size_t digest = 0;
    const auto add = [&](auto& buffer) {
      const auto* text = reinterpret_cast<const char*>(buffer.data());
      digest = digest * 31 + std::hash<std::string_view>()({text, buffer.span().size_bytes()});
    };
    add(out8_), add(out_i8_), add(out16_), add(out_), add(positions_), add(signs_);
    return digest;
  }

 private:
  static constexpr size_t kRows = 1024, kWide = 512, kDim = 4096, kQueries = 4, kK = 64, kFew = 64;
  static constexpr simd::I8HeadLayout kI8Heads = {4, 16};

  template <class T>
  std::vector<T> Few(size_t count, size_t bound) {  // of values below `bound`
    std::vector<T> values(count);
    for (T& value : values) value = static_cast<T>(Below(rng_, bound));
    return values;
  }
  static std::vector<int32_t> Ascending() {
    std::vector<int32_t> values(kFew);
    for (size_t i = 0; i < kFew; ++i) values[i] = static_cast<int32_t>(i);
    return values;
  }
  simd::ScratchView Scratch(size_t size) {
    EXPECT_LE(size, scratch_.size());
    return {scratch_.data(), size};
  }
  simd::RowsView<float> Floats(size_t rows, size_t dim) {
    return simd::DenseRows<float>(floats_.data(), rows, dim);
  }
  simd::I8RowsView I8Rows(size_t dim) { return {weights_.data(), scales_.data(), kFew, dim, dim}; }

  void TopK(const Visit& visit) {
    const simd::TopKOptions top{kK, simd::TieOrder::kNewestFirst, simd::ResultOrder::kSorted};
    for (const size_t code_bytes : {size_t{8}, kWide}) {
      // One chunk is narrow, many are wide.
      const size_t n = code_bytes == kWide ? 512 : kRows, bits = (code_bytes - 1) * 8;
      const simd::CodeBlocksView rows{bytes_.data(), n, code_bytes};
      const simd::FactorBlocksView factor_rows{bytes_.data(), n, bits};
      visit("HammingTopK", [&] {
        simd::HammingTopK(rows, {codes_.data(), kQueries, code_bytes}, top,
                          Scratch(simd::HammingTopKScratchBytes(n, code_bytes, kK)),
                          {positions_.data(), out16_.data()});
      });
      visit("AsymTopK", [&] {
        simd::AsymTopK(rows, {weights_.data(), kQueries, kDim}, top,
                       Scratch(simd::AsymTopKScratchBytes(n, code_bytes, kK)),
                       {positions_.data(), out16_.data()});
      });
      visit("Pq4TopK", [&] {
        simd::Pq4TopK(rows, {tables_.data(), kQueries, code_bytes * 32}, top,
                      Scratch(simd::Pq4TopKScratchBytes(n, code_bytes, kK)),
                      {positions_.data(), out16_.data()});
      });
      visit("NormTopK", [&] {
        simd::NormTopK(factor_rows, {codes_.data(), kQueries, code_bytes}, top,
                       Scratch(simd::NormTopKScratchBytes(n, bits, kK)),
                       {positions_.data(), out16_.data()});
      });
      visit("AsymFactorTopK", [&] {
        simd::AsymFactorTopK(factor_rows, {weights_.data(), kQueries, kDim}, top,
                             Scratch(simd::AsymFactorTopKScratchBytes(n, bits, kK)),
                             {positions_.data(), out16_.data()});
      });
    }
    visit("DotI8TopK", [&] {
      simd::DotI8TopK({bytes_.data(), scales_.data(), kRows, 64},
                      {weights_.data(), scales_.data(), kQueries, 64}, top,
                      Scratch(simd::DotI8TopKScratchBytes(kRows, kK)),
                      {positions_.data(), out_.data()});
    });
    visit("DotTopK", [&] {
      simd::DotTopK({floats_.data(), kRows, 64}, {floats_.data(), kQueries, 64}, top,
                    Scratch(simd::DotTopKScratchBytes(kRows, kK)),
                    {positions_.data(), out_.data()});
    });
    visit("RerankTopK", [&] {
      simd::RerankTopK({ascending_.data(), kFew, floats_.data(), kFew, kFew, 1}, top,
                       Scratch(simd::RerankTopKScratchBytes(kFew)),
                       {positions_.data(), out_.data()});
    });
  }

  void Distances(const Visit& visit) {
    const simd::CodeBlocksView few{bytes_.data(), 512, 8}, many{bytes_.data(), 512, kWide};
    visit("HammingDistances", [&] {
      simd::HammingDistances(few, codes_.data(), out8_.data());
      simd::HammingDistances(many, codes_.data(), out16_.data());
    });
    visit("AsymPenalties", [&] {
      simd::AsymPenalties(few, weights_.data(), out8_.data());
      simd::AsymPenalties(many, weights_.data(), out16_.data());
    });
    visit("Pq4Penalties", [&] {
      simd::Pq4Penalties(few, tables_.data(), out8_.data());
      simd::Pq4Penalties(many, tables_.data(), out16_.data());
    });
    for (const size_t bits : {size_t{56}, (kWide - 1) * 8}) {
      const simd::FactorBlocksView rows{bytes_.data(), 512, bits};
      visit("NormDistances", [&] { simd::NormDistances(rows, codes_.data(), out8_.data()); });
      visit("AsymFactorDistances",
            [&] { simd::AsymFactorDistances(rows, weights_.data(), out8_.data()); });
    }
    visit("CountSharedBuckets", [&] {
      simd::CountSharedBuckets({planes_.data(), kRows, 8}, planes_.data(), out16_.data());
    });
  }

  void Products(const Visit& visit) {
    for (const size_t dim : {size_t{64}, kDim}) {
      visit("DotScores", [&] {
        simd::DotScores({floats_.data(), kFew, dim}, {floats_.data(), kQueries, dim}, out_.data(),
                        kFew);
      });
      visit("DotI8Scores", [&] {
        simd::DotI8Scores({bytes_.data(), scales_.data(), kFew, dim},
                          {weights_.data(), scales_.data(), kQueries, dim},
                          Scratch(simd::DotI8ScoresScratchBytes()), out_.data(), kFew);
      });
      visit("DotRows", [&] {
        simd::DotRows(Floats(kFew, dim), {ids_.data(), kFew}, floats_.data(), out_.data());
      });
      visit("DotI8Rows", [&] {
        simd::DotI8Rows(I8Rows(dim), {ids_.data(), kFew}, {weights_.data(), 1.0f}, out_.data());
      });
    }
  }

  void Encoders(const Visit& visit) {
    visit("SimHashEncode", [&] {
      simd::SimHashEncode(Floats(8, 64), {floats_.data(), 64, 4096}, out8_.data(), kWide);
    });
    visit("HadamardEncode", [&] {
      simd::HadamardEncode(Floats(1, kDim), {signs_.data(), kDim}, out8_.data(), kWide);
    });
    visit("Pq4Encode", [&] {
      simd::Pq4Encode(Floats(8, 1024), {floats_.data(), 1024, 1024}, out8_.data(), kWide);
    });
    visit("Pq4Tables", [&] {
      simd::Pq4Tables(Floats(8, 1024), {floats_.data(), 1024, 1024}, out8_.data(), 16 * 1024);
    });
    visit("QuantizeI8",
          [&] { simd::QuantizeI8(Floats(8, kDim), out_i8_.data(), kDim, out_.data()); });
    visit("QuantizeU8", [&] {
      simd::QuantizeU8(Floats(8, kDim), simd::Activation::kNone, {out8_.data(), out_.data(), kDim});
    });
    visit("QuantizeProjections",
          [&] { simd::QuantizeProjections(floats_.data(), kDim, out_i8_.data()); });
    visit("NormFactor", [&] { out_[0] = simd::NormFactor(floats_.data(), kDim); });
    visit("AsymFactor",
          [&] { out_[0] = simd::AsymFactor(floats_.data(), kDim, floats_.data() + kDim, kDim); });
    visit("QuantizeFactor", [&] { out8_[0] = simd::QuantizeFactor(1.0f, 0.5f); });
  }

  void Layouts(const Visit& visit) {
    for (const size_t code_bytes : {size_t{8}, kWide}) {
      const auto rows = simd::DenseRows<uint8_t>(bytes_.data(), kRows, code_bytes);
      visit("PackCodeBlocks", [&] { simd::PackCodeBlocks(rows, out8_.data()); });
      visit("GatherCodeBlocks", [&] {
        simd::GatherCodeBlocks(rows, {ids_.data(), kFew}, out8_.data());
      });
      visit("CopyCodeBlocks", [&] {
        simd::CopyCodeBlocks({bytes_.data(), kRows - 1, code_bytes}, out8_.data());
      });
    }
    for (const size_t dim : {size_t{64}, kDim}) {
      visit("PackFloatBlocks", [&] { simd::PackFloatBlocks(Floats(kFew, dim), out_.data()); });
      visit("GatherFloatBlocks", [&] {
        simd::GatherFloatBlocks(Floats(kFew, dim), {ids_.data(), kFew}, out_.data());
      });
      visit("PackI8Blocks", [&] { simd::PackI8Blocks(I8Rows(dim), out8_.data(), out_.data()); });
      visit("GatherI8Blocks", [&] {
        simd::GatherI8Blocks(I8Rows(dim), {ids_.data(), kFew}, out8_.data(), out_.data());
      });
    }
    visit("PackHyperplanes", [&] { simd::PackHyperplanes(Floats(64, 256), out_.data()); });
    visit("PackHadamardSigns",
          [&] { simd::PackHadamardSigns(bytes_.data(), 3 * kDim, signs_.data()); });
    visit("PackPq4Codebooks",
          [&] { simd::PackPq4Codebooks(Floats(16 * 16, 64), 1024, 16, out_.data()); });
    visit("PackLinear", [&] { simd::PackLinear(Floats(64, 256), out_.data()); });
    visit("PackLinearTransposed",
          [&] { simd::PackLinearTransposed(Floats(64, 256), out_.data()); });
    visit("PackLinearI8", [&] { simd::PackLinearI8(Floats(64, 256), out8_.data()); });
    visit("PackLinearI8Transposed",
          [&] { simd::PackLinearI8Transposed(Floats(64, 256), out8_.data()); });
    visit("PackHeadsI8", [&] {
      simd::PackHeadsI8(Floats(kFew, 64), Floats(kFew, 64), kI8Heads,
                        {out8_.data(), out_.data(), 200});
    });
    visit("PackHeadQueriesI8", [&] {
      simd::PackHeadQueriesI8(Floats(kFew, 64), kI8Heads, {out_i8_.data(), out_.data(), 200});
    });
    visit("PackProjectedI8",
          [&] { simd::PackProjectedI8(Floats(kFew, 64), Floats(kFew, 64), 4, out8_.data()); });
    visit("PackProjectedRows", [&] {
      simd::PackProjectedRows(Floats(kFew, 64), Floats(kFew, 64), 4, out_.data(),
                              out_.data() + kFew * kDim / 2);
    });
  }

  void Models(const Visit& visit) {
    visit("AttendRows", [&] {
      simd::AttendRows({Floats(kFew, 64), ids_.data(), counts_.data(), kFew}, 4,
                       {floats_.data(), 4, 64}, Scratch(simd::AttendRowsScratchBytes(kFew, 64, 4)),
                       {out_.data(), 64});
    });
    visit("AttendHeads", [&] {
      simd::AttendHeads({Floats(kFew, 128), ids_.data(), counts_.data(), kFew}, {4, 16},
                        {floats_.data(), 1, 64}, Scratch(simd::AttendHeadsScratchBytes(kFew)),
                        {out_.data(), 64});
    });
    visit("AttendAll", [&] {
      simd::AttendAll({floats_.data(), floats_.data(), kFew, 4, 16}, {floats_.data(), kQueries, 64},
                      Scratch(simd::AttendAllScratchBytes(kFew)), {out_.data(), 64});
    });
    visit("AttendAllI8", [&] {
      simd::AttendAllI8({all_i8_.data(), kFew, 4, 16}, {floats_.data(), kQueries, 64},
                        Scratch(simd::AttendAllI8ScratchBytes(kFew, 16)), {out_.data(), 64});
    });
    visit("Linear", [&] {
      simd::Linear(Floats(kQueries, 256), {floats_.data(), 200, floats_.data()}, out_.data(), 200);
    });
    visit("CrossFeatures", [&] {
      simd::CrossFeatures(Floats(kFew, 64), ids_.data(), {out_.data(), kQueries, 256, 2},
                          floats_.data(), out_.data() + kQueries * 256);
    });
    visit("CrossFeaturesToU8", [&] {
      simd::CrossFeaturesToU8(Floats(kFew, 64), ids_.data(), {out_.data(), kQueries, 256, 2},
                              floats_.data(), out_.data() + kQueries * 256,
                              {out8_.data(), out_.data() + kQueries * 257, 256});
    });
    const simd::U8RowsView rows{codes_.data(), scales_.data(), kQueries, 256, 256, 128};
    const simd::LinearI8Layer layer{layer_i8_.data(),
                                    200,
                                    floats_.data(),
                                    simd::Activation::kNone,
                                    {weights_.data(), scales_.data(), ids_.data(), 200}};
    visit("LinearI8", [&] {
      simd::LinearI8(rows, layer, Scratch(simd::LinearI8ScratchBytes(256, 200)), out_.data(), 200);
    });
    visit("LinearI8ToU8", [&] {
      simd::LinearI8ToU8(rows, layer, Scratch(simd::LinearI8ScratchBytes(256, 200)),
                         {out8_.data(), out_.data(), 200});
    });
    visit("AttendHeadsI8", [&] {
      simd::AttendHeadsI8({simd::DenseRows<uint8_t>(heads_i8_.data(), kFew, kI8Heads.row_bytes()),
                           head_factors_.data(),
                           {ids_.data(), kFew},
                           ascending_.data(),
                           counts_.data(),
                           kFew},
                          kI8Heads,
                          {simd::DenseRows<int8_t>(queries_i8_.data(), kFew, kI8Heads.columns()),
                           query_factors_.data(), ids_.data(), 1},
                          Scratch(simd::AttendHeadsI8ScratchBytes(kI8Heads, kFew)),
                          {out_.data(), 64});
    });
    const auto activate = [&](const char* name, void (*function)(float*, size_t)) {
      visit(name, [&] {
        std::copy_n(floats_.data(), 1000, out_.data());
        function(out_.data(), 1000);
      });
    };
    activate("Exp", simd::Exp);
    activate("Softmax", simd::Softmax);
    activate("Sigmoid", simd::Sigmoid);
    activate("Tanh", simd::Tanh);
  }

  Rng rng_{1};
  Buffer<uint8_t> bytes_, codes_, tables_;
  Buffer<int8_t> weights_;
  Buffer<float> floats_, scales_;
  Buffer<int32_t> ids_, ascending_, counts_;
  Buffer<uint16_t> planes_;
  Buffer<uint32_t> signs_;
  Buffer<uint8_t> layer_i8_, heads_i8_;
  Buffer<float> head_factors_;
  Buffer<int8_t> queries_i8_;
  Buffer<float> query_factors_;
  Buffer<uint8_t> all_i8_;
  Buffer<uint8_t> out8_;
  Buffer<int8_t> out_i8_;
  Buffer<uint16_t> out16_;
  Buffer<float> out_;
  Buffer<int32_t> positions_;
  Buffer<uint8_t> scratch_;
};

}  // namespace eta::test
