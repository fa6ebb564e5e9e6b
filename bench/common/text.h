// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace eta::bench {

std::string Fixed(double value, int decimals);
std::string Fixed(const std::optional<double>& value, int decimals, const char* missing);

// Texts in right-aligned columns, the first one left-aligned. `lines` is not empty and all its
// lines have the same number of texts.
std::string Align(const std::vector<std::vector<std::string>>& lines);

// A field of a CSV (RFC 4180), quoted only where it must be.
std::string CsvField(const std::string& text);

}  // namespace eta::bench
