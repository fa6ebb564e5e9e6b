// SPDX-License-Identifier: Apache-2.0
// What the command lines of the programs share: how values are read, how --help looks, and options
// that mean the same everywhere.
#pragma once

#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "core/data/generator.h"

namespace eta::bench {

// The largest values that command lines accept.
inline constexpr uint64_t kMaxCount = std::numeric_limits<int32_t>::max();
inline constexpr uint64_t kMaxSeed = std::numeric_limits<uint64_t>::max();

// A command line with --version. Where an option is given twice the last one counts, so that
// scripts can put defaults before their user's arguments.
class App : public CLI::App {
 public:
  App(const char* program, const std::string& description);

  // Reads the arguments. False when there is no more to do: help or the version has been printed.
  // Throws std::invalid_argument, one line, on anything that is wrong.
  bool Parse(int argc, char** argv);
};

// Adds options under one heading of --help. The value that a variable has then is the default shown
// there. The variables must outlive the parsing.
class OptionGroup {
 public:
  OptionGroup(CLI::App& app, const char* heading) : app_(app), heading_(heading) {}

  // A whole number in [min, max], written in decimal without sign, blanks or leading zeros.
  template <class T>
  CLI::Option* Whole(const char* name, T& value, uint64_t min, uint64_t max, const char* text) {
    return app_.add_option(name, value, text)
        ->type_name("N")
        ->check(WholeNumber(min, max))
        ->group(heading_);
  }
  // A number in [0, max].
  CLI::Option* Decimal(const char* name, double& value, double max, const char* text);
  // A text that is not empty; `type` stands for it in --help.
  CLI::Option* Text(const char* name, std::string& value, const char* type, const char* text);
  // Texts, one each time that the option is given.
  CLI::Option* List(const char* name, std::vector<std::string>& values, const char* type,
                    const char* text);
  CLI::Option* Flag(const char* name, bool& value, const char* text);
  // --target, a name for SelectTarget.
  CLI::Option* Target(std::string& name);

 private:
  static CLI::Validator WholeNumber(uint64_t min, uint64_t max);

  CLI::App& app_;
  const char* heading_;
};

// Options for all of GeneratorOptions; the seed is called `seed_name`. Returns them.
std::vector<CLI::Option*> AddGeneratorOptions(OptionGroup& group, GeneratorOptions& options,
                                              const char* seed_name);

// Selects the SIMD target `name`, or where that is empty the one that ETA_SIMD_TARGET or else the
// CPU decides on. Returns the name of the target that runs. Throws std::invalid_argument when there
// is no such target. Call it before threads run kernels.
std::string SelectTarget(const std::string& name);

}  // namespace eta::bench
