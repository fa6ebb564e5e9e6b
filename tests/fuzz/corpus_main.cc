// SPDX-License-Identifier: Apache-2.0
// Runs a fuzzer without libFuzzer, on every SIMD target: as a test, with every file of the folders
// and files that are named; with --seconds, also with changed ones, so that a build for the
// sanitizers is enough to fuzz. Without libFuzzer's measure of what an input reaches, it goes less
// deep.
//
//   NAME_fuzz FILE_OR_FOLDER... [--seconds N] [--seed N] [--findings DIR]
#include <gtest/gtest.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/common_interface_defs.h>
#endif

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/input.h"

const bool eta::fuzz::kRunEveryTarget = true;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<char>;

constexpr size_t kMaxBytes = 4096;  // of a changed input, as scripts/fuzz.sh has it

struct Arguments {
  std::vector<fs::path> files;
  double seconds = 0.0;
  uint64_t seed = 1;
  fs::path findings = ".";
};

Arguments Parse(int argc, char** argv) {
  Arguments arguments;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name.starts_with("--")) {
      if (++i == argc) throw std::runtime_error(name + " needs a value");
      if (name == "--seconds") {
        arguments.seconds = std::stod(argv[i]);
      } else if (name == "--seed") {
        arguments.seed = std::stoull(argv[i]);
      } else if (name == "--findings") {
        arguments.findings = argv[i];
      } else {
        throw std::runtime_error(name + " is no option");
      }
    } else if (fs::is_directory(name)) {
      for (const auto& entry : fs::directory_iterator(name)) {
        arguments.files.push_back(entry.path());
      }
    } else {
      arguments.files.emplace_back(name);
    }
  }
  std::ranges::sort(arguments.files);
  return arguments;
}

Bytes Read(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) throw std::runtime_error("cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

void Run(const Bytes& bytes) {
  // As libFuzzer does: an array of exact size, so that a sanitizer sees a read past the end.
  const Bytes exact(bytes);
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(exact.data()), exact.size());
}

// A changed input that is running, and where it is kept if it breaks something.
Bytes running;
fs::path finding;

void KeepRunning() {
  if (finding.empty()) return;
  std::ofstream(finding, std::ios::binary)
      .write(running.data(), static_cast<std::streamsize>(running.size()));
  std::fprintf(stderr, "The input is %s\n", finding.c_str());
}

// One to eight changes, each of a bit, a byte, a number or a part.
Bytes Change(const std::vector<Bytes>& inputs, std::mt19937_64& random) {
  const auto below = [&](size_t n) { return n == 0 ? 0 : random() % n; };
  Bytes bytes = inputs[below(inputs.size())];
  for (size_t left = 1 + below(8); left > 0; --left) {
    if (bytes.empty()) bytes.push_back(static_cast<char>(random()));
    const size_t at = below(bytes.size()), most = bytes.size() - at;
    const auto here = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    const auto part = static_cast<std::ptrdiff_t>(1 + below(std::min<size_t>(most, 16)));
    switch (below(6)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 1:
        bytes[at] = "\x00\x01\x7f\x80\xff"[below(5)];
        break;
      case 2:
        bytes[at] = static_cast<char>(bytes[at] + static_cast<char>(below(17)) - 8);
        break;
      case 3:
        bytes.erase(here, here + part);
        break;
      case 4:
        bytes.insert(here, static_cast<size_t>(part), static_cast<char>(random()));
        break;
      default: {
        const Bytes& other = inputs[below(inputs.size())];
        const size_t from = below(other.size());
        std::copy_n(other.begin() + static_cast<std::ptrdiff_t>(from),
                    std::min(most, other.size() - from), here);
      }
    }
  }
  bytes.resize(std::min(bytes.size(), kMaxBytes));
  return bytes;
}

// Runs changed inputs until the time is over; returns how many.
size_t RunChanged(const std::vector<Bytes>& inputs, const Arguments& arguments) {
  const auto end =
      std::chrono::steady_clock::now() + std::chrono::duration<double>(arguments.seconds);
  std::mt19937_64 random(arguments.seed);
  finding = arguments.findings / ("finding_" + std::to_string(arguments.seed));
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_set_death_callback(KeepRunning);
#endif
  size_t count = 0;
  for (; std::chrono::steady_clock::now() < end; ++count) {
    running = Change(inputs, random);
    Run(running);
  }
  return count;
}

}  // namespace

int main(int argc, char** argv) {
  ::testing::GTEST_FLAG(throw_on_failure) = true;
  std::string at = argv[0];
  try {
    const Arguments arguments = Parse(argc, argv);
    std::vector<Bytes> inputs;
    for (const fs::path& file : arguments.files) {
      at = file.string();
      inputs.push_back(Read(file));
      Run(inputs.back());
    }
    std::printf("%zu inputs passed\n", inputs.size());
    if (inputs.empty()) return 1;  // a corpus that is not found must not pass
    if (arguments.seconds > 0) {
      at = "a changed input";
      std::printf("%zu changed inputs passed\n", RunChanged(inputs, arguments));
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", at.c_str(), error.what());
    KeepRunning();
    return 1;
  }
}
