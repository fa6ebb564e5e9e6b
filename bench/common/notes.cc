// SPDX-License-Identifier: Apache-2.0
#include "bench/common/notes.h"

#include <algorithm>
#include <cmath>
#include <iostream>

#include "core/base/check.h"
#include "simd/target.h"

namespace eta::bench {
namespace {

constexpr double kManyEmpty = 0.5;  // share of users; a data set in use is far below it
constexpr size_t kShownRows = 5;

void NoteEmptyHistories(const Histories& histories, Notes& notes) {
  size_t empty = 0;
  for (size_t user = 0; user < histories.users(); ++user) empty += histories[user].empty() ? 1 : 0;
  const auto users = static_cast<double>(histories.users());
  if (empty == 0 || static_cast<double>(empty) < kManyEmpty * users) return;
  notes.push_back(Cat(empty, " of ", histories.users(), " users (",
                      std::floor(100 * static_cast<double>(empty) / users), " %) have no history"));
}

void NoteValues(const Matrix<float>& embeddings, const char* what, Notes& notes) {
  size_t count = 0;
  std::string rows;
  for (size_t r = 0; r < embeddings.rows; ++r) {
    const float* row = embeddings.row(r);
    if (std::all_of(row, row + embeddings.cols, [](float x) { return std::isfinite(x); })) continue;
    if (++count <= kShownRows) rows += Cat(rows.empty() ? "" : ", ", r);
  }
  if (count == 0) return;
  notes.push_back(Cat(
      count, " of ", embeddings.rows, " ", what, " embeddings hold NaN or infinity (rows ", rows,
      count > kShownRows ? ", ..." : "", "): their scores and what is made of them mean nothing"));
}

}  // namespace

void PrintNotes(const Notes& notes) {
  for (const std::string& note : notes) std::cerr << "note: " << note << std::endl;
}

Notes TargetNotes() {
  const int64_t target = simd::ActiveTarget(), supported = simd::SupportedTargets();
  const std::string name = simd::TargetName(target);
  const bool is_best = target == (supported & -supported);  // better targets are lower bits
  // Times: kernel_bench on a Zen 4, 2026-11-26.
  if (name == "EMU128" || name == "SCALAR") {
    return {Cat("the SIMD target ", name,
                " has no vector instructions: scans of codes take 30 times as long as with SSSE3, "
                "up to 200 times as long as with AVX-512, and floats are slow likewise",
                is_best ? ". This CPU shows nothing better: a hypervisor may hide it" : "")};
  }
  if (simd::ActiveCapabilities().fma) return {};
  const char* hidden = "";
  if (is_best && name == "SSSE3") hidden = ". SSE4 needs AES and PCLMUL, AVX2 needs FMA and BMI2";
  if (is_best && name == "SSE4") hidden = ". AVX2 needs FMA and BMI2";
  return {
      Cat("the SIMD target ", name,
          " has no fused multiply-add and emulates it: floats (exact, reranking, encoding) take "
          "about 25 times as long as with AVX-512, scans of codes 4 to 7 times, so codes look "
          "better beside floats than they are",
          hidden, *hidden == 0 ? "" : ": a hypervisor may hide them")};
}

Notes MachineNotes(const Environment& environment, int threads) {
  Notes notes;
  if (threads > environment.usable_cpus) {
    notes.push_back(Cat(threads, " threads share ", environment.usable_cpus,
                        " CPUs: latencies include waiting"));
  }
  if (environment.cpu_quota && threads > *environment.cpu_quota) {
    notes.push_back(Cat(threads, threads == 1 ? " thread has" : " threads share", " the time of ",
                        *environment.cpu_quota,
                        " CPUs, the quota of the control group: latencies include waiting"));
  }
  if (environment.load_average > environment.usable_cpus) {
    notes.push_back(Cat("load average ", environment.load_average, " on ", environment.usable_cpus,
                        " CPUs: other programs disturb the timings"));
  }
  return notes;
}

Notes DataNotes(const Bundle& bundle) {
  Notes notes;
  NoteEmptyHistories(bundle.histories, notes);
  NoteValues(bundle.items.embeddings, "item", notes);
  if (bundle.items.candidate_embeddings) {
    NoteValues(*bundle.items.candidate_embeddings, "candidate", notes);
  }
  return notes;
}

}  // namespace eta::bench
