// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/sweep/sweep_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <utility>

#include "bench/common/cpus.h"
#include "bench/common/output.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// The time that a cell takes, up to a factor that finished cells reveal.
double Work(const SweepCell& cell) {
  double work = 1;
  for (const auto& [name, value] : cell.values) {
    if (name == "L" || name == "b" || name == "dim") work *= static_cast<double>(value);
    if (name == "threads") work /= static_cast<double>(value);
  }
  return work;
}

std::string DurationText(double seconds) {
  const auto whole = static_cast<size_t>(std::ceil(seconds));
  if (whole < 120) return Cat(whole, " s");
  return whole < 7200 ? Cat((whole + 59) / 60, " min") : Cat((whole + 3599) / 3600, " h");
}

class Sweep {
 public:
  Sweep(const Options& options, const Machine& machine, Progress& progress)
      : options_(options),
        machine_(machine),
        progress_(progress),
        start_(Clock::now()),
        cells_lock_(options.cells),
        cells_(MakeCells(options.sweep)) {
    CheckMachine();
    if (!options.data.empty()) Load(options);
    key_ = SweepKey(options, data_ ? data_->digest : "", machine);
    finished_ = ReadCells(options.cells, key_);
  }

  SweepReport Run() {
    size_t measured = 0;
    std::exception_ptr failure;
    for (size_t i = 0; i < cells_.size(); ++i) {
      if (IsFinished(cells_[i])) continue;
      if (measured > 0 && IsTimeOver(cells_[i])) break;
      progress_.SetPrefix(Cat("cell ", i + 1, " of ", cells_.size(), " (", cells_[i].Text(), ")",
                              TimeLeft(), ": "));
      try {
        Measure(cells_[i]);
        ++measured;
        WriteCells(options_.cells, key_, finished_);
      } catch (const std::exception&) {
        if (finished_.empty()) throw;
        failure = std::current_exception();
        break;
      }
    }
    return {options_, machine_, key_, cells_.size(), InOrder(), failure};
  }

 private:
  void CheckMachine() const {
    int threads = 1;
    for (const SweepCell& cell : cells_) {
      threads = std::max(threads, CellOptions(options_, cell).threads);
    }
    if (options_.pin) {
      PinOpenMpThreads(machine_.cpus, threads);
    } else {
      RequireOpenMpThreads(threads);
    }
  }

  void Load(const Options& options) {
    progress_.Show(options.data.empty() ? "generating data" : "reading " + options.data);
    data_ = LoadData(options);
    loaded_ = {options.generator.fixed_length, options.generator.dim};
  }

  void Measure(const SweepCell& cell) {
    const auto start = Clock::now();
    const Options options = CellOptions(options_, cell);
    if (!data_ || loaded_ != std::pair(options.generator.fixed_length, options.generator.dim)) {
      Load(options);
    }
    Report report = RunBenchmark(options, *data_, machine_, {}, progress_);
    const double seconds = SecondsSince(start);
    finished_.push_back({cell, data_->digest, report.requests, seconds, std::move(report.notes),
                         std::move(report.rows)});
  }

  const FinishedCell* Find(const SweepCell& cell) const {
    const auto found = std::ranges::find_if(finished_, [&](const FinishedCell& finished) {
      return std::ranges::is_permutation(finished.cell.values, cell.values);
    });
    return found == finished_.end() ? nullptr : &*found;
  }
  bool IsFinished(const SweepCell& cell) const { return Find(cell) != nullptr; }

  // Nothing before a first cell is finished.
  std::optional<double> SecondsPerWork() const {
    double seconds = 0;
    double work = 0;
    for (const FinishedCell& cell : finished_) {
      seconds += cell.seconds;
      work += Work(cell.cell);
    }
    if (work == 0) return std::nullopt;
    return seconds / work;
  }

  bool IsTimeOver(const SweepCell& next) const {
    if (options_.time_budget == 0) return false;
    return SecondsSince(start_) + SecondsPerWork().value_or(0) * Work(next) > options_.time_budget;
  }

  std::string TimeLeft() const {
    const auto seconds_per_work = SecondsPerWork();
    if (!seconds_per_work) return "";
    double work = 0;
    for (const SweepCell& cell : cells_) work += IsFinished(cell) ? 0 : Work(cell);
    return Cat(", about ", DurationText(work * *seconds_per_work), " left");
  }

  // The file may hold cells that this sweep does not have, and in another order.
  std::vector<FinishedCell> InOrder() const {
    std::vector<FinishedCell> ordered;
    for (const SweepCell& cell : cells_) {
      const FinishedCell* finished = Find(cell);
      if (finished == nullptr) continue;
      ordered.push_back(*finished);
      ordered.back().cell = cell;
    }
    return ordered;
  }

  const Options& options_;
  const Machine& machine_;
  Progress& progress_;
  Clock::time_point start_;
  FileLock cells_lock_;  // from before the file is read, or cells of another process would be lost
  std::vector<SweepCell> cells_;
  std::optional<DataSet> data_;
  std::pair<size_t, size_t> loaded_;  // length and dim of data_
  nlohmann::ordered_json key_;
  std::vector<FinishedCell> finished_;
};

}  // namespace

SweepReport RunSweep(const Options& options, const Machine& machine, Progress& progress) {
  return Sweep(options, machine, progress).Run();
}

}  // namespace eta::bench
