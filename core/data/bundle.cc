// SPDX-License-Identifier: Apache-2.0
#include "core/data/bundle.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <utility>

#include "core/base/check.h"
#include "core/base/files.h"
#include "core/base/staged_folder.h"
#include "core/data/internal/matrix_checks.h"
#include "core/data/limits.h"
#include "core/data/npy.h"
#include "core/data/pq4_matrices.h"

namespace eta {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr char kItemEmbeddings[] = "item_embeddings.npy";
constexpr char kCandidateEmbeddings[] = "candidate_embeddings.npy";
constexpr char kItemCategories[] = "item_categories.npy";
constexpr char kHistoryOffsets[] = "history_offsets.npy";
constexpr char kHistoryItems[] = "history_items.npy";
constexpr char kHistoryTimes[] = "history_times.npy";
constexpr char kCandidatesOffsets[] = "candidates_offsets.npy";
constexpr char kCandidatesItems[] = "candidates_items.npy";
constexpr char kHyperplanes[] = "hyperplanes.npy";
constexpr char kPqCodebooks[] = "pq_codebooks.npy";
constexpr char kPqRotation[] = "pq_rotation.npy";
constexpr char kDescription[] = "bundle.json";
constexpr std::uintmax_t kMaxDescriptionBytes = 1 << 20;  // a real one has less than 1 KiB

// A dangling link counts as present, so that reading it fails instead of passing it over.
bool IsPresent(const fs::path& file) {
  std::error_code error;
  return fs::exists(fs::symlink_status(file, error));
}

template <class T>
std::vector<T> ReadOptionalVector(const fs::path& file, size_t size) {
  if (!IsPresent(file)) return {};
  auto values = ReadNpyVector<T>(file);
  if (values.size() != size) {
    throw DataError(Cat(file.string(), ": wrong number of entries (expected ", size, ", found ",
                        values.size(), ")"));
  }
  return values;
}

std::optional<Matrix<float>> ReadOptionalMatrix(const fs::path& file) {
  if (!IsPresent(file)) return std::nullopt;
  return ReadNpyMatrix<float>(file);
}

std::optional<ItemLists> ReadCandidates(const fs::path& folder) {
  if (!IsPresent(folder / kCandidatesOffsets) && !IsPresent(folder / kCandidatesItems)) return {};
  ItemLists lists;
  lists.offsets = ReadNpyVector<int64_t>(folder / kCandidatesOffsets);
  lists.items = ReadNpyVector<int32_t>(folder / kCandidatesItems);
  return lists;
}

using Counts = std::vector<std::pair<std::string, uint64_t>>;

// What bundle.json may say about sizes.
Counts CountsOf(const Bundle& bundle) {
  const auto& hyperplanes = bundle.hyperplanes;
  const auto& candidates = bundle.candidates;
  const std::set<int32_t> categories(bundle.items.categories.begin(),
                                     bundle.items.categories.end());
  return {{"items", bundle.items.size()},
          {"dim", bundle.items.dim()},
          {"categories", categories.size()},
          {"users", bundle.histories.users()},
          {"behaviours", bundle.histories.items.size()},
          {"candidates", candidates ? candidates->items.size() : 0},
          {"bits", hyperplanes ? hyperplanes->cols : 0}};
}

Json ReadJson(const fs::path& file) {
  const uint64_t bytes = RegularFileSize(file);
  if (bytes == 0 || bytes > kMaxDescriptionBytes) {
    throw DataError(Cat(file.string(), ": cannot be read (expected a file of 1 to ",
                        kMaxDescriptionBytes, " bytes, found ", bytes, " bytes)"));
  }
  std::ifstream in = OpenRegularFile(file);
  Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    throw DataError(Cat(file.string(), ": malformed (expected a JSON object, found ",
                        json.is_discarded() ? "no valid JSON" : json.type_name(), ")"));
  }
  return json;
}

