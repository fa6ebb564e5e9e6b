// SPDX-License-Identifier: Apache-2.0
// Runs the benchmark binary as a user does.
#pragma once

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "core/base/check.h"
#include "core/data/bundle.h"
#include "core/data/generator.h"
#include "tests/support/temp_folder.h"

namespace eta {

inline std::string ReadAll(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

// Rows of a CSV without quoted fields: column name -> text.
using Rows = std::vector<std::map<std::string, std::string>>;

inline Rows ParseCsv(const std::string& text) {
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  std::vector<std::string> names;
  std::istringstream header(line);
  for (std::string name; std::getline(header, name, ',');) names.push_back(name);
  Rows rows;
  while (std::getline(lines, line)) {
    std::istringstream fields(line);
    rows.emplace_back();
    for (const std::string& name : names) std::getline(fields, rows.back()[name], ',');
    EXPECT_EQ(std::ranges::count(line, ','), static_cast<std::ptrdiff_t>(names.size() - 1)) << line;
  }
  return rows;
}

// Options that override these come later on the command line of a test.
inline constexpr const char* kTiny = " --users 6 --items 300 --dim 16 --length 200 --repeats 2 ";
inline constexpr const char* kSmallRequests = " --requests 5 --b 20 --k 10 ";
inline constexpr const char* kFewMethods = " --methods exact,eta:64,eta:100,recent ";

class RetrievalBench : public testing::Test {
 protected:
  Outcome Run(const std::string& arguments, const std::string& variables = "") {
    const auto out = folder_ / "stdout";
    const auto err = folder_ / "stderr";
    const std::string command = Cat(variables, " ", ETA_RETRIEVAL_BENCH, " ", arguments, " >",
                                    out.string(), " 2>", err.string());
    const int status = std::system(command.c_str());
    Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadAll(out), ReadAll(err)};
    std::filesystem::remove(out);
    std::filesystem::remove(err);
    return outcome;
  }

  Rows RunForRows(const std::string& arguments, const std::string& variables = "") {
    const auto csv = folder_ / "rows.csv";
    const Outcome outcome = Run(Cat(arguments, " --csv ", csv.string()), variables);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return ParseCsv(ReadAll(csv));
  }

  // Expects exit code 2 and one line on stderr that contains `text`, after the note on a target
  // that emulates FMA where such a one runs, and nothing left behind.
  void ExpectBadInput(const std::string& arguments, const std::string& text) {
    const size_t entries = folder_.CountEntries();
    const Outcome outcome = Run(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments;
    EXPECT_EQ(outcome.out, "") << arguments;
    const std::ptrdiff_t notes = outcome.err.starts_with("note: the SIMD target ") ? 1 : 0;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1 + notes) << arguments << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << arguments << ": " << outcome.err;
    EXPECT_EQ(folder_.CountEntries(), entries) << arguments;
  }

  // A bundle on disk; `change` may alter it first.
  template <class Change>
  std::string MakeBundle(const Change& change, const char* name = "bundle") {
    GeneratorOptions options;
    options.users = 6;
    options.items = 300;
    options.dim = 16;
    options.categories = 5;
    options.fixed_length = 100;
    Bundle bundle = GenerateBundle(options);
    change(bundle);
    const auto path = folder_ / name;
    WriteBundle(bundle, path);
    return path.string();
  }

  TempFolder folder_;
};

}  // namespace eta
