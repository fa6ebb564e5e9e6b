// SPDX-License-Identifier: Apache-2.0
// The kernels of simd/ on arrays. Queries are copied while the GIL is held: selection reads them
// more than once and relies on equal values.
#include <pybind11/pybind11.h>

#include <algorithm>
#include <memory>

#include "core/base/aligned.h"
#include "core/base/check.h"
#include "core/data/limits.h"
#include "python/src/arrays.h"
#include "python/src/module.h"
#include "python/src/runtime.h"
#include "simd/code_blocks.h"
#include "simd/dot.h"
#include "simd/dot_i8.h"
#include "simd/hamming.h"

namespace eta::python {
namespace {

// Codes in the layout that is scanned.
struct Codes {
  size_t n;
  size_t code_bytes;
  AlignedVector<uint8_t> blocks;

  simd::CodeBlocksView view() const { return {blocks.data(), n, code_bytes}; }
};

std::shared_ptr<Codes> PackCodes(py::handle codes) {
  const Array<uint8_t> rows(codes, "codes", 2);
  const size_t n = rows.shape(0), bytes = rows.shape(1);
  Require(bytes >= 1 && bytes <= kMaxBits / 8, "codes: ", bytes, " columns, must be 1 to ",
          kMaxBits / 8);
  Require(n <= kMaxCount, "codes: ", n, " rows, must be at most ", kMaxCount);
  const KernelCall call;
  auto packed = std::make_shared<Codes>(
      Codes{n, bytes, AlignedVector<uint8_t>(simd::CodeBlocksBytes(n, bytes))});
  simd::PackCodeBlocks(simd::DenseRows(rows.values(), n, bytes), packed->blocks.data());
  return packed;
}

// Checks that the queries have as many columns as the rows.
void RequireWidth(const char* name, const Buffer& queries, size_t width) {
  Require(queries.shape(1) == width, name, ": ", queries.shape(1), " columns, the rows have ",
          width);
}

// What the four arguments of a search say.
simd::TopKOptions ToOptions(py::handle k, py::handle ties, py::handle is_sorted) {
  simd::TopKOptions options{ToCount(k, "k", 1, kMaxCount)};
  const std::string order = ToText(ties, "ties");
  Require(order == "newest" || order == "oldest", "ties: must be 'newest' or 'oldest', is '", order,
          "'");
  if (order == "oldest") options.ties = simd::TieOrder::kOldestFirst;
  if (py::bool_(py::reinterpret_borrow<py::object>(is_sorted))) {
    options.order = simd::ResultOrder::kSorted;
  }
  return options;
}

// Runs search(options, scratch, result) for n rows, with k cut to n so that nothing is larger than
// the rows are; returns the arrays of positions and values, queries x min(k, n).
template <class Value, class Search>
py::tuple TopK(size_t n, size_t queries, simd::TopKOptions options, size_t scratch_bytes,
               const Search& search) {
  const size_t width = std::min(options.k, n);
  NewArray<int32_t> positions = MakeArray<int32_t>({queries, width});
  NewArray<Value> values = MakeArray<Value>({queries, width});
  if (queries > 0 && n > 0) {
    const KernelCall call;
    options.k = width;
    AlignedVector<uint8_t> scratch(scratch_bytes);
    search(options, simd::ScratchView{scratch.data(), scratch.size()},
           simd::TopKResult<Value>{positions.values, values.values});
  }
  return py::make_tuple(std::move(positions.array), std::move(values.array));
}

py::object HammingDistances(const Codes& rows, py::handle queries) {
  const Array<uint8_t> given(queries, "queries", 2);
  RequireWidth("queries", given, rows.code_bytes);
  const size_t count = given.shape(0);
  NewArray<uint16_t> distances = MakeArray<uint16_t>({count, rows.n});
  const KernelCall call;
  AlignedVector<uint16_t> padded(simd::PaddedRows(rows.n));
  for (size_t q = 0; q < count && rows.n > 0; ++q) {
    simd::HammingDistances(rows.view(), given.values() + q * rows.code_bytes, padded.data());
    std::copy_n(padded.data(), rows.n, distances.values + q * rows.n);
  }
  return std::move(distances.array);
}

py::tuple HammingTopK(const Codes& rows, py::handle queries, py::handle k, py::handle ties,
                      py::handle is_sorted) {
  const Array<uint8_t> given(queries, "queries", 2);
  RequireWidth("queries", given, rows.code_bytes);
  const simd::TopKOptions options = ToOptions(k, ties, is_sorted);
  const std::vector<uint8_t> copy = given.copy();
  const size_t count = given.shape(0);
  const size_t bytes =
      simd::HammingTopKScratchBytes(rows.n, rows.code_bytes, std::min(options.k, rows.n));
  return TopK<uint16_t>(rows.n, count, options, bytes, [&](auto cut, auto scratch, auto result) {
    simd::HammingTopK(rows.view(), {copy.data(), count, rows.code_bytes}, cut, scratch, result);
  });
}

py::tuple DotTopK(py::handle rows, py::handle queries, py::handle k, py::handle ties,
                  py::handle is_sorted) {
  const Array<float> table(rows, "rows", 2);
  const Array<float> given(queries, "queries", 2);
  const size_t n = table.shape(0), dim = table.shape(1), count = given.shape(0);
  Require(dim >= 1 && n <= kMaxCount, "rows: of shape ", n, " x ", dim,
          ", must have a column or more and at most ", kMaxCount, " rows");
  RequireWidth("queries", given, dim);
  const simd::TopKOptions options = ToOptions(k, ties, is_sorted);
  const std::vector<float> copy = given.copy();
  const size_t bytes = simd::DotTopKScratchBytes(n, std::min(options.k, n));
  return TopK<float>(n, count, options, bytes, [&](auto cut, auto scratch, auto result) {
    AlignedVector<float> blocks(simd::FloatBlocksSize(n, dim));
    simd::PackFloatBlocks(simd::DenseRows(table.values(), n, dim), blocks.data());
    simd::DotTopK({blocks.data(), n, dim}, {copy.data(), count, dim}, cut, scratch, result);
  });
}

py::tuple QuantizeI8(py::handle x) {
  const Array<float> rows(x, "x", 2);
  const size_t n = rows.shape(0), dim = rows.shape(1);
  Require(dim >= 1 && dim <= simd::kI8MaxDim, "x: ", dim, " columns, must be 1 to ",
          simd::kI8MaxDim);
  NewArray<int8_t> values = MakeArray<int8_t>({n, dim});
  NewArray<float> scales = MakeArray<float>({n});
  if (n > 0) {
    const KernelCall call;
    simd::QuantizeI8(simd::DenseRows(rows.values(), n, dim), values.values, dim, scales.values);
  }
  return py::make_tuple(std::move(values.array), std::move(scales.array));
}

py::tuple DotI8TopK(py::handle rows, py::handle row_scales, py::handle queries,
                    py::handle query_scales, py::handle k, py::handle ties, py::handle is_sorted) {
  const Array<int8_t> table(rows, "rows", 2);
  const Array<float> of_rows(row_scales, "row_scales", 1);
  const Array<int8_t> given(queries, "queries", 2);
  const Array<float> of_queries(query_scales, "query_scales", 1);
  const size_t n = table.shape(0), dim = table.shape(1), count = given.shape(0);
  Require(dim >= 1 && dim <= simd::kI8MaxDim && n <= kMaxCount, "rows: of shape ", n, " x ", dim,
          ", must have 1 to ", simd::kI8MaxDim, " columns and at most ", kMaxCount, " rows");
  RequireWidth("queries", given, dim);
  Require(of_rows.size() == n, "row_scales: ", of_rows.size(), " for ", n, " rows");
  Require(of_queries.size() == count, "query_scales: ", of_queries.size(), " for ", count,
          " queries");
  const simd::TopKOptions options = ToOptions(k, ties, is_sorted);
  const std::vector<int8_t> copy = given.copy();
  const std::vector<float> scales = of_queries.copy();
  const size_t bytes = simd::DotI8TopKScratchBytes(n, std::min(options.k, n));
  return TopK<float>(n, count, options, bytes, [&](auto cut, auto scratch, auto result) {
    AlignedVector<uint8_t> blocks(simd::I8BlocksBytes(n, dim));
    AlignedVector<float> block_scales(simd::PaddedRows(n));
    simd::PackI8Blocks({table.values(), of_rows.values(), n, dim, dim}, blocks.data(),
                       block_scales.data());
    simd::DotI8TopK({blocks.data(), block_scales.data(), n, dim},
                    {copy.data(), scales.data(), count, dim}, cut, scratch, result);
  });
}

}  // namespace

void BindKernels(py::module_& module) {
  py::class_<Codes, std::shared_ptr<Codes>>(module, "CodeBlocks")
      .def_readonly("n", &Codes::n)
      .def_readonly("code_bytes", &Codes::code_bytes);
  module.def("pack_codes", PackCodes);
  module.def("hamming_distances", HammingDistances);
  module.def("hamming_topk", HammingTopK);
  module.def("dot_topk", DotTopK);
  module.def("quantize_i8", QuantizeI8);
  module.def("dot_i8_topk", DotI8TopK);
}

}  // namespace eta::python
