// SPDX-License-Identifier: Apache-2.0
#include "bench/common/main.h"

#include <iostream>
#include <new>
#include <stdexcept>
#include <streambuf>
#include <string>

#include "bench/common/text.h"
#include "core/base/check.h"

namespace eta::bench {
namespace {

constexpr int kUnexpected = 1;
constexpr int kBadInput = 2;
constexpr int kMismatch = 3;

// Escapes control characters in all that is printed to a stream during its life; line ends and
// tabs stay. Texts of files and names of folders are printed in many places. What is printed is
// held back until the stream is flushed, so that no character is cut in two.
class PrintableOutput : public std::streambuf {
 public:
  explicit PrintableOutput(std::ostream& stream) : stream_(stream), out_(stream.rdbuf(this)) {}
  ~PrintableOutput() override {
    stream_.flush();
    stream_.rdbuf(out_);
  }
  PrintableOutput(const PrintableOutput&) = delete;
  PrintableOutput& operator=(const PrintableOutput&) = delete;

 protected:
  int_type overflow(int_type c) override {
    if (!traits_type::eq_int_type(c, traits_type::eof())) held_ += traits_type::to_char_type(c);
    return traits_type::not_eof(c);
  }
  std::streamsize xsputn(const char* text, std::streamsize size) override {
    held_.append(text, static_cast<size_t>(size));
    return size;
  }
  int sync() override {
    const std::string text = Printable(held_, "\n\t");
    held_.clear();
    const auto size = static_cast<std::streamsize>(text.size());
    return out_->sputn(text.data(), size) == size ? out_->pubsync() : -1;
  }

 private:
  std::ostream& stream_;
  std::streambuf* out_;
  std::string held_;
};

int Fail(const char* program, int exit_code, const char* message) {
  std::cout.flush();
  std::cerr << program << ": " << Printable(message) << std::endl;
  return exit_code;
}

}  // namespace

int RunMain(const char* program, int (*run)(int argc, char** argv), int argc, char** argv) {
  const PrintableOutput out(std::cout), err(std::cerr);
  try {
    const int exit_code = run(argc, argv);
    if (!std::cout.flush()) throw DataError("stdout: cannot be written");
    return exit_code;
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
