// SPDX-License-Identifier: Apache-2.0
#include "bench/ctr/measure.h"

#include <chrono>
#include <cmath>
#include <optional>

#include "baselines/methods.h"
#include "bench/common/machine.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/refillable.h"

namespace eta::bench {
namespace {

using Clock = std::chrono::steady_clock;

// Requests of one model. The n-th request is the same draw for every model.
class Requests {
 public:
  Requests(const CtrExport& data, const CtrOptions& options)
      : data_(data),
        random_(options.seed),
        history_(options.length),
        candidates_(options.candidates) {}

  void Next() {
    user_ = random_.Below(static_cast<uint32_t>(data_.users()));
    for (auto* list : {&history_, &candidates_}) {
      for (int32_t& item : *list) item = Draw();
    }
  }

  size_t user() const { return user_; }
  std::span<const int32_t> history() const { return history_; }
  std::span<const int32_t> candidates() const { return candidates_; }

 private:
  // A behaviour of any user, so that popular items are as common as in the data.
  int32_t Draw() {
    const auto& behaviours = data_.bundle.histories.items;
    if (behaviours.empty()) {
      return static_cast<int32_t>(random_.Below(static_cast<uint32_t>(data_.items())));
    }
    return behaviours[random_.Below(static_cast<uint32_t>(behaviours.size()))];
  }

  const CtrExport& data_;
  Random random_;
  size_t user_ = 0;
  std::vector<int32_t> history_, candidates_;
};

struct Runner {
  explicit Runner(CtrContender& contender, const CtrOptions& options)
      : contender(contender),
        requests(*contender.data, options),
        user(contender.model->NewUser()),
        scratch(contender.model->NewScratch()),
        logits(options.candidates) {}

  void Run(bool is_timed) {
    requests.Next();
    const double cpu_start = ThreadCpuSeconds();
    const auto start = Clock::now();
    contender.model->Prepare(requests.user(), requests.history(), scratch, user);
    const auto middle = Clock::now();
    contender.model->Score(user, requests.candidates(), scratch, logits);
    const auto end = Clock::now();
    const double cpu_seconds = ThreadCpuSeconds() - cpu_start;
    for (const float logit : logits) {
      if (!std::isfinite(logit)) throw std::runtime_error("a logit is not finite");
    }
    if (!is_timed) return;
    contender.prepare_seconds.push_back(std::chrono::duration<double>(middle - start).count());
    contender.score_seconds.push_back(std::chrono::duration<double>(end - middle).count());
    contender.cpu_seconds += cpu_seconds;
    const auto n = static_cast<double>(contender.score_seconds.size());
    contender.user_bytes += (static_cast<double>(user.bytes()) - contender.user_bytes) / n;
  }

  CtrContender& contender;
  Requests requests;
  CtrUser user;
  CtrScratch scratch;
  std::vector<float> logits;
};

// Null for "own". Codes are of the model's hyperplanes where it has any of their width.
std::unique_ptr<RefillableRetriever> MakeRetrieval(const std::string& spec, const CtrExport& model,
                                                   uint64_t seed) {
  if (spec == "own") return nullptr;
  std::optional<Hyperplanes> own;
  if (!model.hyperplanes.values.empty()) own = Hyperplanes::FromMatrix(model.hyperplanes);
  auto method =
      MakeMethod(spec, model.bundle.items, {.seed = seed, .loaded = own ? &*own : nullptr});
  auto* refillable = dynamic_cast<RefillableRetriever*>(method.get());
  Require(refillable, "--retrieval: ", spec,
          " cannot serve a model, for each history would be "
          "prepared anew");
  method.release();
  return std::unique_ptr<RefillableRetriever>(refillable);
}

}  // namespace

std::vector<double> CtrContender::request_seconds() const {
  std::vector<double> seconds(prepare_seconds);
  for (size_t i = 0; i < seconds.size(); ++i) seconds[i] += score_seconds[i];
  return seconds;
}

namespace {

std::vector<Precision> PrecisionsOf(const CtrOptions& options) {
  std::vector<Precision> precisions;
  for (const std::string& name : SplitMethods(options.precision)) {
    precisions.push_back(name == "int8" ? Precision::kInt8 : Precision::kFloat32);
  }
  return precisions;
}

// How each model is served: all that the options combine.
std::vector<CtrContender> Variants(const CtrOptions& options) {
  std::vector<CtrContender> variants;
  const auto retrievals =
      options.retrieval.empty() ? std::vector<std::string>{"own"} : SplitMethods(options.retrieval);
  for (const std::string& retrieval : retrievals) {
    for (const ItemTables tables : {ItemTables::kAll, ItemTables::kNone}) {
      if (options.item_tables == (tables == ItemTables::kAll ? "off" : "on")) continue;
      for (const Precision precision : PrecisionsOf(options)) {
        CtrContender contender;
        contender.retrieval = retrieval;
        contender.tables = tables;
        contender.precision = precision;
        variants.push_back(std::move(contender));
      }
    }
  }
  return variants;
}

}  // namespace

std::vector<CtrContender> ReadContenders(const std::string& folder, const CtrOptions& options) {
  const auto data = std::make_shared<const CtrExport>(ReadCtrExport(folder));
  Require(Retrieves(data->unit) || (options.retrieval.empty() && options.k == 0), folder,
          ": --retrieval and --k need a model that retrieves, and ", CtrUnitName(data->unit),
          " does not");
  std::vector<CtrContender> contenders = Variants(options);
  for (CtrContender& contender : contenders) {
    contender.folder = folder;
    contender.k = options.k == 0 ? data->settings.k : options.k;
    contender.data = data;
    contender.model = std::make_unique<CtrModel>(
        *data, contender.tables,
        CtrRetrieval{MakeRetrieval(contender.retrieval, *data, options.seed), options.k},
        contender.precision);
    contender.check = CheckCtrModel(*data, *contender.model);
  }
  return contenders;
}

void MeasureContenders(const CtrOptions& options, std::vector<CtrContender>& contenders,
                       const std::function<void(const std::string&)>& progress) {
  std::vector<Runner> runners;
  for (CtrContender& contender : contenders) {
    Require(options.length <= contender.data->settings.max_history, "--length is ", options.length,
            ", but ", contender.folder, " takes histories of up to ",
            contender.data->settings.max_history);
    runners.emplace_back(contender, options);
  }
  for (size_t round = 0; round < options.rounds; ++round) {
    const size_t share =
        options.requests * (round + 1) / options.rounds - options.requests * round / options.rounds;
    for (Runner& runner : runners) {
      progress(Cat("round ", round + 1, " of ", options.rounds, ": ", runner.contender.folder));
      // Two untimed requests bring back what the other models' turns drove out of the caches.
      for (size_t i = 0; share > 0 && i < 2; ++i) runner.Run(false);
      for (size_t i = 0; i < share; ++i) runner.Run(true);
    }
  }
}

}  // namespace eta::bench
