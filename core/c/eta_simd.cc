// SPDX-License-Identifier: Apache-2.0
#include "core/c/eta_simd.h"

#include <algorithm>
#include <cstring>

#include "core/c/internal/handles.h"
#include "core/retrieval/batch.h"
#include "core/retrieval/codes.h"
#include "simd/simhash.h"
#include "simd/target.h"
#include "simd/views.h"

namespace eta::c {
namespace {

void RequireOut(const void* out, const char* name) { Require(out != nullptr, name, " is null"); }

// An array that a caller gave.
template <class T>
std::span<T> Array(T* data, size_t size, const char* name) {
  Require(data != nullptr || size == 0, name, " is null");
  Require(size <= PTRDIFF_MAX / sizeof(T), name, " has ", size, " elements");
  return {data, size};
}

// The same, which must have `wanted` elements.
template <class T>
std::span<T> Array(T* data, size_t size, size_t wanted, const char* name) {
  Require(size == wanted, name, " has ", size, " elements, not ", wanted);
  return Array(data, size, name);
}

// Codes that a caller gave.
CodeTable Table(const uint8_t* codes, size_t bytes, const char* name, size_t items, size_t bits) {
  Require(items <= size_t{1} << 31, "items = ", items, " is more than ids can name");
  Require(bits >= 1 && bits <= kMaxBits, "bits = ", bits, " is not in [1, ", kMaxBits, "]");
  const size_t wanted = eta::simd::SaturatingProduct(items, eta::simd::CodeBytes(bits));
  return CodeTable(Array(codes, bytes, wanted, name), items, bits);
}

RetrievedView Results(size_t candidates, size_t k, int32_t* positions, size_t positions_size,
                      int32_t* counts, size_t counts_size) {
  Require(k >= 1, "k must be at least 1");
  const auto rows =
      Array(positions, positions_size, eta::simd::SaturatingProduct(candidates, k), "positions");
  return {rows, Array(counts, counts_size, candidates, "counts")};
}

// Checks the shape of a batch and gives its requests.
std::vector<Request> Requests(const std::vector<std::shared_ptr<History>>& histories,
                              std::span<const size_t> offsets,
                              std::span<const int32_t> candidates) {
  Require(offsets.front() == 0 && offsets.back() == candidates.size(), "offsets go from ",
          offsets.front(), " to ", offsets.back(), ", not from 0 to ", candidates.size());
  for (size_t r = 0; r < histories.size(); ++r) {
    Require(offsets[r] <= offsets[r + 1], "offsets[", r + 1, "] = ", offsets[r + 1],
            " is less than the one before");
    Require(histories[r]->eta == histories[0]->eta, "history ", r, " is of another code table");
  }
  std::vector<Request> requests;
  for (size_t r = 0; r < histories.size(); ++r) {
    requests.push_back({histories[r]->prepared.get(),
                        candidates.subspan(offsets[r], offsets[r + 1] - offsets[r])});
  }
  return requests;
}

}  // namespace
}  // namespace eta::c

using eta::Require;
namespace c = eta::c;

uint32_t eta_abi_version(void) { return ETA_ABI_VERSION; }

const char* eta_version(void) { return ETA_C_VERSION; }

const char* eta_target(void) { return eta::simd::TargetName(eta::simd::ActiveTarget()); }

const char* eta_last_error(void) { return c::LastError(); }

eta_status eta_hyperplanes_make(const char* kind, size_t dim, size_t bits, uint64_t seed,
                                eta_hyperplanes** out) {
  return c::Guard([&] {
    c::RequireOut(kind, "kind");
    c::RequireOut(out, "out");
    c::Open(std::make_shared<eta::Hyperplanes>(
                eta::Hyperplanes::Make(eta::ParseHyperplaneKind(kind), dim, bits, seed)),
            out);
  });
}

eta_status eta_hyperplanes_from_matrix(const float* matrix, size_t matrix_size, size_t dim,
                                       size_t bits, eta_hyperplanes** out) {
  return c::Guard([&] {
    c::RequireOut(out, "out");
    const auto values =
        c::Array(matrix, matrix_size, eta::simd::SaturatingProduct(dim, bits), "matrix");
    eta::Matrix<float> copy(dim, bits);
    std::ranges::copy(values, copy.values.begin());
    c::Open(std::make_shared<eta::Hyperplanes>(eta::Hyperplanes::FromMatrix(std::move(copy))), out);
  });
}

