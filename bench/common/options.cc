// SPDX-License-Identifier: Apache-2.0
#include "bench/common/options.h"

#include <memory>
#include <optional>
#include <stdexcept>

#include "bench/common/build_info.h"
#include "bench/common/text.h"
#include "core/base/check.h"
#include "core/base/matrix.h"
#include "core/base/simd_env.h"
#include "core/retrieval/hyperplanes.h"
#include "simd/target.h"

namespace eta::bench {
namespace {

// Help in two columns: the option with its argument; then the text, wrapped, with the default in
// brackets at its end.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() { column_width(kHelpIndent); }

  // One name; others are old ones that still work.
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    return option->get_snames().empty() && !is_positional
               ? option->get_name()
               : Formatter::make_option_name(option, is_positional);
  }

  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string value = option->get_default_str();
    const std::string text = option->get_description();
    // CLI11 indents the lines that follow a line break.
    return Wrap(value.empty() ? text : Cat(text, " [", value, "]"), kHelpWidth - kHelpIndent, "");
  }
};

}  // namespace

App::App(const char* program, const std::string& description)
    : CLI::App(Wrap(description, kHelpWidth, ""), program) {
  formatter(std::make_shared<HelpFormatter>());
  option_defaults()->always_capture_default()->take_last();
  set_version_flag("--version", kProjectVersion, "Print the version and exit");
}

bool App::Parse(int argc, char** argv) {
  try {
    parse(argc, argv);
  } catch (const CLI::Success& success) {
    exit(success);
    return false;
  } catch (const CLI::ParseError& error) {
    throw std::invalid_argument(Cat(error.what(), "; --help lists the options"));
  }
  return true;
}

// Checks the text before CLI11 converts it, since CLI11 reads "-1" as 2^64 - 1 and "010" as 8.
CLI::Validator OptionGroup::WholeNumber(uint64_t min, uint64_t max) {
  const auto check = [min, max](std::string& text) -> std::string {
    const std::optional<uint64_t> value = ParseWhole(text);
    if (value && *value >= min && *value <= max) return {};
    return Cat("\"", text, "\" is not a whole number from ", min, " to ", max);
  };
  return CLI::Validator(check, "");
}

CLI::Option* OptionGroup::Decimal(const char* name, double& value, double max, const char* text) {
  const auto check = [max](std::string& digits) -> std::string {
    const std::optional<double> number = ParseDecimal(digits);
    if (number && *number >= 0 && *number <= max) return {};
    return Cat("\"", digits, "\" is not a number from 0 to ", max);
  };
  return app_.add_option(name, value, text)
      ->type_name("X")
      ->check(CLI::Validator(check, ""))
      ->group(heading_);
}

CLI::Option* OptionGroup::Text(const char* name, std::string& value, const char* type,
                               const char* text) {
  const auto check = [](std::string& given) -> std::string {
    return given.empty() ? "its value is empty" : "";
  };
  return app_.add_option(name, value, text)
      ->type_name(type)
      ->check(CLI::Validator(check, ""))
      ->group(heading_);
}

CLI::Option* OptionGroup::List(const char* name, std::vector<std::string>& values, const char* type,
                               const char* text) {
  return app_.add_option(name, values, text)
      ->type_name(type)
      ->expected(1)
      ->default_str("")
      ->take_all()
      ->group(heading_);
}

CLI::Option* OptionGroup::Flag(const char* name, bool& value, const char* text) {
  return app_.add_flag(name, value, text)->group(heading_);
}

CLI::Option* OptionGroup::Target(std::string& name) {
  return Text("--target", name, "NAME",
              "SIMD target to run, such as AVX2; without it ETA_SIMD_TARGET, else the best one");
}

std::vector<CLI::Option*> AddGeneratorOptions(OptionGroup& group, GeneratorOptions& g,
                                              const char* seed_name) {
  return {
      group.Whole("--users", g.users, 1, kMaxCount, "Users"),
      group.Whole("--items", g.items, 1, kMaxCount, "Items"),
      group.Whole("--dim", g.dim, 1, kMaxDim, "Length of an embedding"),
      group.Whole("--categories", g.categories, 1, kMaxCount, "Item categories"),
      group.Whole("--length,--fixed-length", g.fixed_length, 0, kMaxCount,
                  "Behaviours of every user; 0: ragged lengths"),
      group.Whole("--median-length", g.median_length, 1, kMaxCount, "Median of the ragged lengths"),
      group.Decimal("--sigma", g.sigma, 10, "Spread of the ragged lengths (log-normal)"),
      group.Whole("--max-length", g.max_length, 1, kMaxCount, "Longest ragged length"),
      group.Whole("--interests,--interests-per-user", g.interests_per_user, 1, 1000,
                  "Interests of a user"),
      group.Decimal("--cross-category,--cross-category-share", g.cross_category_share, 1,
                    "Share of interests that span two categories, which a search by category "
                    "must miss"),
      group.Whole(seed_name, g.seed, 0, kMaxSeed,
                  "Seed of the generator: same seed and options, same data")};
}

std::string SelectTarget(const std::string& name) {
  if (name.empty()) return ApplyTargetFromEnvironment();
  ForceTargetOrThrow(name);
  return simd::TargetName(simd::ActiveTarget());
}

}  // namespace eta::bench
