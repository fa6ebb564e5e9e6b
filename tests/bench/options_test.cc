// SPDX-License-Identifier: Apache-2.0
// What the command lines of all programs share.
#include "bench/common/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/common/output.h"
#include "bench/common/text.h"
#include "core/base/check.h"
#include "tests/support/temp_folder.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

struct Values {
  size_t count = 7;
  int threads = 1;
  uint64_t seed = 1;
  double share = 0.5;
  std::string name = "old";
};

// Reads the arguments as a program does.
Values Parse(const std::vector<std::string>& arguments) {
  Values values;
  App app("program", "A program.");
  OptionGroup group(app, "Options");
  group.Whole("--count", values.count, 1, 1000, "Things");
  group.Whole("--threads", values.threads, 1, 64, "Threads");
  group.Whole("--seed", values.seed, 0, kMaxSeed, "Seed");
  group.Decimal("--share", values.share, 1, "Share");
  group.Text("--name", values.name, "NAME", "Name");
  std::vector<std::string> all{"program"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  EXPECT_TRUE(app.Parse(static_cast<int>(argv.size()), argv.data()));
  return values;
}

TEST(OptionGroup, ReadsValues) {
  EXPECT_EQ(Parse({}).count, 7u);
  EXPECT_EQ(Parse({"--count", "10"}).count, 10u);
  EXPECT_EQ(Parse({"--threads=64"}).threads, 64);
  EXPECT_EQ(Parse({"--seed", "0"}).seed, 0u);
  EXPECT_EQ(Parse({"--seed", "18446744073709551615"}).seed, kMaxSeed);
  EXPECT_EQ(Parse({"--share", "0.25"}).share, 0.25);
  EXPECT_EQ(Parse({"--share", "1"}).share, 1);
  EXPECT_EQ(Parse({"--name", "new"}).name, "new");
}

TEST(OptionGroup, TakesTheLastOfSeveral) {
  EXPECT_EQ(Parse({"--count", "10", "--count", "20"}).count, 20u);
  EXPECT_EQ(Parse({"--name", "a", "--name", "b"}).name, "b");
}

// Leading zeros make a number octal for C, and so for CLI11.
TEST(OptionGroup, RefusesWhatIsNotPlainlyAWholeNumber) {
  for (const char* text : {"010", "00", "0x10", "1e2", "1.0", "-1", "+1", " 1", "1 ", "1x", "x", "",
                           "0", "1001", "18446744073709551617"}) {
    try {
      Parse({"--count", text});
      ADD_FAILURE() << "accepted \"" << text << '"';
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find("--count"), std::string::npos) << error.what();
    }
  }
}

TEST(OptionGroup, RefusesBadDecimalsAndEmptyTexts) {
  for (const char* text : {"-0.1", "1.1", "nan", "inf", "x", "", "0.5x", " 0.5"}) {
    EXPECT_THROW(Parse({"--share", text}), std::invalid_argument) << text;
  }
  EXPECT_THROW(Parse({"--name", ""}), std::invalid_argument);
  EXPECT_THROW(Parse({"--name"}), std::invalid_argument);
  EXPECT_THROW(Parse({"--nonsense"}), std::invalid_argument);
}

TEST(App, PrintsHelpWithDefaultsInLinesThatFit) {
  App app("program", std::string(30, 'x') +
                         " and so on, with many words to be broken where the "
                         "line is full, which it is here");
  size_t count = 7;
  OptionGroup group(app, "Numbers");
  group.Whole("--count", count, 1, 1000,
              "Things, of which there are so many that this text about them takes more than one "
              "line of help, however wide the terminal is");
  const std::string help = app.help();
  EXPECT_NE(help.find("Numbers:"), std::string::npos) << help;
  EXPECT_NE(help.find("[7]"), std::string::npos) << help;
  size_t begin = 0;
  for (size_t end; (end = help.find('\n', begin)) != std::string::npos; begin = end + 1) {
    EXPECT_LE(end - begin, kHelpWidth) << help.substr(begin, end - begin);
  }
}

TEST(Text, ParsesWholeTextsOnly) {
  EXPECT_EQ(ParseWhole("0"), 0u);
  EXPECT_EQ(ParseWhole("120"), 120u);
  for (const char* text : {"", "01", "-1", "+1", "1 ", "1,", "18446744073709551616"}) {
    EXPECT_EQ(ParseWhole(text), std::nullopt) << text;
  }
  EXPECT_EQ(ParseDecimal("1e3"), 1000);
  for (const char* text : {"", "1e3 ", " 1", "inf", "-inf", "nan", "1e999"}) {
    EXPECT_EQ(ParseDecimal(text), std::nullopt) << text;
  }
}

// It was taken for a device, and the second text came after the first.
TEST(Output, ReplacesAFileInSharedMemory) {
  if (!std::filesystem::is_directory("/dev/shm")) GTEST_SKIP() << "there is no /dev/shm";
  const std::string path = Cat("/dev/shm/eta_output_test.", ::getpid());
  for (const char* text : {"first text", "second"}) {
    WriteWholeFile(path, text);
    std::ifstream file(path);
    EXPECT_EQ(std::string(std::istreambuf_iterator<char>(file), {}), text);
  }
  std::filesystem::remove(path);
}

TEST(Output, FilesOfARunAppearTogether) {
  const TempFolder folder;
  const std::filesystem::path csv = folder / "rows.csv", json = folder / "run.json";
  {
    OutputFiles files;
    files.Add(csv, "rows");
    files.Add(json, "run");
    EXPECT_FALSE(exists(csv) || exists(json));
    files.Commit();
  }
  EXPECT_EQ(std::filesystem::file_size(csv), 4);
  EXPECT_EQ(std::filesystem::file_size(json), 3);
  EXPECT_EQ(folder.CountEntries(), 2);
}

