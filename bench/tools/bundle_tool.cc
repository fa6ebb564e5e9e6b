// SPDX-License-Identifier: Apache-2.0
// Makes, imports and checks data bundles.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "bench/common/main.h"
#include "bench/common/notes.h"
#include "bench/common/options.h"
#include "bench/common/output.h"
#include "bench/common/text.h"
#include "bench/tools/encoding.h"
#include "core/base/check.h"
#include "core/base/random.h"
#include "core/base/staged_folder.h"
#include "core/data/bundle.h"
#include "core/data/generator.h"
#include "core/data/limits.h"
#include "core/data/movielens.h"
#include "core/data/npy.h"
#include "simd/pq4_encode.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

constexpr char kMovielensLicence[] =
    "MovieLens terms of GroupLens (README of the data set): no commercial use without permission";
constexpr char kMovielensSource[] =
    "MovieLens, https://grouplens.org/datasets/movielens/; cite Harper and Konstan 2015, "
    "doi:10.1145/2827872";

struct ImportOptions {
  std::string input;
  std::string output;
  std::string embeddings;
  std::string made_by;
  size_t dim = 64;
  uint64_t seed = 1;
};

struct InteractionCounts {
  std::vector<double> users;
  std::vector<double> items;
};

InteractionCounts CountInteractions(const MovielensLog& log) {
  InteractionCounts counts{std::vector<double>(log.user_ids.size()),
                           std::vector<double>(log.item_ids.size())};
  for (size_t user = 0; user < log.histories.users(); ++user) {
    for (const int32_t item : log.histories[user]) {
      ++counts.users[user];
      ++counts.items[item];
    }
  }
  return counts;
}

double Mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Scales all values by one factor so that their root mean square is 1.
Matrix<float> ScaledToFloat(const Matrix<double>& matrix) {
  double square = 0;
  for (const double value : matrix.values) square += value * value;
  const double scale =
      square > 0 ? std::sqrt(static_cast<double>(matrix.values.size()) / square) : 0;
  Matrix<float> scaled(matrix.rows, matrix.cols);
  std::transform(matrix.values.begin(), matrix.values.end(), scaled.values.begin(),
                 [&](double value) { return static_cast<float>(value * scale); });
  return scaled;
}

// The user-item matrix times a Gaussian matrix: a quick, coarser stand-in for the SVD of
// scripts/import_movielens.py, with the same weights 1 / sqrt((user's count + mean)(item's count +
// mean)). Inner products are those of the matrix's columns in expectation.
Matrix<float> ProjectedEmbeddings(const MovielensLog& log, size_t dim, uint64_t seed) {
  const InteractionCounts counts = CountInteractions(log);
  const double mean_user = Mean(counts.users);
  const double mean_item = Mean(counts.items);
  Matrix<double> sums(log.item_ids.size(), dim);
  std::vector<double> direction(dim);
  for (size_t user = 0; user < log.histories.users(); ++user) {
    Random random(seed, user);
    const double weight = 1 / std::sqrt(counts.users[user] + mean_user);
    for (double& value : direction) value = weight * random.Normal();
    for (const int32_t item : log.histories[user]) {
      double* row = sums.row(item);
      for (size_t d = 0; d < dim; ++d) row[d] += direction[d];
    }
  }
  for (size_t item = 0; item < sums.rows; ++item) {
    const double weight = 1 / std::sqrt(counts.items[item] + mean_item);
    for (size_t d = 0; d < dim; ++d) sums.row(item)[d] *= weight;
  }
  return ScaledToFloat(sums);
}

Matrix<float> ReadEmbeddings(const fs::path& file, size_t items) {
  Matrix<float> embeddings = ReadNpyMatrix<float>(file);
  if (embeddings.rows != items || embeddings.cols < 1 || embeddings.cols > kMaxDim) {
    throw DataError(Cat(file.string(), ": wrong shape (expected ", items,
                        " rows, one per item, of 1 to ", kMaxDim, " columns, found ",
                        embeddings.rows, " x ", embeddings.cols, ")"));
  }
  return embeddings;
}

// The last part of a path, also when a slash follows it: the data set's own name.
std::string NameOf(const fs::path& folder) {
  const fs::path absolute = fs::absolute(folder).lexically_normal();
  return (absolute.has_filename() ? absolute : absolute.parent_path()).filename().string();
}

