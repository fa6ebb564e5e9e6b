// SPDX-License-Identifier: Apache-2.0
#include "core/retrieval/retriever.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "baselines/methods.h"
#include "core/base/check.h"
#include "core/data/items.h"
#include "core/retrieval/batch.h"
#include "python/src/arrays.h"
#include "python/src/lists.h"
#include "python/src/module.h"
#include "python/src/runtime.h"

namespace eta::python {
namespace {

// A thread takes longer to start than to prepare this many histories.
constexpr size_t kHistoriesPerThread = 16;

// What one call works with.
struct CallScratch {
  std::unique_ptr<Scratch> scratch;
  std::vector<int32_t> history, candidates, counts, positions;
};

// A method with the items that it reads.
struct Method {
  ItemTable items;
  std::unique_ptr<Retriever> retriever;
  size_t threads;  // of a method that threads by itself
  Pool<CallScratch> pool;

  // Throws where this process must not start the threads of a call. A method that threads by itself
  // does so whatever the call asks for.
  void RequireThreads(size_t asked) const {
    python::RequireThreads(retriever->threads_itself() ? std::max(asked, threads) : asked);
  }

  Pool<CallScratch>::Lease Take() {
    return pool.Take([&] {
      auto entry = std::make_unique<CallScratch>();
      entry->scratch = retriever->NewScratch();
      return entry;
    });
  }
};

// A prepared history with the method that made it.
struct History {
  std::shared_ptr<Method> method;
  std::unique_ptr<PreparedHistory> prepared;
};

bool UsesHyperplanes(const std::string& spec) {
  return spec.starts_with("eta") || spec.starts_with("faiss_binary");
}

Matrix<float> Copy(const Array<float>& array) {
  Matrix<float> copy(array.shape(0), array.shape(1));
  std::ranges::copy(array.span(), copy.values.begin());
  return copy;
}

std::shared_ptr<Method> Make(py::handle spec, py::handle embeddings, py::handle hyperplanes,
                             py::handle categories, py::handle kind, py::handle seed,
                             py::handle threads, py::handle candidate_embeddings) {
  const std::string name = ToText(spec, "method");
  const Array<float> table(embeddings, "embeddings", 2);
  Require(table.shape(0) <= kMaxCount && table.shape(1) >= 1 && table.shape(1) <= kMaxDim,
          "embeddings: of shape ", table.shape(0), " x ", table.shape(1), ", must have 1 to ",
          kMaxDim, " columns and at most ", kMaxCount, " rows");
  std::optional<Array<float>> queries;
  if (!candidate_embeddings.is_none()) {
    queries.emplace(candidate_embeddings, "candidate_embeddings", 2);
    Require(queries->shape(0) == table.shape(0) && queries->shape(1) == table.shape(1),
            "candidate_embeddings: of shape ", queries->shape(0), " x ", queries->shape(1),
            ", embeddings of ", table.shape(0), " x ", table.shape(1));
  }
  MethodOptions options{.seed = ToCount(seed, "seed", 0, std::numeric_limits<uint64_t>::max()),
                        .threads = static_cast<int>(ToCount(threads, "threads", 1, kMaxThreads))};
  RequireThreads(static_cast<size_t>(options.threads));
  std::shared_ptr<Hyperplanes> loaded;
  if (!hyperplanes.is_none()) {
    if (!py::isinstance<Hyperplanes>(hyperplanes)) {
      throw py::type_error(
          Cat("hyperplanes: expected Hyperplanes or None, got ", TypeName(hyperplanes)));
    }
    loaded = py::cast<std::shared_ptr<Hyperplanes>>(hyperplanes);
    options.loaded = loaded.get();
  }
  if (!kind.is_none()) {
    const std::string text = ToText(kind, "kind");
    options.hyperplanes = ParseHyperplaneKind(text);
  }
  auto method = std::make_shared<Method>();
  method->threads = static_cast<size_t>(options.threads);
  if (!categories.is_none()) {
    method->items.categories = Array<int32_t>(categories, "categories", 1).copy();
    Require(method->items.categories.size() == table.shape(0),
            "categories: ", method->items.categories.size(), " for ", table.shape(0), " items");
  }
  const KernelCall call;
  method->items.embeddings = Copy(table);
  if (queries) method->items.candidate_embeddings = Copy(*queries);
  method->retriever = MakeMethod(name, method->items, options);
  Require(!loaded || !UsesHyperplanes(name) || loaded->bits() == method->retriever->bits(),
          "hyperplanes: of ", loaded ? loaded->bits() : 0, " bits, the method '", name, "' has ",
          method->retriever->bits());
  return method;
}

std::shared_ptr<History> Prepare(const std::shared_ptr<Method>& method, py::handle history) {
  method->RequireThreads(1);
  const std::vector<int32_t> ids = Array<int32_t>(history, "history", 1).copy();
  auto made = std::make_shared<History>();
  made->method = method;
  const KernelCall call;
  made->prepared = method->retriever->Prepare(ids);
  return made;
}

// Copies an array into `to`, whose memory is reused.
void CopyIds(py::handle array, const char* name, std::vector<int32_t>& to) {
  const Array<int32_t> ids(array, name, 1);
  to.assign(ids.values(), ids.values() + ids.size());
}

// Rows of `width` positions to rows of `k`, the rest of them -1.
void Widen(std::span<const int32_t> from, size_t width, size_t k, int32_t* to) {
  for (size_t row = 0; row * width < from.size(); ++row) {
    std::fill_n(std::copy_n(from.data() + row * width, width, to + row * k), k - width, -1);
  }
}

py::object Retrieve(const std::shared_ptr<Method>& method, py::handle history,
                    py::handle candidates, py::handle k_given) {
  method->RequireThreads(1);
  const auto lease = method->Take();
  CallScratch& scratch = *lease;
  std::shared_ptr<History> prepared;
  if (py::isinstance<History>(history)) {
    prepared = py::cast<std::shared_ptr<History>>(history);
    Require(prepared->method == method, "history: prepared by another Retriever, of the method '",
            prepared->method->retriever->name(), "'");
  } else {
    CopyIds(history, "history", scratch.history);
  }
  CopyIds(candidates, "candidates", scratch.candidates);
  const size_t k = ToCount(k_given, "k", 1, kMaxCount);
  const size_t count = scratch.candidates.size();
  NewArray<int32_t> positions = MakeArray<int32_t>({count, k});
  {
    const KernelCall call;
    std::unique_ptr<PreparedHistory> own;
    if (!prepared) own = method->retriever->Prepare(scratch.history);
    const PreparedHistory& from = prepared ? *prepared->prepared : *own;
    // No method finds more than there is, so that a huge k takes no memory but the result's.
    const size_t width = std::clamp<size_t>(from.length(), 1, k);
    scratch.counts.resize(count);
    std::span<int32_t> out(positions.values, count * k);
    if (width < k) {
      scratch.positions.resize(count * width);
      out = scratch.positions;
    }
    method->retriever->Retrieve(from, scratch.candidates, width, *scratch.scratch,
                                {out, scratch.counts});
    if (width < k) Widen(out, width, k, positions.values);
  }
  return positions.array;
}

// What `python -m eta_simd.overhead` compares a call from Python with: the seconds of the C++ call.
double SecondsOfCall(const std::shared_ptr<Method>& method, const std::shared_ptr<History>& history,
                     py::handle candidates, py::handle k_given) {
  method->RequireThreads(1);
  Require(history->method == method, "history: prepared by another Retriever");
  const auto lease = method->Take();
  const std::vector<int32_t> ids = Array<int32_t>(candidates, "candidates", 1).copy();
  const size_t k = ToCount(k_given, "k", 1, kMaxCount);
  const KernelCall call;
  std::vector<int32_t> positions(ids.size() * k), counts(ids.size());
  const auto start = std::chrono::steady_clock::now();
  method->retriever->Retrieve(*history->prepared, ids, k, *lease->scratch, {positions, counts});
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

std::vector<std::unique_ptr<PreparedHistory>> PrepareAll(const Retriever& retriever,
                                                         const ItemLists& histories,
                                                         size_t threads) {
  std::vector<std::unique_ptr<PreparedHistory>> prepared(histories.users());
  ForPieces(threads, histories.users(), kHistoriesPerThread, [&](size_t begin, size_t end) {
    for (size_t u = begin; u < end; ++u) prepared[u] = retriever.Prepare(histories[u]);
  });
  return prepared;
}

py::object RetrieveBatch(const std::shared_ptr<Method>& method, py::handle history_offsets,
                         py::handle history_items, py::handle candidate_offsets,
                         py::handle candidate_items, py::handle k_given, py::handle threads) {
  const Retriever& retriever = *method->retriever;
  const ItemLists histories =
      ToLists(history_offsets, history_items, method->items.size(), "history");
  const ItemLists candidates =
      ToLists(candidate_offsets, candidate_items, method->items.size(), "candidate");
  Require(histories.users() == candidates.users(), "history_offsets: of ", histories.users(),
          " requests, candidate_offsets of ", candidates.users());
  const size_t k = ToCount(k_given, "k", 1, kMaxCount);
  const size_t most = ToCount(threads, "threads", 1, kMaxThreads);
  method->RequireThreads(most);
  NewArray<int32_t> positions = MakeArray<int32_t>({candidates.items.size(), k});
  const KernelCall call;
  const auto prepared = PrepareAll(retriever, histories, most);
  std::vector<Request> requests(prepared.size());
  size_t longest = 1;
  for (size_t r = 0; r < requests.size(); ++r) {
    requests[r] = {prepared[r].get(), candidates[r]};
    longest = std::max(longest, prepared[r]->length());
  }
  const size_t width = std::min(k, longest);
  BatchResult result;
  eta::RetrieveBatch(retriever, requests, width, {.threads = static_cast<int>(most)}, result);
  Widen(result.positions, width, k, positions.values);
  return std::move(positions.array);
}

}  // namespace

void BindRetriever(py::module_& module) {
  py::class_<History, std::shared_ptr<History>>(module, "PreparedHistory")
      .def("__len__", [](const History& h) { return h.prepared->length(); })
      .def_property_readonly("nbytes", [](const History& h) { return h.prepared->bytes(); })
      .def_property_readonly("user_bytes",
                             [](const History& h) { return h.prepared->user_bytes(); });
  py::class_<Method, std::shared_ptr<Method>>(module, "Retriever")
      .def_static("make", Make)
      .def_property_readonly("name", [](const Method& m) { return m.retriever->name(); })
      .def_property_readonly("target", [](const Method& m) { return m.retriever->target(); })
      .def_property_readonly("bits", [](const Method& m) { return m.retriever->bits(); })
      .def_property_readonly("items", [](const Method& m) { return m.items.size(); })
      .def_property_readonly("dim", [](const Method& m) { return m.items.dim(); })
      .def_property_readonly("table_bytes",
                             [](const Method& m) { return m.retriever->table_bytes(); })
      .def_property_readonly(
          "shared_bytes",
          [](const Method& m) { return m.retriever->shared_bytes(m.items.embedding_bytes()); })
      .def("prepare", Prepare)
      .def("retrieve", Retrieve)
      .def("seconds_of_call", SecondsOfCall)
      .def("retrieve_batch", RetrieveBatch);
}

}  // namespace eta::python
