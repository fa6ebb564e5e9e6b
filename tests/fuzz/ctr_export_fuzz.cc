// SPDX-License-Identifier: Apache-2.0
// The reader of exported CTR models (core/ctr/export.h): manifest, weights, test samples, bundle.
// An input chooses one of the units and changes files of a sound export of it. What is read is
// served.
#include "core/ctr/export.h"

#include <map>

#include "core/ctr/model.h"
#include "tests/fuzz/files.h"
#include "tests/support/ctr_test_util.h"

namespace eta::fuzz {
namespace {

namespace fs = std::filesystem;

// A sound export on disk, and what its files held at first.
class Export {
 public:
  explicit Export(CtrUnit unit) : folder_(ProcessFolder() / CtrUnitName(unit)) {
    test::ModelMaker maker(unit, test::SomeSettings(4, 2), 6, 1);
    CtrExport model = maker.Make();
    for (const int32_t user : {0, 1, 2}) {
      model.samples.push_back({user, 0, user == 0 ? 0 : 9, user, user % 2});
    }
    model.logits.assign(model.samples.size(), 0.5f);
    test::ExportWriter(model, maker.rotations, folder_);
    for (const auto& entry : fs::recursive_directory_iterator(folder_)) {
      if (entry.is_regular_file()) files_[entry.path()] = ReadText(entry.path());
    }
  }

  // Changes up to four files, calls use(), and puts them back.
  template <class Use>
  void With(Input& in, Use use) {
    std::vector<fs::path> changed;
    for (size_t changes = in.Between(0, 4); changes > 0; --changes) {
      const auto& [path, bytes] =
          *std::next(files_.begin(), static_cast<ptrdiff_t>(in.Between(0, files_.size() - 1)));
      changed.push_back(path);
      Change(in, path, bytes);
    }
    use(folder_);
    for (const fs::path& path : changed) WriteText(path, files_.at(path));
  }

 private:
  static void Change(Input& in, const fs::path& path, std::string bytes) {
    // What the headers say lies in front: half of all changes go there.
    const size_t at = in.Between(0, in.Flag() ? std::min<size_t>(bytes.size(), 160) : bytes.size());
    switch (in.Between(0, 4)) {
      case 0: {
        const std::string text = in.Text(in.Between(1, 40));
        bytes.replace(at, text.size(), text);
        break;
      }
      case 1:
        bytes.insert(at, in.Text(in.Between(1, 40)));
        break;
      case 2:
        bytes.erase(at, in.Between(1, 40));
        break;
      case 3:
        bytes.resize(at);
        break;
      default:
        bytes = in.Text(in.Between(0, 400));
    }
    WriteText(path, bytes);
  }

  fs::path folder_;
  std::map<fs::path, std::string> files_;
};

Export& ExportOf(CtrUnit unit) {
  static std::map<CtrUnit, Export> exports;
  return exports.try_emplace(unit, unit).first->second;
}

void Serve(const CtrExport& data) {
  const CtrModel model(data, data.items() % 2 == 0 ? ItemTables::kAll : ItemTables::kNone);
  CtrUser user = model.NewUser();
  CtrScratch scratch = model.NewScratch();
  const std::vector<int32_t> candidates = {0, static_cast<int32_t>(data.items()) - 1};
  float logits[2];
  for (const CtrSample& sample : data.samples) {
    model.Prepare(static_cast<size_t>(sample.user), data.Window(sample), scratch, user);
    model.Score(user, candidates, scratch, logits);
  }
}

void Run(Input in) {
  const CtrUnit unit = kCtrUnits[in.Between(0, std::size(kCtrUnits) - 1)];
  ExportOf(unit).With(in, [](const fs::path& folder) {
    CtrExport data;
    if (Takes([&] { data = ReadCtrExport(folder); })) Serve(data);
  });
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
