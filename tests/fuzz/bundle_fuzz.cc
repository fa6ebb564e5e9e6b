// SPDX-License-Identifier: Apache-2.0
// The reader of data bundles (core/data/bundle.h), on a whole folder out of one input. What is read
// is consistent, and comes back when it is written.
#include "core/data/bundle.h"

#include "core/base/matrix.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/pq4_codebooks.h"
#include "tests/fuzz/files.h"

namespace eta::fuzz {
namespace {

struct File {
  const char* name;
  std::string_view descr;  // empty for a text
};

constexpr File kFiles[] = {{"item_embeddings.npy", "<f4"},  {"history_offsets.npy", "<i8"},
                           {"history_items.npy", "<i4"},    {"bundle.json", ""},
                           {"item_categories.npy", "<i4"},  {"history_times.npy", "<i8"},
                           {"hyperplanes.npy", "<f4"},      {"candidates_offsets.npy", "<i8"},
                           {"candidates_items.npy", "<i4"}, {"pq_codebooks.npy", "<f4"},
                           {"pq_rotation.npy", "<f4"},      {"candidate_embeddings.npy", "<f4"}};

void CheckBundle(const Bundle& bundle, const std::filesystem::path& copy) {
  ASSERT_NO_THROW(ValidateBundle(bundle));
  size_t behaviours = 0;
  for (size_t user = 0; user < bundle.histories.users(); ++user) {
    for (const int32_t item : bundle.histories[user]) {
      ASSERT_LT(static_cast<size_t>(item), bundle.items.size());
      ++behaviours;
    }
  }
  ASSERT_EQ(behaviours, bundle.histories.items.size());
  ASSERT_NO_THROW(ValidateItemTable(bundle.items));
  ASSERT_EQ(bundle.items.queries().rows, bundle.items.size());
  ASSERT_EQ(bundle.items.queries().cols, bundle.items.dim());
  if (bundle.pq_codebooks) {
    const auto codebooks =
        Pq4Codebooks::FromMatrices(bundle.items.dim(), *bundle.pq_codebooks, bundle.pq_rotation);
    const CodeTable table(bundle.items, codebooks);
    ASSERT_EQ(table.bytes(), bundle.items.size() * codebooks.code_bytes());
  }
  WriteBundle(bundle, copy);
  const Bundle again = ReadBundle(copy);
  ASSERT_EQ(BundleDigest(again), BundleDigest(bundle));
}

void Run(Input in) {
  namespace fs = std::filesystem;
  const fs::path folder = ProcessFolder() / "bundle", copy = ProcessFolder() / "copy";
  fs::remove_all(folder);
  fs::create_directory(folder);
  for (const File& file : kFiles) {
    if (in.Between(0, 7) != 0) WriteText(folder / file.name, FileContent(in, file.descr));
  }
  Bundle bundle;
  if (!Takes([&] { bundle = ReadBundle(folder); })) return;
  CheckBundle(bundle, copy);
  fs::remove_all(copy);
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