std::string TextOf(const Json& json, const char* key, const fs::path& file) {
  const auto found = json.find(key);
  if (found == json.end()) return "";
  if (!found->is_string()) {
    throw DataError(Cat(file.string(), ": wrong type of \"", key, "\" (expected a string, found ",
                        found->type_name(), ")"));
  }
  return found->get<std::string>();
}

void CheckCounts(const Json& json, const Bundle& bundle, const fs::path& file) {
  const auto claimed = json.find("counts");
  if (claimed == json.end()) return;
  if (!claimed->is_object()) {
    throw DataError(Cat(file.string(), ": wrong type of \"counts\" (expected an object, found ",
                        claimed->type_name(), ")"));
  }
  for (const auto& [key, count] : CountsOf(bundle)) {
    const auto claim = claimed->find(key);
    if (claim == claimed->end()) continue;
    if (!claim->is_number_unsigned() || claim->get<uint64_t>() != count) {
      const std::string found =
          claim->is_number() ? claim->dump() : Cat("a value of type ", claim->type_name());
      throw DataError(Cat(file.string(), ": count of ", key, " is not that of the data (expected ",
                          count, ", found ", found, ")"));
    }
  }
}

void ReadDescription(const fs::path& file, Bundle& bundle) {
  const Json json = ReadJson(file);
  bundle.name = TextOf(json, "name", file);
  bundle.source = TextOf(json, "source", file);
  bundle.licence = TextOf(json, "licence", file);
  bundle.made_by = TextOf(json, "made_by", file);
  CheckCounts(json, bundle, file);
}

void WriteDescription(const Bundle& bundle, const fs::path& file) {
  nlohmann::ordered_json json = {{"name", bundle.name},
                                 {"source", bundle.source},
                                 {"licence", bundle.licence},
                                 {"made_by", bundle.made_by}};
  for (const auto& [key, count] : CountsOf(bundle)) {
    if (count > 0 || key == "items" || key == "users" || key == "behaviours") {
      json["counts"][key] = count;
    }
  }
  std::ofstream out(file, std::ios::binary);
  // Texts may hold file names, which need not be UTF-8.
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  out.close();
  if (!out) throw DataError(Cat(file.string(), ": cannot be written: ", std::strerror(errno)));
}

void WriteFiles(const Bundle& bundle, const fs::path& folder) {
  const auto write_items = [&](const char* name, const std::vector<int32_t>& items) {
    WriteNpyVector<int32_t>(folder / name, items);
  };
  const auto write_times = [&](const char* name, const std::vector<int64_t>& times) {
    WriteNpyVector<int64_t>(folder / name, times);
  };
  WriteNpyMatrix(folder / kItemEmbeddings, bundle.items.embeddings);
  if (!bundle.items.categories.empty()) write_items(kItemCategories, bundle.items.categories);
  write_times(kHistoryOffsets, bundle.histories.offsets);
  write_items(kHistoryItems, bundle.histories.items);
  if (!bundle.histories.times.empty()) write_times(kHistoryTimes, bundle.histories.times);
  if (bundle.candidates) {
    write_times(kCandidatesOffsets, bundle.candidates->offsets);
    write_items(kCandidatesItems, bundle.candidates->items);
  }
  const auto write_matrix = [&](const char* name, const std::optional<Matrix<float>>& matrix) {
    if (matrix) WriteNpyMatrix(folder / name, *matrix);
  };
  write_matrix(kCandidateEmbeddings, bundle.items.candidate_embeddings);
  write_matrix(kHyperplanes, bundle.hyperplanes);
  write_matrix(kPqCodebooks, bundle.pq_codebooks);
  write_matrix(kPqRotation, bundle.pq_rotation);
  WriteDescription(bundle, folder / kDescription);
}

