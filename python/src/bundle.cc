// SPDX-License-Identifier: Apache-2.0
// Bundles as dicts of arrays, by the names of their files without .npy, and texts.
#include "core/data/bundle.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "core/base/check.h"
#include "core/data/generator.h"
#include "python/src/arrays.h"
#include "python/src/module.h"
#include "python/src/runtime.h"

namespace eta::python {
namespace {

constexpr std::pair<const char*, std::string Bundle::*> kTexts[] = {{"name", &Bundle::name},
                                                                    {"source", &Bundle::source},
                                                                    {"licence", &Bundle::licence},
                                                                    {"made_by", &Bundle::made_by}};

constexpr std::pair<const char*, std::optional<Matrix<float>> Bundle::*> kMatrices[] = {
    {"hyperplanes", &Bundle::hyperplanes},
    {"pq_codebooks", &Bundle::pq_codebooks},
    {"pq_rotation", &Bundle::pq_rotation}};

py::object ToArray(const Matrix<float>& matrix) {
  return CopyToArray<float>(matrix.values, {matrix.rows, matrix.cols});
}

template <class T>
py::object ToArray(const std::vector<T>& values) {
  return CopyToArray<T>(values, {values.size()});
}

py::dict ToDict(const Bundle& bundle) {
  py::dict parts;
  parts["item_embeddings"] = ToArray(bundle.items.embeddings);
  if (!bundle.items.categories.empty()) {
    parts["item_categories"] = ToArray(bundle.items.categories);
  }
  parts["history_offsets"] = ToArray(bundle.histories.offsets);
  parts["history_items"] = ToArray(bundle.histories.items);
  if (!bundle.histories.times.empty()) parts["history_times"] = ToArray(bundle.histories.times);
  if (bundle.candidates) {
    parts["candidates_offsets"] = ToArray(bundle.candidates->offsets);
    parts["candidates_items"] = ToArray(bundle.candidates->items);
  }
  if (bundle.items.candidate_embeddings) {
    parts["candidate_embeddings"] = ToArray(*bundle.items.candidate_embeddings);
  }
  for (const auto& [name, member] : kMatrices) {
    if (bundle.*member) parts[name] = ToArray(*(bundle.*member));
  }
  for (const auto& [name, member] : kTexts) parts[name] = bundle.*member;
  return parts;
}

Matrix<float> ToMatrix(py::handle array, const char* name) {
  const Array<float> given(array, name, 2);
  Matrix<float> matrix(given.shape(0), given.shape(1));
  std::ranges::copy(given.span(), matrix.values.begin());
  return matrix;
}

template <class T>
std::vector<T> ToVector(const py::dict& parts, const char* name) {
  const py::object array = parts[name];
  if (array.is_none()) return {};
  return Array<T>(array, name, 1).copy();
}

// All names are in `parts`, None for what the bundle lacks.
Bundle ToBundle(const py::dict& parts) {
  Bundle bundle;
  bundle.items.embeddings = ToMatrix(parts["item_embeddings"], "item_embeddings");
  const py::object queries = parts["candidate_embeddings"];
  if (!queries.is_none()) {
    bundle.items.candidate_embeddings = ToMatrix(queries, "candidate_embeddings");
  }
  bundle.items.categories = ToVector<int32_t>(parts, "item_categories");
  bundle.histories.offsets = ToVector<int64_t>(parts, "history_offsets");
  bundle.histories.items = ToVector<int32_t>(parts, "history_items");
  bundle.histories.times = ToVector<int64_t>(parts, "history_times");
  const bool has_offsets = !parts["candidates_offsets"].is_none();
  Require(has_offsets == !parts["candidates_items"].is_none(),
          "candidates_offsets and candidates_items: one without the other");
  if (has_offsets) {
    bundle.candidates.emplace();
    bundle.candidates->offsets = ToVector<int64_t>(parts, "candidates_offsets");
    bundle.candidates->items = ToVector<int32_t>(parts, "candidates_items");
    Require(!bundle.candidates->offsets.empty(), "candidates_offsets: empty");
  }
  Require(!bundle.histories.offsets.empty(), "history_offsets: empty");
  for (const auto& [name, member] : kMatrices) {
    const py::object array = parts[name];
    if (!array.is_none()) bundle.*member = ToMatrix(array, name);
  }
  for (const auto& [name, member] : kTexts) bundle.*member = ToText(parts[name], name);
  return bundle;
}

py::dict Read(py::handle folder) {
  const std::string path = ToText(folder, "folder");
  Bundle bundle;
  {
    const KernelCall call;
    bundle = ReadBundle(path);
  }
  return ToDict(bundle);
}

void Write(const py::dict& parts, py::handle folder) {
  const std::string path = ToText(folder, "folder");
  const Bundle bundle = ToBundle(parts);
  const KernelCall call;
  WriteBundle(bundle, path);
}

void Check(const py::dict& parts) {
  const Bundle bundle = ToBundle(parts);
  const KernelCall call;
  ValidateBundle(bundle);
}

py::dict Generate(py::handle seed, py::handle users, py::handle items, py::handle dim,
                  py::handle length) {
  GeneratorOptions options;
  options.seed = ToCount(seed, "seed", 0, std::numeric_limits<uint64_t>::max());
  options.users = ToCount(users, "users", 1, kMaxCount);
  options.items = ToCount(items, "items", 1, kMaxCount);
  options.dim = ToCount(dim, "dim", 1, kMaxDim);
  options.categories = std::min(options.categories, options.items);
  options.fixed_length = ToCount(length, "length", 0, kMaxCount);
  Bundle bundle;
  {
    const KernelCall call;
    bundle = GenerateBundle(options);
  }
  return ToDict(bundle);
}

}  // namespace

void BindBundle(py::module_& module) {
  module.def("read_bundle", Read);
  module.def("write_bundle", Write);
  module.def("check_bundle", Check);
  module.def("generate_bundle", Generate);
}

}  // namespace eta::python
