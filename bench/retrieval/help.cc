// SPDX-License-Identifier: Apache-2.0
#include "bench/retrieval/help.h"

#include <span>

#include "bench/common/text.h"
#include "bench/retrieval/columns.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

std::string ColumnsText(std::span<const Column> columns) {
  const std::string indent(kHelpIndent, ' ');
  std::string text;
  for (const Column& column : columns) {
    std::string name = Cat("  ", column.name);
    name.resize(kHelpIndent, ' ');
    text += name + Wrap(column.meaning, kHelpWidth - kHelpIndent, indent) + "\n";
  }
  return text;
}

}  // namespace

std::string HelpFooter() {
  return "Columns of the CSV and the JSON, and of the table by shorter names:\n" +
         ColumnsText(kColumns) +
         "\nColumns of --per-request, a row for each request and method:\n" +
         ColumnsText(kPerRequestColumns) + "\nColumns of --load-csv:\n" +
         ColumnsText(kLoadColumns) +
         "\nExit codes: 0 done; 1 unexpected failure; 2 bad arguments or data; 3 a kernel "
         "disagrees with\nthe scalar reference.";
}

}  // namespace eta::bench
