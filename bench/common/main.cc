// SPDX-License-Identifier: Apache-2.0
#include "bench/common/main.h"

#include <iostream>
#include <new>
#include <stdexcept>

#include "bench/common/text.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

constexpr int kUnexpected = 1;
constexpr int kBadInput = 2;
constexpr int kMismatch = 3;

int Fail(const char* program, int exit_code, const char* message) {
  std::cerr << program << ": " << OneLine(message) << '\n';
  return exit_code;
}

}  // namespace

int RunMain(const char* program, int (*run)(int argc, char** argv), int argc, char** argv) {
  try {
    return run(argc, argv);
  } catch (const Mismatch& error) {
    return Fail(program, kMismatch, error.what());
  } catch (const std::invalid_argument& error) {
    return Fail(program, kBadInput, error.what());
  } catch (const DataError& error) {
    return Fail(program, kBadInput, error.what());
  } catch (const std::bad_alloc&) {
    return Fail(program, kUnexpected, "not enough memory");
  } catch (const std::exception& error) {
    return Fail(program, kUnexpected, error.what());
  }
}

}  // namespace eta::bench
