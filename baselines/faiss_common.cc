// SPDX-License-Identifier: Apache-2.0
#include "baselines/faiss_common.h"

#include <dlfcn.h>
#include <faiss/utils/utils.h>
#include <omp.h>

#include <algorithm>
#include <limits>
#include <mutex>
#include <string>

#include "baselines/methods.h"
#include "core/base/check.h"

#if __has_include(<faiss/utils/simd_levels.h>)
#include <faiss/utils/simd_levels.h>
#define ETA_FAISS_HAS_SIMD_CONFIG 1
#endif

namespace eta {
namespace {

// Found at run time because FAISS may have been linked with any BLAS. Null with other ones; the
// common ones (MKL, OpenBLAS built for OpenMP) follow OpenMP's setting.
struct OpenBlas {
  int (*get_num_threads)() = nullptr;
  void (*set_num_threads)(int) = nullptr;
};

OpenBlas FindOpenBlas() {
  return {.get_num_threads =
              reinterpret_cast<int (*)()>(dlsym(RTLD_DEFAULT, "openblas_get_num_threads")),
          .set_num_threads =
              reinterpret_cast<void (*)(int)>(dlsym(RTLD_DEFAULT, "openblas_set_num_threads"))};
}

void SetBlasThreads(int threads) {
  static const OpenBlas blas = FindOpenBlas();
  static std::mutex mutex;
  if (blas.get_num_threads == nullptr || blas.set_num_threads == nullptr) return;
  const std::lock_guard lock(mutex);
  // Threads that agree must not write, because OpenBLAS reads its setting without a lock.
  if (blas.get_num_threads() != threads) blas.set_num_threads(threads);
}

std::string TrimmedCompileOptions() {
  std::string options = faiss::get_compile_options();
  while (!options.empty() && options.back() == ' ') options.pop_back();
#ifdef ETA_FAISS_HAS_SIMD_CONFIG
  // A build with dynamic dispatch ("DD") lists all levels that it has; say which one runs here.
  if (options.find("DD") != std::string::npos) {
    options += ", running " + faiss::SIMDConfig::get_level_name();
  }
#endif
  return options;
}

}  // namespace

std::string FaissBuild() {
  return Cat(FAISS_VERSION_MAJOR, ".", FAISS_VERSION_MINOR, ".", FAISS_VERSION_PATCH, " (",
             TrimmedCompileOptions(), ")");
}

FaissThreadGuard::FaissThreadGuard(FaissThreads threads) : openmp_before_(omp_get_max_threads()) {
  if (omp_in_parallel() != 0) threads = {.openmp = 1, .blas = 1};
  omp_set_num_threads(threads.openmp);
  SetBlasThreads(threads.blas);
}

FaissThreadGuard::~FaissThreadGuard() { omp_set_num_threads(openmp_before_); }

void GatherRows(const Matrix<float>& table, std::span<const int32_t> ids,
                std::vector<float>& rows) {
  rows.resize(ids.size() * table.cols);
  float* out = rows.data();
  for (const int32_t id : ids) {
    out = std::copy_n(table.row(static_cast<size_t>(id)), table.cols, out);
  }
}

void SearchEmbeddings(const FaissHistory& history, const Matrix<float>& table,
                      std::span<const int32_t> candidates, size_t k, FaissThreads threads,
                      const faiss::SearchParameters* parameters, FaissScratch& scratch,
                      RetrievedView out) {
  const faiss::Index& index = history.index();
  Require(static_cast<size_t>(index.d) == table.cols, "the history was prepared for dimension ",
          index.d, ", the items have ", table.cols);
  const size_t labels_per_candidate = std::min(k, history.length());
  GatherRows(table, candidates, scratch.queries);
  scratch.scores.resize(candidates.size() * labels_per_candidate);
  scratch.labels.resize(candidates.size() * labels_per_candidate);
  {
    const FaissThreadGuard guard(threads);
    index.search(static_cast<FaissId>(candidates.size()), scratch.queries.data(),
                 static_cast<FaissId>(labels_per_candidate), scratch.scores.data(),
                 scratch.labels.data(), parameters);
  }
  WriteLabels(scratch.labels, labels_per_candidate, history.length(), LabelOrder::kOldestFirst, k,
              out);
}

int FaissSeed(uint64_t seed) { return static_cast<int>((seed ^ (seed >> 32)) & 0x7fffffff); }

void RequireFiniteProducts(const Matrix<float>& embeddings, const std::string& name) {
  for (size_t r = 0; r < embeddings.rows; ++r) {
    double squared_norm = 0;
    for (size_t d = 0; d < embeddings.cols; ++d) {
      const double x = embeddings.row(r)[d];
      squared_norm += x * x;
    }
    Require(squared_norm <= std::numeric_limits<float>::max(), name, ": the embedding of item ", r,
            " is not finite or too long (squared norm ", squared_norm, ")");
  }
}

void RequireFiniteProducts(const ItemTable& items, const std::string& name) {
  ValidateItemTable(items);  // else rows might be read that are not there
  RequireFiniteProducts(items.embeddings, name);
  if (items.candidate_embeddings) RequireFiniteProducts(*items.candidate_embeddings, name);
}

void WriteLabels(std::span<const FaissId> labels, size_t labels_per_candidate, size_t length,
                 LabelOrder order, size_t k, RetrievedView out) {
  for (size_t b = 0; b < out.counts.size(); ++b) {
    int32_t* row = out.positions.data() + b * k;
    int32_t count = 0;
    for (const FaissId label : labels.subspan(b * labels_per_candidate, labels_per_candidate)) {
      if (label < 0) continue;
      const FaissId newest = static_cast<FaissId>(length) - 1;
      row[count++] =
          static_cast<int32_t>(order == LabelOrder::kNewestFirst ? newest - label : label);
    }
    out.counts[b] = count;
  }
}

}  // namespace eta