eta_status eta_hyperplanes_shape(const eta_hyperplanes* hyperplanes, size_t* dim, size_t* bits) {
  return c::Guard([&] {
    c::RequireOut(dim, "dim");
    c::RequireOut(bits, "bits");
    const auto planes = c::Get(hyperplanes);
    *dim = planes->dim();
    *bits = planes->bits();
  });
}

eta_status eta_encode(const eta_hyperplanes* hyperplanes, const float* values, size_t values_size,
                      size_t rows, uint8_t* codes, size_t codes_bytes) {
  return c::Guard([&] {
    const auto planes = c::Get(hyperplanes);
    const auto from =
        c::Array(values, values_size, eta::simd::SaturatingProduct(rows, planes->dim()), "values");
    const auto to = c::Array(codes, codes_bytes,
                             eta::simd::SaturatingProduct(rows, planes->code_bytes()), "codes");
    planes->Encode(from, to);
  });
}

eta_status eta_hyperplanes_close(eta_hyperplanes* hyperplanes) { return c::Close(hyperplanes); }

eta_status eta_code_table_make(const uint8_t* codes, size_t codes_bytes, size_t items, size_t bits,
                               eta_code_table** out) {
  return c::Guard([&] {
    c::RequireOut(out, "out");
    c::Open(std::make_shared<c::GrowingEta>(c::Table(codes, codes_bytes, "codes", items, bits)),
            out);
  });
}

eta_status eta_code_table_make_two_towers(const uint8_t* codes, size_t codes_bytes,
                                          const uint8_t* candidate_codes,
                                          size_t candidate_codes_bytes, size_t items, size_t bits,
                                          eta_code_table** out) {
  return c::Guard([&] {
    c::RequireOut(out, "out");
    c::Open(std::make_shared<c::GrowingEta>(
                c::Table(codes, codes_bytes, "codes", items, bits),
                c::Table(candidate_codes, candidate_codes_bytes, "candidate_codes", items, bits)),
            out);
  });
}

eta_status eta_code_table_shape(const eta_code_table* table, size_t* items, size_t* bits) {
  return c::Guard([&] {
    c::RequireOut(items, "items");
    c::RequireOut(bits, "bits");
    const auto codes = c::Get(table);
    *items = codes->table().size();
    *bits = codes->bits();
  });
}

eta_status eta_code_table_close(eta_code_table* table) { return c::Close(table); }

eta_status eta_history_prepare(const eta_code_table* table, const int32_t* items, size_t count,
                               eta_history** out) {
  return c::Guard([&] {
    c::RequireOut(out, "out");
    auto codes = c::Get(table);
    auto prepared = codes->Prepare(c::Array(items, count, "items"));
    c::Open(std::make_shared<c::History>(c::History{std::move(codes), std::move(prepared)}), out);
  });
}

eta_status eta_history_append(eta_history* history, int32_t item) {
  return c::Guard([&] {
    const auto opened = c::Get(history);
    opened->eta->RequireItem(item);
    dynamic_cast<c::GrowingHistory&>(*opened->prepared)
        .Append(opened->eta->table().row(static_cast<size_t>(item)));
  });
}

eta_status eta_history_length(const eta_history* history, size_t* length) {
  return c::Guard([&] {
    c::RequireOut(length, "length");
    *length = c::Get(history)->prepared->length();
  });
}

eta_status eta_history_close(eta_history* history) { return c::Close(history); }

eta_status eta_retrieve(const eta_history* history, const int32_t* candidates,
                        size_t num_candidates, size_t k, int32_t* positions, size_t positions_size,
                        int32_t* counts, size_t counts_size) {
  return c::Guard([&] {
    const auto opened = c::Get(history);
    const auto wanted = c::Array(candidates, num_candidates, "candidates");
    const auto out = c::Results(num_candidates, k, positions, positions_size, counts, counts_size);
    auto scratch = opened->eta->scratch.Take([&] { return opened->eta->NewScratch(); });
    opened->eta->Retrieve(*opened->prepared, wanted, k, *scratch, out);
    opened->eta->scratch.Give(std::move(scratch));
  });
}