void ValidateItems(const ItemTable& items) {
  const auto& embeddings = items.embeddings;
  Require(embeddings.values.size() == embeddings.rows * embeddings.cols, "item_embeddings of ",
          embeddings.rows, " x ", embeddings.cols, " holds ", embeddings.values.size(), " values");
  Require(items.dim() >= 1 && items.dim() <= kMaxDim, "item_embeddings has ", items.dim(),
          " columns (expected 1 to ", kMaxDim, ")");
  Require(items.size() <= std::numeric_limits<int32_t>::max(), "item_embeddings has ", items.size(),
          " rows (expected fewer than 2^31, because ids are int32)");
  if (items.candidate_embeddings) {
    const auto& queries = *items.candidate_embeddings;
    Require(queries.rows == items.size() && queries.cols == items.dim(), "candidate_embeddings is ",
            queries.rows, " x ", queries.cols, " (expected ", items.size(), " x ", items.dim(),
            ", as item_embeddings)");
    Require(queries.values.size() == queries.rows * queries.cols, "candidate_embeddings of ",
            queries.rows, " x ", queries.cols, " holds ", queries.values.size(), " values");
  }
  const auto& categories = items.categories;
  Require(categories.empty() || categories.size() == items.size(), "item_categories has ",
          categories.size(), " entries (expected ", items.size(), ", one per item)");
  for (size_t i = 0; i < categories.size(); ++i) {
    Require(categories[i] >= 0, "item_categories[", i, "] is ", categories[i],
            " (expected 0 or more)");
  }
}

// Histories are oldest first: which behaviours are the newest, and how ties end, depends on it.
void ValidateTimes(const Histories& histories) {
  for (size_t user = 0; user < histories.users(); ++user) {
    const auto begin = histories.times.begin() + histories.offsets[user];
    const auto end = histories.times.begin() + histories.offsets[user + 1];
    const auto back = std::is_sorted_until(begin, end);
    if (back == end) continue;
    Require(false, "history_times runs backwards: user ", user, ", position ", back - begin, ": ",
            *back, " comes after ", *(back - 1), " (expected the oldest behaviour first)");
  }
}

void ValidateHyperplanes(const Matrix<float>& matrix, size_t dim) {
  Require(matrix.rows == dim, "hyperplanes has ", matrix.rows, " rows (expected ", dim,
          ", the columns of item_embeddings)");
  Require(matrix.cols >= 1 && matrix.cols <= kMaxBits, "hyperplanes has ", matrix.cols,
          " columns (expected 1 to ", kMaxBits, ")");
  RequireFinite("hyperplanes", matrix);
}

// Mixes in eight bytes at a time; the digest depends on the order and on how values are grouped.
class Digest {
 public:
  template <class T>
  void Add(std::span<const T> values) {
    static_assert(std::endian::native == std::endian::little, "other bytes, other digest");
    Mix(values.size());
    const auto bytes = std::as_bytes(values);
    for (size_t i = 0; i < bytes.size(); i += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, std::min(sizeof(word), bytes.size() - i));
      Mix(word);
    }
  }
  void Add(const Matrix<float>& matrix) {
    Mix(matrix.cols);
    Add(std::span<const float>(matrix.values));
  }
  void Add(const ItemLists& lists) {
    Add(std::span<const int64_t>(lists.offsets));
    Add(std::span<const int32_t>(lists.items));
  }

  std::string Hex() const {
    constexpr char kDigits[] = "0123456789abcdef";
    std::string hex;
    for (int shift = 60; shift >= 0; shift -= 4) hex += kDigits[state_ >> shift & 15];
    return hex;
  }

 private:
  // The odd constant is 2^64 over the golden ratio; the shift brings the well-mixed upper bits
  // down to where the next word is added.
  void Mix(uint64_t word) {
    state_ = (state_ ^ word) * 0x9E3779B97F4A7C15u;
    state_ ^= state_ >> 32;
  }

  uint64_t state_ = 0x6574612d73696d64;
};

}  // namespace

