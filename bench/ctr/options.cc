// SPDX-License-Identifier: Apache-2.0
#include "bench/ctr/options.h"

#include "bench/common/options.h"
#include "core/base/check.h"

namespace eta::bench {

std::optional<CtrOptions> ParseCtrOptions(int argc, char** argv) {
  CtrOptions o;
  o.command_line.assign(argv, argv + argc);
  App app("ctr_bench",
          "Quality and latency of CTR models that scripts/train_ctr.py exported (docs/models.md). "
          "Predicts each model's test samples, compares the logits with the exported ones (exit "
          "code 1 where they differ by more than 1e-4, or by more than eight bits may cost), then "
          "times requests of one user on one thread.");
  app.add_option("MODEL", o.models, "Folders of exported models")->default_str("")->required();
  OptionGroup requests(app, "Requests");
  requests.Flag("--check", o.check_only, "Compare only, do not time");
  requests.Whole("--candidates", o.candidates, 1, 1'000'000, "Candidates of a request");
  requests.Whole("--length", o.length, 0, 16384,
                 "Behaviours of a request's user, drawn from those of the model's bundle");
  requests.Whole("--requests", o.requests, 1, 10'000'000, "Timed requests of each model");
  requests.Whole("--rounds", o.rounds, 1, 10'000,
                 "Rounds in which the models take turns, each with a share of its requests");
  requests.Whole("--seed", o.seed, 0, kMaxSeed, "Seed of the requests");
  requests
      .Text("--item-tables", o.item_tables, "HOW",
            "on: what depends on an item alone is computed when a model is read; off: for each "
            "request; both: a row for each")
      ->check(CLI::IsMember({"on", "off", "both"}).description(""));
  requests
      .Text("--precision", o.precision, "LIST",
            "What the layers compute with: float32, int8, or both with a comma, a row for each")
      ->check(CLI::IsMember({"float32", "int8", "float32,int8", "int8,float32"}).description(""));
  requests.Text("--retrieval", o.retrieval, "LIST",
                "Serve the models, all of which must retrieve, with other retrieval: methods of "
                "retrieval_bench such as own,eta:16,scan_i8,exact on the model's item table, a row "
                "for each; own is what the model was trained with");
  requests
      .Whole("--k", o.k, 1, 16384,
             "Behaviours that models attend to (default: as trained); all must retrieve")
      ->default_str("");
  requests.Target(o.target);
  OptionGroup output(app, "Comparison and output");
  output.Text("--torch", o.torch, "FILE",
              "What scripts/torch_latency.py printed for these models, one line each; several "
              "lines of one model are averaged (scripts/ctr_bench.sh makes such a file)");
  output.Text("--csv", o.csv, "FILE", "Write the table as CSV");
  output.Text("--json", o.json, "FILE", "Write table, options and environment as JSON");
  output.Flag("--logits", o.has_logits,
              "The JSON has users, items, labels and logits of the test samples too, from which "
              "scripts/compare.py and scripts/equal_auc.py take intervals over users");
  if (!app.Parse(argc, argv)) return std::nullopt;
  Require(!o.has_logits || !o.json.empty(), "--logits needs --json");
  return o;
}

}  // namespace eta::bench
