// SPDX-License-Identifier: Apache-2.0
#include "bench/ctr/torch_rows.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/base/check.h"

namespace eta::bench {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void FailTorch(const std::string& file, size_t line, const std::string& what) {
  throw DataError(Cat(file, ": line ", line, ": ", what));
}

}  // namespace

std::vector<TorchRow> ReadTorchRows(const CtrOptions& options) {
  if (options.torch.empty()) return {};
  std::ifstream in(options.torch);
  if (!in || std::filesystem::is_directory(options.torch)) {
    throw DataError(Cat(options.torch, ": cannot be opened"));
  }
  std::vector<TorchRow> rows;
  std::string text;
  for (size_t line = 1; std::getline(in, text); ++line) {
    const Json json = Json::parse(text, nullptr, false);
    if (!json.is_object()) FailTorch(options.torch, line, "no JSON object");
    try {
      if (json.at("threads") != 1 || json.at("candidates") != options.candidates ||
          json.at("length") != options.length) {
        FailTorch(options.torch, line,
                  Cat("of another setting (expected 1 thread, ", options.candidates,
                      " candidates, length ", options.length, ")"));
      }
      const auto model = json.at("model").get<std::string>();
      const auto form = json.value("form", std::string("-"));  // older files have none
      auto row = std::ranges::find(rows, model, &TorchRow::model);
      if (row == rows.end()) {
        rows.push_back(
            {.model = model, .torch = json.at("torch").get<std::string>(), .form = form});
        row = rows.end() - 1;
      } else if (Cat("+", row->form, "+").find(Cat("+", form, "+")) == std::string::npos) {
        row->form += "+" + form;
      }
      const auto n = static_cast<double>(++row->runs);
      const auto add = [&](double& mean, const char* key) {
        mean += (json.at(key).get<double>() - mean) / n;
      };
      add(row->p50_us, "p50_us");
      add(row->p99_us, "p99_us");
      add(row->candidates_per_s, "candidates_per_s");
    } catch (const Json::exception& error) {
      FailTorch(options.torch, line, error.what());
    }
  }
  return rows;
}

}  // namespace eta::bench