Bundle ReadBundle(const fs::path& folder) {
  std::error_code error;
  if (!IsPresent(folder)) throw DataError(Cat(folder.string(), ": does not exist"));
  if (!fs::is_directory(folder, error)) {
    throw DataError(Cat(folder.string(), ": cannot be read (expected a folder of a bundle)"));
  }
  Bundle bundle;
  bundle.items.embeddings = ReadNpyMatrix<float>(folder / kItemEmbeddings);
  bundle.items.candidate_embeddings = ReadOptionalMatrix(folder / kCandidateEmbeddings);
  bundle.items.categories =
      ReadOptionalVector<int32_t>(folder / kItemCategories, bundle.items.size());
  bundle.histories.offsets = ReadNpyVector<int64_t>(folder / kHistoryOffsets);
  bundle.histories.items = ReadNpyVector<int32_t>(folder / kHistoryItems);
  bundle.histories.times =
      ReadOptionalVector<int64_t>(folder / kHistoryTimes, bundle.histories.items.size());
  bundle.candidates = ReadCandidates(folder);
  bundle.hyperplanes = ReadOptionalMatrix(folder / kHyperplanes);
  bundle.pq_codebooks = ReadOptionalMatrix(folder / kPqCodebooks);
  bundle.pq_rotation = ReadOptionalMatrix(folder / kPqRotation);
  try {
    ValidateBundle(bundle);
  } catch (const std::invalid_argument& contradiction) {
    throw DataError(Cat(folder.string(), ": ", contradiction.what()));
  }
  ReadDescription(folder / kDescription, bundle);
  return bundle;
}

void WriteBundle(const Bundle& bundle, const fs::path& folder) {
  ValidateBundle(bundle);
  StagedFolder staged(folder);
  WriteFiles(bundle, staged.path());
  staged.Commit();
}

void ValidateBundle(const Bundle& bundle) {
  ValidateItems(bundle.items);
  ValidateItemLists(bundle.histories, bundle.items.size(), "history");
  const size_t behaviours = bundle.histories.items.size();
  const size_t times = bundle.histories.times.size();
  Require(times == 0 || times == behaviours, "history_times has ", times, " entries (expected ",
          behaviours, ", one per behaviour)");
  if (times > 0) ValidateTimes(bundle.histories);
  if (bundle.candidates) {
    ValidateItemLists(*bundle.candidates, bundle.items.size(), "candidates");
    Require(bundle.candidates->users() == bundle.histories.users(), "candidates_offsets has ",
            bundle.candidates->users(), " users (expected ", bundle.histories.users(),
            ", as history_offsets)");
  }
  if (bundle.hyperplanes) ValidateHyperplanes(*bundle.hyperplanes, bundle.items.dim());
  Require(bundle.pq_codebooks || !bundle.pq_rotation,
          "pq_rotation without pq_codebooks (expected both, or codebooks alone)");
  if (bundle.pq_codebooks) {
    ValidatePq4Matrices(bundle.items.dim(), *bundle.pq_codebooks,
                        bundle.pq_rotation ? &*bundle.pq_rotation : nullptr);
  }
}

std::string BundleDigest(const Bundle& bundle) {
  Digest digest;
  digest.Add(bundle.items.embeddings);
  digest.Add(std::span<const int32_t>(bundle.items.categories));
  digest.Add(bundle.histories);
  digest.Add(std::span<const int64_t>(bundle.histories.times));
  // "No candidates" and "an empty list for each of 0 users" differ; so do their digests.
  digest.Add(bundle.candidates.value_or(ItemLists{.offsets = {}, .items = {}}));
  digest.Add(bundle.hyperplanes.value_or(Matrix<float>()));
  if (bundle.pq_codebooks) {  // bundles without them keep the digests they had before
    digest.Add(*bundle.pq_codebooks);
    digest.Add(bundle.pq_rotation.value_or(Matrix<float>()));
  }
  if (bundle.items.candidate_embeddings) {  // likewise; the name tells them from codebooks
    digest.Add(std::span<const char>(kCandidateEmbeddings));
    digest.Add(*bundle.items.candidate_embeddings);
  }
  return digest.Hex();
}

}  // namespace eta