// Whatever fails, no file is left or replaced.
TEST(Output, NoFileOfARunAppearsAlone) {
  const TempFolder folder;
  const std::filesystem::path csv = folder / "rows.csv", dump = folder / "dump";
  {
    OutputFiles files;
    files.Add(csv, "rows");
    EXPECT_THROW(files.Add(folder / "none" / "run.json", "run"), DataError);
  }
  EXPECT_EQ(folder.CountEntries(), 0);
  if (std::filesystem::exists("/dev/full")) {
    StagedFolder staged(dump);
    OutputFiles files;
    files.Add(csv, "rows");
    files.Add("/dev/full", "run");
    EXPECT_THROW(files.Commit(&staged), DataError);
    EXPECT_FALSE(exists(dump));
  }
  EXPECT_EQ(folder.CountEntries(), 0);
  {
    StagedFolder staged(dump);
    std::filesystem::create_directory(dump);  // by somebody else, meanwhile
    OutputFiles files;
    files.Add(csv, "rows");
    EXPECT_THROW(files.Commit(&staged), DataError);
  }
  EXPECT_EQ(folder.CountEntries(), 1);
}

TEST(Text, ExcerptsAreShortAndOnOneLine) {
  EXPECT_EQ(Excerpt("a\nb"), "a\\nb");
  EXPECT_EQ(Excerpt("abcdef", 3), "abc...");
}

TEST(Text, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(Printable("a\nb\tc\r\x7f\x1b[d\xc3\xa9"), "a\\nb\\tc\\r\\x7f\\x1b[d\xc3\xa9");
  EXPECT_EQ(Printable("a\nb\tc\r", "\n\t"), "a\nb\tc\\r");
  EXPECT_EQ(Printable("\xc2\x9b|\xe2\x80\xae|\xe2\x80\x8b|\xef\xbb\xbf"),
            "\\x9b|\\u202e|\\u200b|\\ufeff");
  EXPECT_EQ(Printable("\xe6\x97\xa5\xf0\x9f\x98\x80 \\"), "\xe6\x97\xa5\xf0\x9f\x98\x80 \\");
  EXPECT_EQ(Printable(std::string_view("\0", 1)), "\\x00");
  // Not UTF-8: a byte alone, one too few, an overlong form, a surrogate, beyond Unicode.
  EXPECT_EQ(Printable("\x9b\xff"), "\\x9b\\xff");
  EXPECT_EQ(Printable("\xe6\x97"), "\\xe6\\x97");
  EXPECT_EQ(Printable("\xc0\x9b"), "\\xc0\\x9b");
  EXPECT_EQ(Printable("\xe0\x82\x9b"), "\\xe0\\x82\\x9b");
  EXPECT_EQ(Printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(Printable("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");
}

TEST(CheckOutputs, FindsFilesThatCannotBeWrittenOrMeetAnother) {
  const TempFolder folder;
  const std::string a = (folder / "a").string();
  const std::string b = (folder / "b").string();
  EXPECT_NO_THROW(CheckOutputs({a, "", b, ""}));
  EXPECT_EQ(folder.CountEntries(), 0u);
  EXPECT_THROW(CheckOutputs({a, b, a}), std::invalid_argument);
  EXPECT_THROW(CheckOutputs({a, (folder / "./a").string()}), std::invalid_argument);
  EXPECT_THROW(CheckOutputs({(folder / "missing/a").string()}), DataError);
  EXPECT_THROW(CheckOutputs({folder.path().string()}), DataError);
  EXPECT_THROW(CheckOutputs({a + "/"}), DataError);
  WriteText(a, "text");
  fs::create_hard_link(a, b);
  EXPECT_THROW(CheckOutputs({a, b}), std::invalid_argument);
  EXPECT_NO_THROW(CheckOutputs({a, "/dev/null"}));
}

// By whatever path or link, there already or not.
TEST(CheckOutputs, RefusesToWriteOverAnInput) {
  const TempFolder folder;
  const fs::path data = folder / "data";
  fs::create_directories(data / "step_1" / "bundle");
  const fs::path array = data / "step_1" / "bundle" / "item_embeddings.npy";
  WriteText(array, "array");
  WriteText(folder / "elsewhere.npy", "array");
  fs::create_symlink(folder / "elsewhere.npy", data / "hyperplanes.npy");
  WriteText(data / "results.csv", "of another run");
  WriteText(folder / "torch.jsonl", "lines");
  fs::create_symlink(array, folder / "soft");
  fs::create_hard_link(array, folder / "hard");
  fs::create_directory_symlink(data, folder / "other_name");
  const std::vector<std::string> inputs = {"", data, folder / "torch.jsonl"};
  for (const fs::path& output :
       {array, data / "bundle.json", data / "not_there_yet.npy", data / "step_1" / "manifest.json",
        data / "model.pt", folder / "soft", folder / "hard", folder / "elsewhere.npy",
        folder / "other_name" / "bundle.json", folder / "x" / ".." / "data" / "bundle.json",
        folder / "torch.jsonl", data}) {
    EXPECT_THROW(CheckOutputs({"", output}, inputs), std::invalid_argument) << output;
  }
  for (const fs::path& output : {data / "results.csv", data / "new.json", folder / "new.npy",
                                 folder / "data.json", fs::path("/dev/null")}) {
    EXPECT_NO_THROW(CheckOutputs({"", output}, inputs)) << output;
  }
  EXPECT_EQ(ReadText(array), "array");
  EXPECT_EQ(folder.CountEntries(), 6u);
}

}  // namespace
}  // namespace eta::bench