eta_status eta_retrieve_batch(const eta_history* const* histories, size_t requests,
                              const size_t* offsets, const int32_t* candidates,
                              size_t num_candidates, size_t k, int32_t threads, int32_t* positions,
                              size_t positions_size, int32_t* counts, size_t counts_size) {
  return c::Guard([&] {
    c::RequireOut(offsets, "offsets");
    Require(threads >= 1 && threads <= eta::kMaxThreads, "threads = ", threads, " is not in [1, ",
            eta::kMaxThreads, "]");
    std::vector<std::shared_ptr<c::History>> opened;
    for (const eta_history* history : c::Array(histories, requests, "histories")) {
      opened.push_back(c::Get(history));
    }
    const auto out = c::Results(num_candidates, k, positions, positions_size, counts, counts_size);
    const auto batch = c::Requests(opened, c::Array(offsets, requests + 1, "offsets"),
                                   c::Array(candidates, num_candidates, "candidates"));
    if (batch.empty()) return;
    eta::BatchResult result;
    eta::RetrieveBatch(*opened[0]->eta, batch, k, {.threads = threads}, result);
    std::ranges::copy(result.positions, out.positions.begin());
    std::ranges::copy(result.counts, out.counts.begin());
  });
}

eta_status eta_ctr_model_load(const char* folder, eta_ctr_model** out) {
  return eta_ctr_model_load_as(folder, ETA_FLOAT32, out);
}

eta_status eta_ctr_model_load_as(const char* folder, eta_precision precision, eta_ctr_model** out) {
  return c::Guard([&] {
    c::RequireOut(folder, "folder");
    c::RequireOut(out, "out");
    Require(precision == ETA_FLOAT32 || precision == ETA_INT8, "precision = ", precision,
            " is neither ETA_FLOAT32 nor ETA_INT8");
    c::Open(std::make_shared<c::CtrServed>(
                folder, precision == ETA_INT8 ? eta::Precision::kInt8 : eta::Precision::kFloat32),
            out);
  });
}

eta_status eta_ctr_model_shape(const eta_ctr_model* model, size_t* users, size_t* items,
                               size_t* max_history) {
  return c::Guard([&] {
    c::RequireOut(users, "users");
    c::RequireOut(items, "items");
    c::RequireOut(max_history, "max_history");
    const auto opened = c::Get(model);
    *users = opened->model.users();
    *items = opened->model.items();
    *max_history = opened->model.settings.max_history;
  });
}

eta_status eta_ctr_model_close(eta_ctr_model* model) { return c::Close(model); }

eta_status eta_ctr_user_prepare(const eta_ctr_model* model, size_t user, const int32_t* history,
                                size_t count, eta_ctr_user** out) {
  return c::Guard([&] {
    c::RequireOut(out, "out");
    auto opened = c::Get(model);
    const auto items = c::Array(history, count, "history");
    auto scratch = opened->TakeScratch();
    eta::CtrUser prepared = opened->served.NewUser();
    opened->served.Prepare(user, items, *scratch, prepared);
    opened->scratch.Give(std::move(scratch));
    c::Open(std::make_shared<c::CtrUserOf>(c::CtrUserOf{std::move(opened), std::move(prepared)}),
            out);
  });
}

eta_status eta_ctr_user_close(eta_ctr_user* user) { return c::Close(user); }

eta_status eta_ctr_score(const eta_ctr_user* user, const int32_t* candidates, size_t num_candidates,
                         float* logits, size_t logits_size) {
  return c::Guard([&] {
    const auto opened = c::Get(user);
    const auto items = c::Array(candidates, num_candidates, "candidates");
    const auto out = c::Array(logits, logits_size, num_candidates, "logits");
    auto scratch = opened->model->TakeScratch();
    opened->model->served.Score(opened->user, items, *scratch, out);
    opened->model->scratch.Give(std::move(scratch));
  });
}
