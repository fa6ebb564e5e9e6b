// SPDX-License-Identifier: Apache-2.0
// The long-term units of docs/models.md, as they are served.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/ctr/export.h"
#include "core/ctr/layers.h"

namespace eta {

// Finds the interest g of candidates in a history. Const use by several threads is fine, each with
// a Work of its own. Only NewUser and NewWork allocate.
class LongTermUnit {
 public:
  // What a unit keeps of one history.
  class User {
   public:
    virtual ~User() = default;
    virtual size_t bytes() const = 0;  // that the present history takes
  };
  // Working memory of one thread.
  class Work {
   public:
    virtual ~Work() = default;
  };

  virtual ~LongTermUnit() = default;
  virtual std::unique_ptr<User> NewUser() const = 0;  // with room for max_history behaviours
  virtual std::unique_ptr<Work> NewWork() const = 0;
  virtual size_t table_bytes() const { return 0; }  // of all items' tables
  virtual void Prepare(std::span<const int32_t> history, Work& work, User& user) const = 0;
  // Writes g of candidate b to out + b * out_stride. `targets` are the candidates' item rows, at
  // most kCtrChunk of them. All ids are in range.
  virtual void Interest(const User& user, std::span<const int32_t> candidates, const Rows& targets,
                        Work& work, float* out, size_t out_stride) const = 0;
};

// The unit of `model`, which must outlive it; null for kNone.
std::unique_ptr<LongTermUnit> MakeLongTermUnit(const CtrExport& model, ItemTables tables);

// The kinds that MakeLongTermUnit chooses from.
std::unique_ptr<LongTermUnit> MakeRetrievingUnit(const CtrExport& model, ItemTables tables);
std::unique_ptr<LongTermUnit> MakeSdimUnit(const CtrExport& model);
std::unique_ptr<LongTermUnit> MakeMimnUnit(const CtrExport& model, ItemTables tables);

// Copies the item rows of a list to `to`, one after another.
void GatherItemRows(const CtrExport& model, std::span<const int32_t> items, float* to,
                    size_t stride);

}  // namespace eta
