// SPDX-License-Identifier: Apache-2.0
// What the main functions of the programs share.
#pragma once

#include <stdexcept>

namespace eta::bench {

// A kernel and its scalar reference disagree. what() is one line.
class Mismatch : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Runs a program and returns its exit code: that of `run`, or after one line on stderr 2 for bad
// arguments and data, 3 for a kernel that differs from its scalar twin, 1 for anything else. What
// is printed to std::cout and std::cerr meanwhile has escapes in place of control characters, and
// output that cannot be written is an error.
int RunMain(const char* program, int (*run)(int argc, char** argv), int argc, char** argv);

}  // namespace eta::bench
