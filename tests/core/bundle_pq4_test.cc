// SPDX-License-Identifier: Apache-2.0
// Codebooks of a product quantiser in a bundle: what is written makes the same codes when it is
// read, what is wrong is refused, and new items are encoded by the codebooks that are there.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core/base/check.h"
#include "core/data/bundle.h"
#include "core/data/generator.h"
#include "core/data/npy.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/pq4_codebooks.h"
#include "tests/support/temp_folder.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

constexpr size_t kDim = 17;  // in 8 subspaces: 7 of two dimensions, one of three
constexpr size_t kBits = 32;

Bundle Generated(size_t items) {
  return GenerateBundle({.seed = 3, .users = 4, .items = items, .dim = kDim, .fixed_length = 10});
}

Pq4Codebooks Trained(const ItemTable& items, Pq4Rotation rotation) {
  return Pq4Codebooks::Train(items, kBits, {.rotation = rotation});
}

// Codebooks with a rotation, so that every part of them is there to be spoilt.
Bundle WithCodebooks(size_t items = 300) {
  Bundle bundle = Generated(items);
  const auto codebooks = Trained(bundle.items, Pq4Rotation::kPca);
  bundle.pq_codebooks = codebooks.centroids();
  bundle.pq_rotation = codebooks.rotation();
  return bundle;
}

Pq4Codebooks Loaded(const Bundle& bundle) {
  return Pq4Codebooks::FromMatrices(bundle.items.dim(), bundle.pq_codebooks.value(),
                                    bundle.pq_rotation);
}

std::vector<uint8_t> CodesOf(const ItemTable& items, const Pq4Codebooks& codebooks) {
  const CodeTable table(items, codebooks);
  return {table.data(), table.data() + table.bytes()};
}

TEST(BundlePq4Test, RoundTripMakesTheSameCodes) {
  const TempFolder folder;
  for (const Pq4Rotation rotation : {Pq4Rotation::kNone, Pq4Rotation::kPca}) {
    Bundle bundle = Generated(300);
    const auto codebooks = Trained(bundle.items, rotation);
    bundle.pq_codebooks = codebooks.centroids();
    bundle.pq_rotation = codebooks.rotation();
    const bool is_rotated = rotation == Pq4Rotation::kPca;
    const fs::path path = folder / (is_rotated ? "rotated" : "plain");
    WriteBundle(bundle, path);
    EXPECT_EQ(fs::exists(path / "pq_rotation.npy"), is_rotated);
    const Bundle again = ReadBundle(path);
    EXPECT_EQ(BundleDigest(again), BundleDigest(bundle));
    EXPECT_EQ(again.pq_rotation.has_value(), is_rotated);
    EXPECT_EQ(again.pq_codebooks->values, codebooks.centroids().values);
    EXPECT_EQ(Loaded(again).bits(), kBits);
    EXPECT_EQ(CodesOf(again.items, Loaded(again)), CodesOf(bundle.items, codebooks));
    std::vector<uint8_t> tables(codebooks.table_bytes()), expected(tables.size());
    const std::span<const float> query(again.items.embeddings.row(5), kDim);
    Loaded(again).MakeTables(query, tables);
    codebooks.MakeTables(query, expected);
    EXPECT_EQ(tables, expected);
  }
}

TEST(BundlePq4Test, DigestSeesThem) {
  const Bundle bundle = WithCodebooks();
  const auto digest_of = [&](auto change) {
    Bundle changed = bundle;
    change(changed);
    return BundleDigest(changed);
  };
  const std::string digest = BundleDigest(bundle);
  EXPECT_NE(digest_of([](Bundle& b) { b.pq_codebooks->values[3] += 1; }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.pq_rotation->values[3] += 1; }), digest);
  EXPECT_NE(digest_of([](Bundle& b) { b.pq_rotation.reset(); }), digest);
  EXPECT_EQ(digest_of([](Bundle& b) {
              b.pq_rotation.reset();
              b.pq_codebooks.reset();
            }),
            BundleDigest(Generated(300)));
}

// `spoil` must make reading fail for `reason`, on one line that names the folder, and writing too.
void ExpectRefused(const std::function<void(Bundle&)>& spoil, const std::string& reason) {
  const TempFolder folder;
  Bundle bundle = WithCodebooks();
  WriteBundle(bundle, folder / "bundle");
  spoil(bundle);
  for (const auto& [name, matrix] : {std::pair("pq_codebooks.npy", &bundle.pq_codebooks),
                                     std::pair("pq_rotation.npy", &bundle.pq_rotation)}) {
    fs::remove(folder / "bundle" / name);
    if (*matrix) WriteNpyMatrix(folder / "bundle" / name, **matrix);
  }
  try {
    ReadBundle(folder / "bundle");
    ADD_FAILURE() << "taken: " << reason;
  } catch (const DataError& error) {
    EXPECT_NE(std::strstr(error.what(), reason.c_str()), nullptr) << error.what();
    EXPECT_EQ(std::string(error.what()).rfind((folder / "bundle").string(), 0), 0u);
    EXPECT_EQ(std::strchr(error.what(), '\n'), nullptr) << error.what();
  }
  EXPECT_THROW(WriteBundle(bundle, folder / "written"), std::invalid_argument) << reason;
  EXPECT_EQ(folder.CountEntries(), 1u);
}

