// SPDX-License-Identifier: Apache-2.0
#include "core/c/internal/handles.h"

#include <algorithm>
#include <deque>

#include "core/retrieval/refillable.h"
#include "simd/hamming.h"
#include "simd/target.h"

namespace eta::c {
namespace {

// Shells that wait to be used again, so many that a closed handle is detected for long.
constexpr size_t kWaiting = 1000;

struct ShellPool {
  std::mutex mutex;
  std::deque<Shell*> closed;  // the longest closed first
};

// Never destroyed: handles may be closed by destructors that run at exit.
ShellPool& Shells() {
  static auto& pool = *new ShellPool;
  return pool;
}

thread_local char last_error[512] = "";

}  // namespace

void SetError(const char* message) {
  size_t i = 0;
  for (; message[i] != 0 && i + 1 < sizeof(last_error); ++i) last_error[i] = message[i];
  last_error[i] = 0;
}

const char* LastError() { return last_error; }

Shell* OpenShell(uint32_t kind, std::shared_ptr<void> object) {
  Shell* shell = nullptr;
  {
    ShellPool& pool = Shells();
    const std::lock_guard<std::mutex> lock(pool.mutex);
    if (pool.closed.size() > kWaiting) {
      shell = pool.closed.front();
      pool.closed.pop_front();
    }
  }
  if (shell == nullptr) shell = new Shell;
  shell->object = std::move(object);
  shell->kind = kind;
  return shell;
}

void CloseShell(Shell* shell) {
  if (shell->kind.exchange(0) == 0) return;
  shell->object.reset();
  ShellPool& pool = Shells();
  const std::lock_guard<std::mutex> lock(pool.mutex);
  pool.closed.push_back(shell);
}

std::string GrowingEta::target() const { return simd::TargetName(simd::ActiveTarget()); }

std::unique_ptr<Scratch> GrowingEta::NewScratch() const {
  return std::make_unique<KernelScratch>();
}

std::unique_ptr<PreparedHistory> GrowingEta::DoPrepare(std::span<const int32_t> history) const {
  return std::make_unique<GrowingHistory>(CodeBlocks(table_, history));
}

void GrowingEta::DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates,
                            size_t k, Scratch& scratch, RetrievedView out) const {
  const simd::CodeBlocksView blocks = dynamic_cast<const GrowingHistory&>(history).view();
  auto& buffers = dynamic_cast<KernelScratch&>(scratch);
  const auto queries =
      GatherQueries((candidates_ ? *candidates_ : table_).rows(), candidates, buffers.queries);
  const simd::ScratchView work =
      ScratchFor(buffers.kernel, simd::HammingTopKScratchBytes(blocks.n, blocks.code_bytes, k));
  const size_t count = simd::HammingTopK(blocks, queries, {k}, work, {out.positions.data()});
  std::ranges::fill(out.counts, static_cast<int32_t>(count));
}

}  // namespace eta::c