void PrintSummary(const Bundle& bundle, const fs::path& folder) {
  std::cout << Printable(folder.string()) << ": " << bundle.items.size() << " items of "
            << bundle.items.dim() << " dimensions, " << bundle.histories.users() << " users, "
            << bundle.histories.items.size() << " behaviours, digest " << BundleDigest(bundle)
            << '\n';
}

void Generate(const GeneratorOptions& options, const fs::path& output) {
  const Bundle bundle = GenerateBundle(options);
  WriteBundle(bundle, output);
  PrintSummary(bundle, output);
}

void ImportMovielens(const ImportOptions& options) {
  MovielensLog log = ReadMovielens(options.input);
  Bundle bundle;
  const bool given = !options.embeddings.empty();
  bundle.items.embeddings = given ? ReadEmbeddings(options.embeddings, log.item_ids.size())
                                  : ProjectedEmbeddings(log, options.dim, options.seed);
  bundle.items.categories = std::move(log.categories);
  bundle.histories = std::move(log.histories);
  bundle.name = NameOf(options.input);
  bundle.source = kMovielensSource;
  bundle.licence = kMovielensLicence;
  bundle.made_by = options.made_by;
  if (bundle.made_by.empty() && given) {
    bundle.made_by = Cat("bundle_tool import-movielens, embeddings given as ",
                         fs::path(options.embeddings).filename().string());
  } else if (bundle.made_by.empty()) {
    bundle.made_by = Cat("bundle_tool import-movielens, random projection of the user-item matrix",
                         " dim=", options.dim, " seed=", options.seed);
  }
  WriteBundle(bundle, options.output);
  PrintSummary(bundle, options.output);
}

void ExportInteractions(const fs::path& input, const fs::path& output) {
  const MovielensLog log = ReadMovielens(input);
  StagedFolder staged(output);
  WriteNpyVector<int64_t>(staged.path() / "history_offsets.npy", log.histories.offsets);
  WriteNpyVector<int32_t>(staged.path() / "history_items.npy", log.histories.items);
  WriteNpyVector<int64_t>(staged.path() / "item_ids.npy", log.item_ids);
  WriteNpyVector<int64_t>(staged.path() / "user_ids.npy", log.user_ids);
  staged.Commit();
  std::cout << Printable(output.string()) << ": " << log.user_ids.size() << " users, "
            << log.item_ids.size() << " items, " << log.histories.items.size() << " behaviours\n";
}

void PrintLengths(const Histories& histories) {
  std::vector<size_t> lengths;
  for (size_t user = 0; user < histories.users(); ++user) lengths.push_back(histories[user].size());
  std::sort(lengths.begin(), lengths.end());
  std::cout << "history length:";
  if (lengths.empty()) std::cout << " no users";
  for (const int percent : {0, 1, 10, 25, 50, 75, 90, 99, 100}) {
    if (lengths.empty()) break;
    // Nearest rank: the least length that `percent` of the users do not exceed.
    const size_t rank = (lengths.size() * static_cast<size_t>(percent) + 99) / 100;
    std::cout << " p" << percent << '=' << lengths[std::max<size_t>(rank, 1) - 1];
  }
  std::cout << '\n';
}

size_t CountDistinct(const std::vector<int32_t>& values) {
  return std::set<int32_t>(values.begin(), values.end()).size();
}

size_t CountNotFinite(const Matrix<float>& matrix) {
  return static_cast<size_t>(std::count_if(matrix.values.begin(), matrix.values.end(),
                                           [](float value) { return !std::isfinite(value); }));
}

