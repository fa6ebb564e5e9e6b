// SPDX-License-Identifier: Apache-2.0
// Error messages, and the two kinds of error that this project throws.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#include "core/base/export.h"

namespace eta {

// Joins its arguments as text; used to put names and numbers into error messages.
template <class... Args>
std::string Cat(const Args&... args) {
  std::ostringstream out;
  (out << ... << args);
  return std::move(out).str();
}

// Throws std::invalid_argument with the joined message unless `condition` holds.
template <class... Args>
void Require(bool condition, const Args&... message) {
  if (!condition) throw std::invalid_argument(Cat(message...));
}

// More behaviours than positions, int32, can number.
class ETA_CORE_API TooLongError : public std::length_error {
 public:
  using std::length_error::length_error;
};

// A file or folder whose content cannot be used. what() is one line: file, what, where.
class ETA_CORE_API DataError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace eta
