// SPDX-License-Identifier: Apache-2.0
// eta_store as a user runs it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/base/check.h"
#include "core/data/bundle.h"
#include "core/data/generator.h"
#include "core/store/history_store.h"
#include "tests/support/temp_folder.h"

namespace eta {
namespace {

namespace fs = std::filesystem;

struct Outcome {
  int exit_code;
  std::string out;
  std::string err;
};

class EtaStore : public ::testing::Test {
 protected:
  Outcome Run(const std::string& arguments, const std::string& prefix = "") {
    const fs::path out = folder_ / "stdout", err = folder_ / "stderr";
    const std::string command = Cat("cd '", folder_.path().string(), "'; ", prefix, " ", ETA_STORE,
                                    " ", arguments, " >", out.string(), " 2>", err.string());
    const int status = std::system(command.c_str());
    Outcome outcome{WIFEXITED(status) ? WEXITSTATUS(status) : -1, ReadText(out), ReadText(err)};
    fs::remove(out);
    fs::remove(err);
    return outcome;
  }

  // The command must succeed and print `out`.
  void Expect(const std::string& arguments, const std::string& out,
              const std::string& prefix = "") {
    const Outcome outcome = Run(arguments, prefix);
    EXPECT_EQ(outcome.exit_code, 0) << arguments << ": " << outcome.err;
    EXPECT_EQ(outcome.out, out) << arguments;
    EXPECT_EQ(outcome.err, "") << arguments;
  }

  // It must end with 2 and one line on stderr that has `text`, and leave nothing behind.
  void ExpectBadInput(const std::string& arguments, const std::string& text,
                      const std::string& prefix = "") {
    const size_t entries = folder_.CountEntries();
    const Outcome outcome = Run(arguments, prefix);
    EXPECT_EQ(outcome.exit_code, 2) << arguments << ": " << outcome.err;
    EXPECT_EQ(std::ranges::count(outcome.err, '\n'), 1) << arguments << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(text), std::string::npos) << arguments << ": " << outcome.err;
    EXPECT_EQ(folder_.CountEntries(), entries) << arguments;
  }

  void Events(const std::string& lines) {
    WriteText(folder_ / "in.csv", Cat("user,item,time\n", lines));
  }

