// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/dump.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/check.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// A colon in a file name is a drive for some programs and a host for others.
std::string FolderOf(std::string method) {
  std::ranges::replace(method, ':', '_');
  return method;
}

size_t CountCandidates(std::span<const UserRequest> requests) {
  size_t count = 0;
  for (const UserRequest& request : requests) count += request.candidates.size();
  return count;
}

void WriteRequests(const fs::path& folder, std::span<const UserRequest> requests) {
  std::vector<int64_t> users;
  std::vector<int32_t> candidates;
  for (const UserRequest& request : requests) {
    users.insert(users.end(), request.candidates.size(), static_cast<int64_t>(request.user));
    candidates.insert(candidates.end(), request.candidates.begin(), request.candidates.end());
  }
  WriteNpyVector<int64_t>(folder / "user.npy", users);
  WriteNpyVector<int32_t>(folder / "candidate.npy", candidates);
}

void WriteDescription(const fs::path& file, const Options& options, const DataSet& data,
                      const std::vector<std::string>& methods, size_t rows) {
  Json folders = Json::object();
  for (const std::string& method : methods) folders[method] = FolderOf(method);
  const Json json = {{"format", "eta-simd retrieval_bench dump 1"},
                     {"command_line", options.command_line},
                     {"data", options.data.empty() ? Json(nullptr) : Json(options.data)},
                     {"digest", data.digest},
                     {"rows", rows},
                     {"k", options.k},
                     {"methods", folders}};
  std::ofstream out(file, std::ios::binary);
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  out.close();
  if (!out) throw DataError(Cat(file.string(), ": cannot be written"));
}

}  // namespace

void CheckDumpFolders(const std::vector<std::string>& methods) {
  std::set<std::string> taken;
  for (const std::string& method : methods) {
    Require(taken.insert(FolderOf(method)).second, "--dump: two methods would be written to ",
            FolderOf(method));
  }
}

Dump::Dump(const fs::path& folder, const Options& options, const DataSet& data,
           std::span<const UserRequest> requests, const std::vector<std::string>& methods)
    : data_(data), k_(options.k) {
  const size_t rows = CountCandidates(requests);
  WriteRequests(folder, requests);
  WriteDescription(folder / "dump.json", options, data, methods, rows);
  for (const std::string& method : methods) {
    const fs::path own = folder / FolderOf(method);
    fs::create_directory(own);
    files_.push_back({.positions = {own / "positions.npy", rows, k_},
                      .counts = {own / "counts.npy", rows},
                      .scores = {own / "scores.npy", rows, k_}});
  }
}

void Dump::Add(size_t method, const UserRequest& request, std::span<const int32_t> positions,
               std::span<const float> scores) {
  const auto score = [&](int32_t position) { return scores[static_cast<size_t>(position)]; };
  // NaN would break the order; it ranks last, as for recall.
  const auto rank = [&](int32_t position) {
    return std::isnan(score(position)) ? -std::numeric_limits<float>::infinity() : score(position);
  };
  order_.assign(positions.begin(), positions.end());
  std::ranges::sort(
      order_, [&](int32_t a, int32_t b) { return rank(a) != rank(b) ? rank(a) > rank(b) : a > b; });
  row_.assign(k_, std::numeric_limits<float>::quiet_NaN());
  std::ranges::transform(order_, row_.begin(), score);
  const auto count = static_cast<int32_t>(order_.size());
  // A request sees the end of what the bundle has of a user; positions count from its beginning.
  const auto first =
      static_cast<int32_t>(request.history.data() - data_.bundle.histories[request.user].data());
  for (int32_t& position : order_) position += first;
  order_.resize(k_, -1);
  files_[method].positions.Append(order_);
  files_[method].counts.Append({&count, 1});
  files_[method].scores.Append(row_);
}

void Dump::Finish() {
  for (Files& files : files_) {
    files.positions.Close();
    files.counts.Close();
    files.scores.Close();
  }
}

}  // namespace eta::bench
