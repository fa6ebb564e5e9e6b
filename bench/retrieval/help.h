// SPDX-License-Identifier: Apache-2.0
// How --help looks.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace eta::bench {

// Help in two columns: the option with its argument; then the text, wrapped, with the default in
// brackets at its end.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter();
  std::string make_option_opts(const CLI::Option* option) const override;
  std::string make_option_desc(const CLI::Option* option) const override;
};

// The columns of a result and the exit codes.
std::string HelpFooter();

}  // namespace eta::bench