TEST(BundlePq4Test, RefusesWhatIsWrong) {
  using M = Matrix<float>;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  ExpectRefused([](Bundle& b) { b.pq_codebooks.reset(); }, "pq_rotation without pq_codebooks");
  ExpectRefused([](Bundle& b) { b.pq_codebooks = M(0, 3); }, "pq_codebooks has 0 rows");
  ExpectRefused([](Bundle& b) { b.pq_codebooks = M(16, 17); }, "pq_codebooks has 16 rows");
  ExpectRefused([](Bundle& b) { b.pq_codebooks = M(100, 3); }, "pq_codebooks has 100 rows");
  ExpectRefused([](Bundle& b) { b.pq_codebooks = M(16 * 18, 1); }, "18 subspaces of 17 dimensions");
  ExpectRefused([](Bundle& b) { b.pq_codebooks = M(16 * 1026, 1); }, "bits = 4104");
  ExpectRefused([](Bundle& b) { b.pq_codebooks = M(128, 2); },
                "pq_codebooks has 2 columns (expected 3, for 17 dimensions in 8 subspaces)");
  ExpectRefused([&](Bundle& b) { b.pq_codebooks->row(17)[1] = nan; }, "pq_codebooks[17, 1] is nan");
  ExpectRefused([&](Bundle& b) { b.pq_codebooks->row(0)[0] = infinity; },
                "pq_codebooks[0, 0] is inf");
  ExpectRefused([](Bundle& b) { b.pq_codebooks->row(20)[2] = 1; },
                "pq_codebooks[20, 2] is 1 (expected 0, because subspace 1 has 2 dimensions)");
  ExpectRefused([](Bundle& b) { b.pq_rotation = M(17, 16); }, "pq_rotation is 17 x 16");
  ExpectRefused([](Bundle& b) { b.pq_rotation = M(16, 16); }, "pq_rotation is 16 x 16");
  ExpectRefused([&](Bundle& b) { b.pq_rotation->row(3)[4] = nan; }, "pq_rotation[3, 4] is nan");
  ExpectRefused([](Bundle& b) { b.pq_rotation->row(3)[4] += 0.1f; }, "no orthogonal matrix");
  ExpectRefused([](Bundle& b) { b.pq_rotation = M(17, 17); }, "no orthogonal matrix");
  ExpectRefused(
      [](Bundle& b) {
        // Sound codebooks of a table with one dimension less.
        b.items.embeddings = M(b.items.size(), kDim - 1);
        b.pq_codebooks = M(128, 2);
        b.pq_rotation->cols = b.pq_rotation->rows;
      },
      "pq_codebooks has 2 columns");
}

TEST(BundlePq4Test, RefusesFilesThatAreNone) {
  const TempFolder folder;
  const fs::path bundle = folder / "bundle";
  WriteBundle(WithCodebooks(), bundle);
  for (const char* file : {"pq_codebooks.npy", "pq_rotation.npy"}) {
    const std::string text = ReadText(bundle / file);
    WriteText(bundle / file, text.substr(0, text.size() - 1));
    EXPECT_THROW(ReadBundle(bundle), DataError) << file;
    WriteNpyVector<float>(bundle / file, std::vector<float>(17));
    EXPECT_THROW(ReadBundle(bundle), DataError) << file;
    fs::remove(bundle / file);
    fs::create_symlink("nowhere", bundle / file);
    EXPECT_THROW(ReadBundle(bundle), DataError) << file;
    fs::remove(bundle / file);
    WriteText(bundle / file, text);
  }
  EXPECT_NO_THROW(ReadBundle(bundle));
}

// A batch of new items is encoded by the codebooks that are there; codes that are served stay.
TEST(BundlePq4Test, NewItemsAreEncodedByTheSameCodebooks) {
  constexpr size_t kOld = 300, kNew = 77;
  const TempFolder folder;
  const Bundle all = Generated(kOld + kNew);
  Bundle old = all;
  old.items.embeddings = Matrix<float>(kOld, kDim);
  std::copy_n(all.items.embeddings.row(0), kOld * kDim, old.items.embeddings.row(0));
  old.items.categories.resize(std::min(old.items.categories.size(), kOld));
  for (int32_t& item : old.histories.items) item %= static_cast<int32_t>(kOld);
  const auto trained = Trained(old.items, Pq4Rotation::kPca);
  old.pq_codebooks = trained.centroids();
  old.pq_rotation = trained.rotation();
  WriteBundle(old, folder / "bundle");
  const auto codebooks = Loaded(ReadBundle(folder / "bundle"));

  std::vector<uint8_t> codes = CodesOf(old.items, codebooks);
  std::vector<uint8_t> batch(kNew * codebooks.code_bytes());
  codebooks.Encode({all.items.embeddings.row(kOld), kNew * kDim}, batch);
  codes.insert(codes.end(), batch.begin(), batch.end());
  EXPECT_EQ(codes, CodesOf(all.items, codebooks));
  // Codebooks that are trained again are others, so the codes of old items change.
  EXPECT_NE(codes, CodesOf(all.items, Trained(all.items, Pq4Rotation::kPca)));
}

}  // namespace
}  // namespace eta