  TempFolder folder_;
};

TEST_F(EtaStore, AppendsReadsAndForgets) {
  Expect("create s --max-behaviours 3", "");
  Events("5,1,10\n5,2,8\n-6,3,1\n");
  Expect("append s --input in.csv --partition p --offset 7", "3 behaviours appended\n");
  Expect("append s --input in.csv --partition p --offset 7",
         "skipped: the store has offset 7 of this partition\n");
  Expect("append s --input - --durability none", "1 behaviours appended\n",
         "printf 'user,item,time\\n5,9,9' |");
  Expect("read s --user 5", "item,time\n2,8\n9,9\n1,10\n");
  Expect("read s --user 5 --newest 1", "item,time\n1,10\n");
  Expect("read s --user=-6", "item,time\n3,1\n");
  Expect("read s --user 5 --text-users", "item,time\n");
  const Outcome stats = Run("stats s");
  EXPECT_EQ(stats.out.rfind("users: 2\nbehaviours: 4\noldest: 1\nnewest: 10\nmax_behaviours: 3\n"
                            "max_age_seconds: 0\ntable_bytes: ",
                            0),
            0u)
      << stats.out;
  EXPECT_NE(stats.out.find("\noffset of p: 7\n"), std::string::npos) << stats.out;
  Expect("snapshot s --output copy", "");
  Expect("forget s --user 5 --compact", "");
  Expect("read s --user 5", "item,time\n");
  Expect("read copy --user 5 --newest 1", "item,time\n1,10\n");
  Expect("compact copy", "");
  const Outcome check = Run("check s");
  EXPECT_EQ(check.exit_code, 0) << check.out;
  EXPECT_NE(check.out.find(" files, none damaged\n"), std::string::npos) << check.out;
}

TEST_F(EtaStore, ImportsAndExportsBundles) {
  GeneratorOptions options;
  options.users = 6;
  options.items = 100;
  options.dim = 4;
  const Bundle bundle = GenerateBundle(options);
  WriteBundle(bundle, folder_ / "bundle");
  const std::string counts = Cat(": ", bundle.histories.items.size(), " behaviours of 6 users\n");
  Expect("import s --bundle bundle", "s" + counts);
  Expect("export s --items bundle --output again", "again" + counts);
  EXPECT_EQ(ReadBundle(folder_ / "again").histories.items, bundle.histories.items);
  ExpectBadInput("import s --bundle bundle", "exists already");
  ExpectBadInput("import t --bundle no", "no");
  ExpectBadInput("export s --items bundle --output again", "exists already");

  Events("x;y,1,99\n");
  Expect("append s --input in.csv --text-users", "1 behaviours appended\n");
  ExpectBadInput("export s --items bundle --output named", "--users FILE");
  if (fs::exists("/dev/full")) {  // which no check of names finds beforehand
    ExpectBadInput("export s --items bundle --output named --users /dev/full", "No space left");
  }
  ExpectBadInput("export s --items bundle --output named --users no/users.csv", "no/users.csv");
  Run("export s --items bundle --output named --users users.csv");
  EXPECT_EQ(ReadText(folder_ / "users.csv"), "user\n0\n1\n2\n3\n4\n5\nx;y\n");
  EXPECT_EQ(ReadBundle(folder_ / "named").histories.users(), 7u);
  Events("1,100,2147483647\n");
  Expect("append s --input in.csv", "1 behaviours appended\n");
  ExpectBadInput("export s --items bundle --output more --users u.csv", "does not fit the items");
}

TEST_F(EtaStore, RefusesBadArguments) {
  Expect("create s", "");
  Events("1,1,1\n");
  ExpectBadInput("", "subcommand");
  ExpectBadInput("nonsense s", "subcommand");
  ExpectBadInput("create s", "exists already");
  ExpectBadInput("create no/parent/s", "cannot be made");
  ExpectBadInput("create t --max-behaviours -1", "--max-behaviours");
  ExpectBadInput("create t --max-age 1.5", "--max-age");
  ExpectBadInput("read s", "--user");
  ExpectBadInput("read s --user x", "--text-users");
  ExpectBadInput("read s --user 01", "01");
  ExpectBadInput("read s --user 9223372036854775808", "9223372036854775808");
  ExpectBadInput("read s --user=-9223372036854775809", "-9223372036854775809");
  Expect("read s --user=-9223372036854775808", "item,time\n");
  Expect("read s --user 9223372036854775807", "item,time\n");
  ExpectBadInput("read s --user ''", "--user");
  ExpectBadInput("read s --user 1 --newest x", "--newest");
  ExpectBadInput("append s --input no.csv", "no.csv");
  ExpectBadInput("append s --input in.csv --durability some", "some");
  ExpectBadInput("append s --input in.csv --partition p", "--offset");
  ExpectBadInput("append s --input in.csv --offset 1", "--partition");
  ExpectBadInput("append s --input in.csv --partition p --offset -1", "--offset");
  ExpectBadInput("forget s --user 1.5", "1.5");
  ExpectBadInput("snapshot s --output s", "exists already");
  for (const std::string command :
       {"append t --input in.csv", "read t --user 1", "stats t", "check t", "compact t",
        "forget t --user 1", "snapshot t --output u", "export t --items x --output y"}) {
    ExpectBadInput(command, command[0] == 'e' ? "x" : "no history store");
  }
}

TEST_F(EtaStore, RefusesBadEventsAndAppendsNoneOfThem) {
  Expect("create s", "");
  for (const char* bad :
       {"", "1,1", "1", ",1,1", "1,,1", "1,1,", "1,-1,1", "1,2147483648,1", "1,1,1.5", "1, 1,1",
        "1,1,9223372036854775808", "x,1,1", "1,1,1,1", "\"1\",1,1", "1,01,1", "1,1,+1", "1,1,-0"}) {
    Events(Cat("1,1,1\n", bad, "\n1,1,1\n"));
    ExpectBadInput("append s --input in.csv", "in.csv:3: ");
  }
  WriteText(folder_ / "in.csv", "1,1,1\n");
  ExpectBadInput("append s --input in.csv", "in.csv:1: expected \"user,item,time\"");
  WriteText(folder_ / "in.csv", "");
  ExpectBadInput("append s --input in.csv", "in.csv:1: expected \"user,item,time\"");
  Events(Cat(std::string(256, 'x'), ",1,1\n"));
  ExpectBadInput("append s --input in.csv --text-users", "256 bytes");
  Expect("read s --user 1", "item,time\n");
}

// What waits in memory for the end of the program is not lost without a word.
TEST_F(EtaStore, SaysWhereAnAppendWithoutWaitingFails) {
  Expect("create s", "");
  std::string lines;
  for (int i = 0; i < 20000; ++i) lines += Cat("1,", i, ",1\n");
  Events(lines);
  ExpectBadInput("append s --input in.csv --durability none", "File too large",
                 "trap '' XFSZ; ulimit -f 100;");
  Expect("read s --user 1", "item,time\n");
}

TEST_F(EtaStore, NamesWhatIsDamaged) {
  Expect("create s", "");
  Events("1,1,1\n");
  Expect("append s --input in.csv", "1 behaviours appended\n");
  Expect("compact s", "");
  for (const auto& entry : fs::directory_iterator(folder_ / "s" / "db")) {
    if (entry.path().extension() != ".sst") continue;
    std::string bytes = ReadText(entry.path());
    bytes[5] = static_cast<char>(bytes[5] ^ 1);
    WriteText(entry.path(), bytes);
    const Outcome check = Run("check s");
    EXPECT_EQ(check.exit_code, 2);
    EXPECT_EQ(check.out.rfind(Cat("db/", entry.path().filename().string(), ": "), 0), 0u)
        << check.out;
    EXPECT_NE(check.err.find("1 of "), std::string::npos) << check.err;
    bytes[5] = static_cast<char>(bytes[5] ^ 1);
    WriteText(entry.path(), bytes);
  }
  WriteText(folder_ / "s" / "eta_store.txt", "?");
  ExpectBadInput("check s", "eta_store.txt");
}

TEST_F(EtaStore, SharesAFolderByErrorsAlone) {
  Expect("create s", "");
  Events("1,1,1\n");
  const HistoryStore here(folder_ / "s");
  for (const char* command : {"append s --input in.csv", "read s --user 1", "check s", "stats s"}) {
    ExpectBadInput(command, "in use by another process");
  }
}

// Root may write everywhere, so that another user runs the program, where the test may do that.
TEST_F(EtaStore, ReadsAFolderThatItMayNotWrite) {
  Expect("create s", "");
  Events("1,1,1\n");
  Expect("append s --input in.csv", "1 behaviours appended\n");
  std::string prefix;
  if (::geteuid() == 0) {
    prefix = "setpriv --reuid 65534 --regid 65534 --clear-groups";
    fs::permissions(folder_.path(), fs::perms::others_read | fs::perms::others_exec,
                    fs::perm_options::add);
    if (std::system(Cat(prefix, " ", ETA_STORE, " --help >/dev/null 2>&1").c_str()) != 0) {
      GTEST_SKIP() << "no other user can run the program";
    }
  }
  const auto set_write = [&](bool on) {
    for (const fs::path& path : {folder_ / "s" / "db", folder_ / "s", folder_.path()}) {
      fs::permissions(path, fs::perms::owner_write,
                      on ? fs::perm_options::add : fs::perm_options::remove);
    }
  };
  set_write(false);
  const fs::path out = fs::path(::testing::TempDir()) / Cat("eta_store_", ::getpid());
  const auto run = [&](const std::string& arguments) {
    const std::string command = Cat("cd '", folder_.path().string(), "'; ", prefix, " ", ETA_STORE,
                                    " ", arguments, " >", out.string(), " 2>&1");
    const int status = std::system(command.c_str());
    return Cat(WIFEXITED(status) ? WEXITSTATUS(status) : -1, ' ', ReadText(out));
  };
  EXPECT_EQ(run("read s --user 1"), "0 item,time\n1,1\n");
  EXPECT_EQ(run("check s").rfind("0 ", 0), 0u);
  for (const char* command : {"append s --input in.csv", "forget s --user 1", "compact s",
                              "create t", "snapshot s --output t"}) {
    const std::string outcome = run(command);
    EXPECT_EQ(outcome.rfind("2 eta_store: ", 0), 0u) << outcome;
    EXPECT_NE(outcome.find("Permission denied"), std::string::npos) << outcome;
    EXPECT_EQ(std::ranges::count(outcome, '\n'), 1) << outcome;
  }
  EXPECT_EQ(run("read s --user 1"), "0 item,time\n1,1\n");
  set_write(true);
  fs::remove(out);
}

}  // namespace
}  // namespace eta
