// SPDX-License-Identifier: Apache-2.0
// eta_store: looks after the histories that a service keeps on disk.
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "bench/common/main.h"
#include "bench/common/options.h"
#include "bench/common/output.h"
#include "bench/common/text.h"
#include "bench/store/arguments.h"
#include "core/base/check.h"
#include "core/base/staged_folder.h"
#include "core/data/bundle.h"
#include "core/store/check.h"
#include "core/store/history_store.h"
#include "core/store/transfer.h"

namespace eta::bench {
namespace {

namespace fs = std::filesystem;

// What the subcommands read from the command line.
struct Arguments {
  std::string store;
  std::string input;
  std::string output;
  std::string users;
  std::string user;
  std::string partition;
  std::string durability = "synced";
  bool text_users = false;
  bool compact = false;
  StoreLimits limits;
  uint64_t offset = 0;
  uint64_t newest = 100;
};

StoreOptions ForReading() {
  StoreOptions options;
  options.read_only = true;
  return options;
}

void Create(const Arguments& a) { HistoryStore::Create(a.store, a.limits); }

void Import(const Arguments& a) {
  const Bundle bundle = ReadBundle(a.input);
  ImportHistories(bundle.histories, a.store, a.limits);
  std::cout << Printable(a.store) << ": " << bundle.histories.items.size() << " behaviours of "
            << bundle.histories.users() << " users\n";
}

Durability ParseDurability(const std::string& name) {
  if (name == "none") return Durability::kNone;
  if (name == "flushed") return Durability::kFlushed;
  Require(name == "synced", "--durability \"", name, "\" is not none, flushed or synced");
  return Durability::kSynced;
}

void Append(const Arguments& a, bool has_offset) {
  Require(has_offset == !a.partition.empty(), "--partition and --offset go together");
  const Durability durability = ParseDurability(a.durability);
  EventBatch batch;
  batch.events = ReadEvents(a.input, a.text_users);
  if (has_offset) batch.source = SourceOffset{a.partition, a.offset};
  HistoryStore store(a.store);
  const bool is_added = store.Append(batch, durability);
  if (durability == Durability::kNone) store.Sync();  // the destructor would hide a failure
  if (is_added) {
    std::cout << batch.events.size() << " behaviours appended\n";
  } else {
    std::cout << "skipped: the store has offset " << *store.Offset(a.partition)
              << " of this partition\n";
  }
}

void Read(const Arguments& a) {
  const UserId user = ParseUser(a.user, a.text_users, "");
  const HistoryStore store(a.store, ForReading());
  std::cout << "item,time\n";
  for (const Behaviour& behaviour : store.Read(user, a.newest)) {
    std::cout << behaviour.item << ',' << behaviour.time << '\n';
  }
}

void Forget(const Arguments& a) {
  const UserId user = ParseUser(a.user, a.text_users, "");
  HistoryStore store(a.store);
  store.Forget(user);
  if (a.compact) store.Compact();
}

void Compact(const Arguments& a) { HistoryStore(a.store).Compact(); }

void Snapshot(const Arguments& a) { HistoryStore(a.store).Snapshot(a.output); }

void Check(const Arguments& a) {
  const StoreReport report = CheckStore(a.store);
  for (const StoreDamage& damage : report.damage) {
    std::cout << Printable(damage.file) << ": " << Printable(damage.what) << '\n';
  }
  if (!report.damage.empty()) {
    throw DataError(
        Cat(a.store, ": ", report.damage.size(), " of ", report.files, " files are damaged"));
  }
  std::cout << report.files << " files, none damaged\n";
}

void PrintStats(const Arguments& a) {
  const HistoryStore store(a.store, ForReading());
  const StoreStats stats = store.Stats();
  const auto print = [](const char* label, const auto& value) {
    std::cout << label << ": " << value << '\n';
  };
  print("users", stats.users);
  print("behaviours", stats.behaviours);
  print("oldest", stats.behaviours == 0 ? "none" : std::to_string(stats.oldest));
  print("newest", stats.behaviours == 0 ? "none" : std::to_string(stats.newest));
  print("max_behaviours", store.limits().max_behaviours);
  print("max_age_seconds", store.limits().max_age_seconds);
  print("table_bytes", stats.table_bytes);
  for (const SourceOffset& source : stats.sources) {
    std::cout << "offset of " << Printable(source.partition) << ": " << source.offset << '\n';
  }
}

// The bundle and the users appear together, so that a failure leaves neither.
void WriteExport(const Bundle& bundle, const std::string& users, const Arguments& a) {
  StagedFolder staged(a.output);
  const fs::path made = staged.path() / "bundle";
  WriteBundle(bundle, made);
  for (const auto& entry : fs::directory_iterator(made)) {
    fs::rename(entry.path(), staged.path() / entry.path().filename());
  }
  fs::remove(made);
  OutputFiles files;
  if (!a.users.empty()) files.Add(a.users, users);
  files.Commit(&staged);
}

void Export(const Arguments& a) {
  CheckOutputs({a.users}, {a.input});
  Bundle bundle = ReadBundle(a.input);
  ExportedHistories exported;
  {
    const HistoryStore store(a.store, ForReading());
    exported = ExportHistories(store);
  }
  std::string users = "user\n";
  for (size_t row = 0; row < exported.users.size(); ++row) {
    Require(!a.users.empty() || exported.users[row] == UserId(static_cast<int64_t>(row)), "row ",
            row, " is of user ", UserField(exported.users[row]),
            ": --users FILE has to say whose each row is");
    users += UserField(exported.users[row]) + "\n";
  }
  bundle.histories = std::move(exported.histories);
  bundle.candidates.reset();  // of other rows
  bundle.made_by = Cat("eta_store export, items of ", bundle.name);
  try {
    ValidateBundle(bundle);
  } catch (const std::invalid_argument& error) {
    throw DataError(Cat(a.store, ": does not fit the items of ", a.input, ": ", error.what()));
  }
  WriteExport(bundle, users, a);
  std::cout << Printable(a.output) << ": " << bundle.histories.items.size() << " behaviours of "
            << bundle.histories.users() << " users\n";
}

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

CLI::App* AddCommand(CLI::App& app, Arguments& a, const char* name, const char* text,
                     const char* store = "Folder of the store") {
  CLI::App* command = app.add_subcommand(name, text);
  command->add_option("store", a.store, store)->required();
  return command;
}

void AddLimits(OptionGroup& group, Arguments& a) {
  group.Whole("--max-behaviours", a.limits.max_behaviours, 0, kMax,
              "Keep the newest N of each user; 0 keeps all");
  group.Whole("--max-age", a.limits.max_age_seconds, 0, kMax,
              "Drop behaviours older than N seconds; 0 drops none");
}

void AddUser(OptionGroup& group, Arguments& a) {
  group.Text("--user", a.user, "ID", "The user")->required();
  group.Flag("--text-users", a.text_users, "Users are texts, not numbers");
}

constexpr const char* kNewStore = "Folder to make; must not exist";

void AddMakers(CLI::App& app, Arguments& a) {
  CLI::App* command = AddCommand(app, a, "create", "Make an empty store", kNewStore);
  OptionGroup create(*command, "Options");
  AddLimits(create, a);
  command->callback([&a] { Create(a); });

  command = AddCommand(app, a, "import", "Make a store of a bundle's histories", kNewStore);
  OptionGroup import(*command, "Options");
  import.Text("--bundle", a.input, "DIR", "Bundle folder")->required();
  AddLimits(import, a);
  command->callback([&a] { Import(a); });

  command = AddCommand(app, a, "append", "Add behaviours, all or none");
  OptionGroup append(*command, "Options");
  append.Text("--input", a.input, "FILE", "CSV of user,item,time; - is standard input")->required();
  append.Text("--durability", a.durability, "NAME",
              "Wait for: none (synced as the program ends), flushed (the system), synced");
  append.Text("--partition", a.partition, "NAME", "Partition of the source");
  CLI::Option* offset = append.Whole("--offset", a.offset, 0, kMax,
                                     "Offset in it; not above the stored one: nothing is added");
  append.Flag("--text-users", a.text_users, "Users are texts, not numbers");
  command->callback([&a, offset] { Append(a, offset->count() > 0); });
}

void AddReaders(CLI::App& app, Arguments& a) {
  CLI::App* command = AddCommand(app, a, "read", "Print a user's newest behaviours, oldest first");
  OptionGroup read(*command, "Options");
  AddUser(read, a);
  read.Whole("--newest", a.newest, 0, kMaxCount, "How many at most");
  command->callback([&a] { Read(a); });

  command = AddCommand(app, a, "stats", "Count users, behaviours and bytes");
  command->callback([&a] { PrintStats(a); });

  command = AddCommand(app, a, "check", "Verify all checksums and name what is damaged");
  command->callback([&a] { Check(a); });

  command = AddCommand(app, a, "export", "Write a bundle with the store's histories");
  OptionGroup exporting(*command, "Options");
  exporting.Text("--items", a.input, "DIR", "Bundle that the items are of")->required();
  exporting.Text("--output", a.output, "DIR", "Bundle folder to make; must not exist")->required();
  exporting.Text("--users", a.users, "FILE", "CSV to write: the user of each row");
  command->callback([&a] { Export(a); });
}

void AddChanges(CLI::App& app, Arguments& a) {
  CLI::App* command = AddCommand(app, a, "forget", "Remove a user's behaviours");
  OptionGroup forget(*command, "Options");
  AddUser(forget, a);
  forget.Flag("--compact", a.compact, "Remove them from the disk at once, as compact does");
  command->callback([&a] { Forget(a); });

  command = AddCommand(app, a, "compact", "Rewrite all files without what is forgotten or too old");
  command->callback([&a] { Compact(a); });

  command = AddCommand(app, a, "snapshot", "Write a store as it is now to a folder of its own");
  OptionGroup snapshot(*command, "Options");
  snapshot.Text("--output", a.output, "DIR", kNewStore)->required();
  command->callback([&a] { Snapshot(a); });
}

int Run(int argc, char** argv) {
  App app("eta_store", "Looks after a store of histories, a folder that a service appends to.");
  app.require_subcommand(1);
  app.footer(
      "Exit codes: 0 done; 1 unexpected failure; 2 bad arguments or data, or a damaged store. An "
      "error is one line on standard error.");
  Arguments arguments;
  AddMakers(app, arguments);
  AddReaders(app, arguments);
  AddChanges(app, arguments);
  app.Parse(argc, argv);
  return 0;
}

}  // namespace
}  // namespace eta::bench

int main(int argc, char** argv) {
  return eta::bench::RunMain("eta_store", eta::bench::Run, argc, argv);
}
