// SPDX-License-Identifier: Apache-2.0
// The files that the programs read beside data: finished cells of a sweep (retrieval_bench --cells)
// and times of PyTorch (ctr_bench --torch).
#include <nlohmann/json.hpp>

#include "bench/ctr/torch_rows.h"
#include "bench/retrieval/sweep/cells.h"
#include "tests/fuzz/reading.h"

namespace eta::fuzz {
namespace {

using Json = nlohmann::ordered_json;

// What is read can be written and read again.
void CheckCells(const std::string& path) {
  const Json key = {{"k", 64}, {"methods", "eta:64"}};
  std::vector<bench::FinishedCell> cells;
  if (!Takes([&] { cells = bench::ReadCells(path, key); })) return;
  bench::WriteCells(path, key, cells);
  ASSERT_EQ(bench::ReadCells(path, key).size(), cells.size());
}

void CheckTorchRows(const std::string& path) {
  bench::CtrOptions options;
  options.torch = path;
  std::vector<bench::TorchRow> rows;
  if (!Takes([&] { rows = bench::ReadTorchRows(options); })) return;
  for (const bench::TorchRow& row : rows) ASSERT_GT(row.runs, 0u);
}

void Run(Input in) {
  const bool are_cells = in.Flag();
  const std::filesystem::path file = ProcessFolder() / "file.json";
  WriteText(file, in.Text(in.left()));
  are_cells ? CheckCells(file.string()) : CheckTorchRows(file.string());
}

}  // namespace
}  // namespace eta::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  eta::fuzz::Run({data, size});
  return 0;
}
