// SPDX-License-Identifier: Apache-2.0
#include "bench/tools/encoding.h"

#include <filesystem>
#include <iostream>
#include <optional>
#include <system_error>

#include "bench/common/options.h"
#include "bench/common/output.h"
#include "bench/common/text.h"
#include "core/base/check.h"
#include "core/base/staged_folder.h"
#include "core/data/bundle.h"
#include "core/data/npy.h"
#include "core/retrieval/codes.h"
#include "core/retrieval/hyperplanes.h"
#include "core/retrieval/itq.h"
#include "core/retrieval/pq4_codebooks.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

void RequireNewFile(const std::string& path) {
  Require(!fs::exists(fs::symlink_status(path)), path, ": exists already (expected a new file)");
  CheckOutputs({path});
}

void TrainHyperplanes(const TrainOptions& options) {
  RequireNewFile(options.output);
  const Bundle bundle = ReadBundle(options.input);
  const Hyperplanes planes = TrainItq(bundle.items, options.bits, options.seed);
  WriteWholeFile(options.output, NpyMatrixBytes(planes.matrix()));
  std::cout << Printable(options.output) << ": " << planes.dim() << " x " << planes.bits() << '\n';
}

bool IsOfCodebooks(const fs::path& file) {
  return file.filename() == "pq_codebooks.npy" || file.filename() == "pq_rotation.npy";
}

// Copies the files of a bundle but for its codebooks: those that ReadBundle does not read, and what
// bundle.json says beside what it reads, are somebody's all the same.
void CopyOthers(const fs::path& from, const fs::path& to) {
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    if (IsOfCodebooks(entry.path())) continue;
    const fs::path copy = to / entry.path().filename();
    std::error_code error;
    if (!entry.is_regular_file(error)) {
      throw DataError(Cat(entry.path().string(), ": not a regular file, so it is not copied"));
    }
    if (!fs::copy_file(entry.path(), copy, error)) {
      throw DataError(Cat(copy.string(), ": cannot be written: ", error.message()));
    }
  }
}

void TrainCodebooks(const TrainOptions& options) {
  StagedFolder staged(options.output);
  const Bundle bundle = ReadBundle(options.input);
  const auto codebooks = Pq4Codebooks::Train(bundle.items, options.bits, {.seed = options.seed});
  CopyOthers(options.input, staged.path());
  WriteNpyMatrix(staged.path() / "pq_codebooks.npy", codebooks.centroids());
  const auto rotation = codebooks.rotation();
  if (rotation) WriteNpyMatrix(staged.path() / "pq_rotation.npy", *rotation);
  staged.Commit();
  std::cout << Printable(options.output) << ": " << codebooks.subspaces() << " subspaces of 16 "
            << "centroids, " << codebooks.dim() << " dimensions "
            << (rotation ? "with a rotation\n" : "without a rotation\n");
}

// As retrieval_bench chooses them for eta:BITS.
Hyperplanes PlanesOf(const CodesOptions& options, const Bundle& bundle) {
  std::optional<HyperplaneKind> kind;
  if (!options.hyperplanes.empty()) kind = ParseHyperplaneKind(options.hyperplanes);
  if (!kind && bundle.hyperplanes && bundle.hyperplanes->cols == options.bits) {
    return Hyperplanes::FromMatrix(*bundle.hyperplanes);
  }
  if (kind == HyperplaneKind::kItq) return TrainItq(bundle.items, options.bits, options.seed);
  return Hyperplanes::Make(kind.value_or(HyperplaneKind::kGaussian), bundle.items.dim(),
                           options.bits, options.seed);
}

void WriteCodes(const CodesOptions& options) {
  RequireNewFile(options.output);
  const Bundle bundle = ReadBundle(options.input);
  if (options.of_candidates && !bundle.items.candidate_embeddings) {
    throw DataError(
        Cat(options.input, ": has no candidate_embeddings.npy, which --candidates needs"));
  }
  const Hyperplanes planes = PlanesOf(options, bundle);
  const Matrix<float>& embeddings =
      options.of_candidates ? bundle.items.queries() : bundle.items.embeddings;
  Matrix<uint8_t> codes(embeddings.rows, planes.code_bytes());
  planes.Encode(embeddings.values, codes.values);
  WriteWholeFile(options.output, NpyMatrixBytes(codes));
  std::cout << Printable(options.output) << ": " << codes.rows << " codes of " << planes.bits()
            << " bits, " << codes.cols << " bytes each, " << HyperplaneKindName(planes.kind())
            << " hyperplanes\n";
}

void AddTrainItq(CLI::App& app, TrainOptions& o) {
  CLI::App* command = app.add_subcommand(
      "train-itq",
      "Train hyperplanes on a bundle's items (iterative quantisation) and write them as .npy; in a "
      "bundle they are hyperplanes.npy");
  OptionGroup group(*command, "Options");
  group.Text("--input", o.input, "DIR", "Bundle folder")->required();
  group.Text("--output", o.output, "FILE", "float32 .npy to write, dim x bits")->required();
  group.Whole("--bits", o.bits, 1, kMaxBits, "Width of a code");
  group.Whole("--seed", o.seed, 0, kMaxSeed, "Seed of the sample and of the first rotations");
  command->callback([&o] { TrainHyperplanes(o); });
}

void AddTrainPq4(CLI::App& app, TrainOptions& o) {
  CLI::App* command = app.add_subcommand(
      "train-pq4",
      "Train codebooks of pq4:BITS on a bundle's items and write a copy of the bundle that has "
      "them as pq_codebooks.npy, and as pq_rotation.npy the rotation that comes first, if any");
  OptionGroup group(*command, "Options");
  group.Text("--input", o.input, "DIR", "Bundle folder")->required();
  group.Text("--output", o.output, "DIR", "Bundle folder to make; must not exist")->required();
  group.Whole("--bits", o.bits, 8, kMaxBits, "Width of a code, a multiple of 8");
  group.Whole("--seed", o.seed, 0, kMaxSeed, "Seed of the sample and of the first centroids");
  command->callback([&o] { TrainCodebooks(o); });
}

void AddCodes(CLI::App& app, CodesOptions& o) {
  CLI::App* command = app.add_subcommand(
      "codes",
      "Write the SimHash codes of a bundle's items as .npy, those that eta:BITS retrieves by");
  OptionGroup group(*command, "Options");
  group.Text("--input", o.input, "DIR", "Bundle folder")->required();
  group
      .Text("--output", o.output, "FILE",
            "uint8 .npy to write, items x ceil(bits / 8), least significant bit first")
      ->required();
  group.Whole("--bits", o.bits, 1, kMaxBits, "Width of a code");
  group.Text("--hyperplanes", o.hyperplanes, "KIND",
             "gaussian, signs, orthogonal, hadamard or itq; without it those of the bundle where "
             "they have this width, else gaussian ones");
  group.Flag("--candidates", o.of_candidates,
             "Codes of the candidate embeddings, in a bundle of two towers");
  group.Whole("--seed", o.seed, 0, kMaxSeed, "Seed of the hyperplanes");
  command->callback([&o] { WriteCodes(o); });
}

}  // namespace

void AddEncodingCommands(CLI::App& app, EncodingArguments& arguments) {
  AddTrainItq(app, arguments.itq);
  AddTrainPq4(app, arguments.pq4);
  AddCodes(app, arguments.codes);
}

}  // namespace eta::bench
