// SPDX-License-Identifier: Apache-2.0
// The long-term units of docs/models.md, as they are served.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "core/base/export.h"
#include "core/ctr/export.h"
#include "core/ctr/layers.h"
#include "core/retrieval/refillable.h"

namespace eta {

// Finds the interest g of candidates in a history. Any number of threads may use a const unit, each
// with a scratch of its own. Only NewUser and NewScratch allocate.
class ETA_CORE_API LongTermUnit {
 public:
  // What a unit keeps of one history.
  class User {
   public:
    virtual ~User() = default;
    virtual size_t bytes() const = 0;  // in use by the present history, not capacity
  };

  virtual ~LongTermUnit() = default;
  virtual std::unique_ptr<User> NewUser() const = 0;        // with room for max_history behaviours
  virtual std::unique_ptr<Scratch> NewScratch() const = 0;  // for one thread
  virtual size_t table_bytes() const { return 0; }          // of all items' tables
  // Takes in a history, oldest first, of up to max_history behaviours. Here and below, `user` and
  // `scratch` are of this unit, and all ids are in range.
  virtual void Prepare(std::span<const int32_t> history, Scratch& scratch, User& user) const = 0;
  // Writes the dim floats of g of candidate b to out + b * out_stride. `targets` are the
  // candidates' item rows, at most kCtrChunk of them; with ItemTables::kAll their values are not
  // read.
  virtual void Interest(const User& user, std::span<const int32_t> candidates, const Rows& targets,
                        Scratch& scratch, float* out, size_t out_stride) const = 0;
};

// What a unit that retrieves uses in place of what it was trained with.
struct ETA_CORE_API CtrRetrieval {
  std::unique_ptr<RefillableRetriever> retriever;  // of the model's items; null: the unit's own
  size_t k = 0;                                    // behaviours attended to; 0: the model's own
};

// Whether `unit` attends to k retrieved behaviours, so that a CtrRetrieval can serve it.
ETA_CORE_API bool Retrieves(CtrUnit unit);

// The unit of `model`, which must outlive it; null for kNone. With Precision::kInt8
// units that retrieve attend to tables in eight bits, where there are tables. Throws
// std::invalid_argument when `retrieval` is given for a unit that does not retrieve.
ETA_CORE_API std::unique_ptr<LongTermUnit> MakeLongTermUnit(const CtrExport& model,
                                                            ItemTables tables,
                                                            CtrRetrieval retrieval,
                                                            Precision precision);

// The kinds that MakeLongTermUnit chooses from, beside those of unit.cc.
ETA_CORE_API std::unique_ptr<LongTermUnit> MakeRetrievingUnit(const CtrExport& model,
                                                              ItemTables tables,
                                                              CtrRetrieval retrieval,
                                                              Precision precision);
ETA_CORE_API std::unique_ptr<LongTermUnit> MakeSdimUnit(const CtrExport& model);
ETA_CORE_API std::unique_ptr<LongTermUnit> MakeMimnUnit(const CtrExport& model, ItemTables tables);

// Copies the embeddings of `items`, dim floats each, to `to`, `stride` floats apart. All ids are in
// range; stride >= dim.
ETA_CORE_API void GatherItemRows(const CtrExport& model, std::span<const int32_t> items, float* to,
                                 size_t stride);

}  // namespace eta