void Check(const fs::path& folder) {
  const Bundle bundle = ReadBundle(folder);
  const auto print = [](const char* label, const auto& value) {
    std::cout << label << ": " << value << '\n';
  };
  print("name", Printable(bundle.name));
  print("source", Printable(bundle.source));
  print("licence", Printable(bundle.licence));
  print("made by", Printable(bundle.made_by));
  print("items", bundle.items.size());
  print("dim", bundle.items.dim());
  print("values not finite", CountNotFinite(bundle.items.embeddings));
  print("candidate embeddings", bundle.items.candidate_embeddings ? "yes" : "no");
  print("categories", CountDistinct(bundle.items.categories));
  print("users", bundle.histories.users());
  print("behaviours", bundle.histories.items.size());
  print("items in histories", CountDistinct(bundle.histories.items));
  PrintLengths(bundle.histories);
  print("times", bundle.histories.times.empty() ? "no" : "yes");
  print("candidates", bundle.candidates ? std::to_string(bundle.candidates->items.size()) : "no");
  print("hyperplanes", bundle.hyperplanes ? Cat(bundle.hyperplanes->cols, " bits") : "no");
  print("product codebooks", bundle.pq_codebooks
                                 ? Cat(bundle.pq_codebooks->rows / simd::kPq4Centroids * 4,
                                       bundle.pq_rotation ? " bits, rotated" : " bits")
                                 : "no");
  print("digest", BundleDigest(bundle));
  std::cout.flush();
  PrintNotes(DataNotes(bundle));
}

// What the subcommands read from the command line.
struct Arguments {
  EncodingArguments encoding;
  GeneratorOptions generator;
  ImportOptions import;
  std::string input;
  std::string output;
};

constexpr const char* kNewBundle = "Bundle folder to make; must not exist";
constexpr const char* kMovielensFolder = "Folder with ratings.csv, movies.csv (or .dat)";

void AddGenerate(CLI::App& app, Arguments& a) {
  CLI::App* command = app.add_subcommand("generate", "Write a seeded synthetic bundle");
  OptionGroup group(*command, "Options");
  group.Text("--output", a.output, "DIR", kNewBundle)->required();
  AddGeneratorOptions(group, a.generator, "--seed");
  command->callback([&a] { Generate(a.generator, a.output); });
}

void AddImportMovielens(CLI::App& app, ImportOptions& o) {
  CLI::App* command = app.add_subcommand(
      "import-movielens", "Write a bundle from a MovieLens folder (ratings and movies)");
  OptionGroup group(*command, "Options");
  group.Text("--input", o.input, "DIR", kMovielensFolder)->required();
  group.Text("--output", o.output, "DIR", kNewBundle)->required();
  group.Text("--embeddings", o.embeddings, "FILE",
             "float32 .npy, one row per item in the order of export-interactions' item_ids.npy; "
             "without it a random projection of the user-item matrix");
  group.Whole("--dim", o.dim, 1, kMaxDim, "Dimensions of that projection");
  group.Whole("--seed", o.seed, 0, kMaxSeed, "Seed of that projection");
  group.Text("--made-by", o.made_by, "TEXT", "Text for bundle.json: how it was made");
  command->callback([&o] { ImportMovielens(o); });
}

void AddExportInteractions(CLI::App& app, Arguments& a) {
  CLI::App* command = app.add_subcommand(
      "export-interactions",
      "Write the user-item pairs of a MovieLens folder as history_offsets.npy and "
      "history_items.npy, with the original ids in user_ids.npy and item_ids.npy");
  OptionGroup group(*command, "Options");
  group.Text("--input", a.input, "DIR", kMovielensFolder)->required();
  group.Text("--output", a.output, "DIR", "Folder to make; must not exist")->required();
  command->callback([&a] { ExportInteractions(a.input, a.output); });
}

void AddCheck(CLI::App& app, Arguments& a) {
  CLI::App* command = app.add_subcommand("check", "Read a bundle, check it and describe it");
  command->add_option("folder", a.input, "Bundle folder")->required();
  command->callback([&a] { Check(a.input); });
}

int Run(int argc, char** argv) {
  App app("bundle_tool",
          "Makes, imports and checks data bundles, the folders that the benchmarks read.");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done; 1 unexpected failure; 2 bad arguments or data. An error is one line "
      "on standard error.");
  Arguments arguments;
  AddGenerate(app, arguments);
  AddImportMovielens(app, arguments.import);
  AddExportInteractions(app, arguments);
  AddEncodingCommands(app, arguments.encoding);
  AddCheck(app, arguments);
  if (!app.Parse(argc, argv)) return 0;
  return 0;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  return eta::bench::RunMain("bundle_tool", eta::bench::Run, argc, argv);
}
