// SPDX-License-Identifier: Apache-2.0
// What the handles of the C interface point to, and how calls keep exceptions inside.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/c/eta_simd.h"
#include "core/ctr/model.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/retriever.h"
#include "simd/views.h"

namespace eta::c {

// Scratch that calls borrow, so that they allocate none once there is one for each thread.
template <class T>
class Pool {
 public:
  template <class Make>
  std::unique_ptr<T> Take(Make make) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (!free_.empty()) {
        std::unique_ptr<T> taken = std::move(free_.back());
        free_.pop_back();
        return taken;
      }
    }
    return make();
  }
  // What a call that threw had taken is not given back.
  void Give(std::unique_ptr<T> taken) {
    const std::lock_guard<std::mutex> lock(mutex_);
    free_.push_back(std::move(taken));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<T>> free_;
};

// Retrieves by the codes of all items from histories that grow; else it is ETA's retriever.
class GrowingEta final : public Retriever {
 public:
  // `candidates` have codes of their own in a model of two towers, of the same size.
  explicit GrowingEta(CodeTable table, std::optional<CodeTable> candidates = {})
      : Retriever("eta", table.size()),
        table_(std::move(table)),
        candidates_(std::move(candidates)) {}
  std::string target() const override;
  size_t bits() const override { return table_.bits(); }
  std::unique_ptr<Scratch> NewScratch() const override;
  void RequireItem(int32_t item) const { RequireItems({&item, 1}, "item"); }
  const CodeTable& table() const { return table_; }

  mutable Pool<Scratch> scratch;

 private:
  std::unique_ptr<PreparedHistory> DoPrepare(std::span<const int32_t> history) const override;
  void DoRetrieve(const PreparedHistory& history, std::span<const int32_t> candidates, size_t k,
                  Scratch& scratch, RetrievedView out) const override;

  CodeTable table_;
  std::optional<CodeTable> candidates_;
};

class GrowingHistory final : public PreparedHistory {
 public:
  explicit GrowingHistory(CodeBlocks blocks)
      : PreparedHistory(blocks.size()), blocks_(std::move(blocks)) {}
  size_t bytes() const override { return blocks_.bytes(); }
  simd::CodeBlocksView view() const { return blocks_.view(); }
  void Append(std::span<const uint8_t> code) {
    blocks_.Append(code);
    set_length(blocks_.size());
  }

 private:
  CodeBlocks blocks_;
};

struct History {
  std::shared_ptr<GrowingEta> eta;
  std::unique_ptr<PreparedHistory> prepared;
};

struct CtrServed {
  CtrServed(const char* folder, Precision precision)
      : model(ReadCtrExport(folder)), served(model, ItemTables::kAll, {}, precision) {}
  CtrExport model;
  CtrModel served;
  Pool<CtrScratch> scratch;
  std::unique_ptr<CtrScratch> TakeScratch() {
    return scratch.Take([&] { return std::make_unique<CtrScratch>(served.NewScratch()); });
  }
};

struct CtrUserOf {
  std::shared_ptr<CtrServed> model;
  CtrUser user;
};

// What a handle points to. It is never freed, so that a closed handle can be told from an open one.
struct Shell {
  std::atomic<uint32_t> kind{0};  // 0 once it is closed
  std::shared_ptr<void> object;
};

template <class Handle>
struct KindOf;
template <>
struct KindOf<eta_hyperplanes> {
  using Object = Hyperplanes;
  static constexpr uint32_t kNumber = 1;
  static constexpr char kName[] = "hyperplanes";
};
template <>
struct KindOf<eta_code_table> {
  using Object = GrowingEta;
  static constexpr uint32_t kNumber = 2;
  static constexpr char kName[] = "code table";
};
template <>
struct KindOf<eta_history> {
  using Object = History;
  static constexpr uint32_t kNumber = 3;
  static constexpr char kName[] = "history";
};
template <>
struct KindOf<eta_ctr_model> {
  using Object = CtrServed;
  static constexpr uint32_t kNumber = 4;
  static constexpr char kName[] = "CTR model";
};
template <>
struct KindOf<eta_ctr_user> {
  using Object = CtrUserOf;
  static constexpr uint32_t kNumber = 5;
  static constexpr char kName[] = "CTR user";
};

class BadHandle : public std::exception {};

Shell* OpenShell(uint32_t kind, std::shared_ptr<void> object);
void CloseShell(Shell* shell);

// The message of the thread's last failure, cut to 511 bytes.
void SetError(const char* message);
const char* LastError();

template <class Handle>
void RequireOpen(const Handle* handle) {
  using Kind = KindOf<Handle>;
  Require(handle != nullptr, Kind::kName, " is null");
  if (reinterpret_cast<const Shell*>(handle)->kind == Kind::kNumber) return;
  SetError(Cat("not an open handle of a ", Kind::kName).c_str());
  throw BadHandle();
}

// The object of an open handle.
template <class Handle>
std::shared_ptr<typename KindOf<Handle>::Object> Get(const Handle* handle) {
  RequireOpen(handle);
  return std::static_pointer_cast<typename KindOf<Handle>::Object>(
      reinterpret_cast<const Shell*>(handle)->object);
}

template <class Handle>
void Open(std::shared_ptr<typename KindOf<Handle>::Object> object, Handle** out) {
  *out = reinterpret_cast<Handle*>(OpenShell(KindOf<Handle>::kNumber, std::move(object)));
}

// Runs the body of a function and turns what it throws into a status and a message.
template <class Body>
eta_status Guard(Body body) noexcept {
  try {
    body();
    return ETA_OK;
  } catch (const BadHandle&) {
    return ETA_BAD_HANDLE;
  } catch (const std::bad_alloc&) {
    SetError("out of memory");
    return ETA_OUT_OF_MEMORY;
  } catch (const std::invalid_argument& error) {
    SetError(error.what());
    return ETA_INVALID_ARGUMENT;
  } catch (const TooLongError& error) {
    SetError(error.what());
    return ETA_TOO_LONG;
  } catch (const std::length_error&) {  // of a container that cannot be so large
    SetError("out of memory");
    return ETA_OUT_OF_MEMORY;
  } catch (const DataError& error) {
    SetError(error.what());
    return ETA_BAD_DATA;
  } catch (const std::exception& error) {
    SetError(error.what());
  } catch (...) {
    SetError("unknown exception");
  }
  return ETA_INTERNAL_ERROR;
}

template <class Handle>
eta_status Close(Handle* handle) noexcept {
  return Guard([&] {
    if (handle == nullptr) return;
    RequireOpen(handle);
    CloseShell(reinterpret_cast<Shell*>(handle));
  });
}

}  // namespace eta::c
