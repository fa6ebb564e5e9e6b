// SPDX-License-Identifier: Apache-2.0
// What keeping histories and models fresh costs those who ask: requests at a set rate to a
// RankingService, alone, while behaviours are appended, and while models are swapped as well.
#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "bench/common/environment.h"
#include "bench/common/main.h"
#include "bench/common/notes.h"
#include "bench/common/options.h"
#include "bench/common/output.h"
#include "bench/common/text.h"
#include "bench/serving/data.h"
#include "bench/serving/options.h"
#include "bench/serving/phase.h"
#include "bench/serving/ratios.h"
#include "bench/serving/report.h"
#include "bench/serving/server.h"
#include "bench/serving/traffic.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

constexpr double kAppendSeconds = 2;  // of each durability alone

// A temporary folder that goes with this.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (fs::temp_directory_path() / "serving_bench_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw DataError(Cat(name, ": cannot be made"));
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// The most memory that the process has held at once; nothing where the system does not say.
std::optional<uint64_t> PeakMemory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string name;
    uint64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "VmHWM:") return kibibytes << 10;
  }
  return std::nullopt;
}

std::vector<PhasePlan> Plans(const ServingOptions& options) {
  constexpr auto kRetrieve = RequestKind::kRetrieve, kScore = RequestKind::kScore;
  const Durability first = options.durabilities[0];
  const std::string both = Cat("appends, ", DurabilityName(first), ", and swaps");
  std::vector<PhasePlan> plans{{"quiet"}};
  for (const Durability durability : options.durabilities) {
    plans.push_back({Cat("appends, ", DurabilityName(durability)), kRetrieve, durability, {}});
  }
  plans.push_back({"swaps", kRetrieve, {}, options.swap_priorities[0]});
  for (const ThreadPriority priority : options.swap_priorities) {
    const bool is_first = priority == options.swap_priorities[0];
    plans.push_back({is_first ? both : Cat(both, ", ", PriorityName(priority), " priority"),
                     kRetrieve, first, priority});
  }
  plans.push_back({"quiet, at the end"});
  if (!options.ctr.empty()) {
    plans.push_back({"scores, quiet", kScore, {}, {}});
    plans.push_back({Cat("scores, ", both), kScore, first, ThreadPriority::kNormal});
    plans.push_back({"scores, quiet, at the end", kScore, {}, {}});
  }
  return plans;
}

// The CTR model, or null where none is asked for. Each user and item of the data is one of its own.
std::shared_ptr<const CtrExport> ReadCtr(const ServingOptions& options, const ServingData& data) {
  if (options.ctr.empty()) return nullptr;
  auto model = std::make_shared<const CtrExport>(ReadCtrExport(options.ctr));
  Require(data.users() <= model->users() && data.items().size() <= model->items(), "--ctr ",
          options.ctr, " has ", model->users(), " users and ", model->items(), " items, the data ",
          data.users(), " and ", data.items().size());
  return model;
}

// Fills the cache with those users who come often.
void WarmUp(Server& server, const Traffic& traffic, const ServingOptions& options) {
  const auto requests = static_cast<size_t>(options.rate * options.seconds);
  Answer answer;
  const std::vector<uint32_t> users = traffic.DrawUsers(requests, options.seed);
  for (size_t i = 0; i < requests; ++i) {
    server.Retrieve(users[i], traffic.Candidates(i), answer);
  }
}

void Measure(const ServingOptions& options, const ServingData& data,
             const std::shared_ptr<const CtrExport>& ctr, HistoryStore& store, Progress& progress,
             ServingReport& report) {
  progress.Show("hashing the items");
  Server server(data, options, store, options.cache_mib << 20, ctr);
  Traffic traffic(data, options);
  progress.Show("verifying, and timing without load");
  report.ratios = MeasureRatios(server, data, store, traffic, options);
  progress.Show("filling the cache");
  WarmUp(server, traffic, options);
  const std::vector<PhasePlan> plans = Plans(options);
  for (const PhasePlan& plan : plans) {
    const size_t done = report.phases.size();
    progress.Show(Cat(plan.name, ": phase ", done + 1, " of ", plans.size(), ", ", options.seconds,
                      " s each"));
    report.phases.push_back(RunPhase(server, traffic, store, data, options, plan, done + 1));
  }
  progress.Show("appends alone");
  report.appends =
      MeasureAppends(server, traffic, options, std::min(kAppendSeconds, options.seconds));
  report.cache = server.Counts();
}

int Run(int argc, char** argv) {
  const std::optional<ServingOptions> options = ParseServingOptions(argc, argv);
  if (!options) return 0;
  const std::string target = SelectTarget("");
  CheckOutputs({options->csv, options->json}, {options->bundle, options->ctr});
  PrintNotes(TargetNotes());
  ServingReport report{*options, target, ReadEnvironment()};
  std::optional<Progress> progress(true);
  progress->Show(options->bundle.empty() ? "generating items" : "reading " + options->bundle);
  const ServingData data(*options);
  const auto ctr = ReadCtr(*options, data);
  {
    const TemporaryFolder folder;
    const fs::path path = folder.path() / "store";
    HistoryStore::Create(path);
    HistoryStore store(path);
    report.users = data.users();
    report.dim = data.items().dim();
    report.fill = FillStore(data, store, [&](double share) {
      progress->Show(Cat("filling the store, ", Fixed(100 * share, 1), " %"));
    });
    report.store_bytes = FolderBytes(path.string());
    Measure(*options, data, ctr, store, *progress, report);
  }
  report.memory_bytes = PeakMemory();
  progress.reset();
  std::cout << ServingText(report) << std::flush;
  PrintNotes(MachineNotes(report.environment, options->threads + 2));
  OutputFiles files;
  if (!options->csv.empty()) files.Add(options->csv, ServingCsv(report));
  if (!options->json.empty()) files.Add(options->json, ServingJson(report));
  files.Commit();
  if (!AllRight(report)) {
    throw Mismatch("an answer is stale, or not that of the version it names (see the table)");
  }
  return 0;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  return eta::bench::RunMain("serving_bench", eta::bench::Run, argc, argv);
}
