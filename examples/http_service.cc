// SPDX-License-Identifier: Apache-2.0
// eta::RankingService behind HTTP, by cpp-httplib: histories on disk, a cache of them in memory.
//
//   http_service FOLDER [PORT]
//
//   POST /append?user=7&item=42&time=1700000000    GET /retrieve?user=7&candidates=1,2,3&k=5
//   POST /forget?user=7                            GET /metrics
//
// Makes a store of generated histories in FOLDER if there is none, and serves it on 127.0.0.1.
// Without PORT it asks itself a few requests, checks the answers and ends.
#include <httplib.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/base/check.h"
#include "core/data/generator.h"
#include "core/serving/ranking_service.h"
#include "core/store/history_store.h"
#include "core/store/transfer.h"

namespace {

int64_t Number(const std::string& text) {
  int64_t number = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  eta::Require(parsed.ec == std::errc() && parsed.ptr == end, "'", text, "' is not a number");
  return number;
}

// Item ids; where they are out of range, the service says so.
int32_t Item(const std::string& text) {
  const int64_t number = Number(text);
  eta::Require(number == static_cast<int32_t>(number), "item ", number, " is out of range");
  return static_cast<int32_t>(number);
}

void Append(eta::RankingService& service, const httplib::Request& request) {
  eta::EventBatch batch;
  batch.events = {
      {Number(request.get_param_value("user")),
       {Item(request.get_param_value("item")), Number(request.get_param_value("time"))}}};
  service.Append(batch, eta::Durability::kFlushed);
}

// For each candidate the items of the nearest behaviours: {"version":1,"found":[[3,1],[2]]}.
std::string Retrieve(eta::RankingService& service, const httplib::Request& request) {
  std::vector<int32_t> candidates;
  std::istringstream list(request.get_param_value("candidates"));
  for (std::string id; std::getline(list, id, ',');) candidates.push_back(Item(id));
  const int64_t k = Number(request.get_param_value("k"));
  eta::Require(k >= 1 && k <= 1000 && candidates.size() <= 10000, "k or candidates out of range");
  std::vector<int32_t> positions(candidates.size() * static_cast<size_t>(k)), items = positions;
  std::vector<int32_t> counts(candidates.size());
  const auto report = service.Retrieve(Number(request.get_param_value("user")), candidates,
                                       static_cast<size_t>(k), {positions, counts}, items);
  std::string json = "{\"version\":" + std::to_string(report.version) + ",\"found\":[";
  for (size_t b = 0; b < report.answered; ++b) {
    json += b == 0 ? "[" : ",[";
    for (size_t i = 0; i < static_cast<size_t>(counts[b]); ++i) {
      if (i > 0) json += ',';
      json += std::to_string(items[b * static_cast<size_t>(k) + i]);
    }
    json += "]";
  }
  return json + "]}\n";
}

void Route(httplib::Server& server, eta::RankingService& service) {
  server.Get("/retrieve", [&](const httplib::Request& request, httplib::Response& response) {
    response.set_content(Retrieve(service, request), "application/json");
  });
  server.Get("/metrics", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content(service.PrometheusText(), "text/plain; version=0.0.4");
  });
  server.Post("/append", [&](const httplib::Request& request, httplib::Response&) {
    Append(service, request);
  });
  server.Post("/forget", [&](const httplib::Request& request, httplib::Response&) {
    service.Forget(Number(request.get_param_value("user")));
  });
  server.set_exception_handler(
      [](const httplib::Request&, httplib::Response& response, std::exception_ptr thrown) {
        try {
          std::rethrow_exception(thrown);
        } catch (const std::invalid_argument& error) {
          response.status = 400;
          response.set_content(std::string(error.what()) + "\n", "text/plain");
        } catch (const std::exception& error) {
          response.status = 500;
          response.set_content(std::string(error.what()) + "\n", "text/plain");
        }
      });
}

// Whether a client gets the right answers.
bool AnswersAreRight(int port) {
  httplib::Client client("127.0.0.1", port);
  const auto says = [](const httplib::Result& result, int status, const std::string& text) {
    const bool is_right =
        result && result->status == status && result->body.find(text) != std::string::npos;
    if (!is_right) std::fprintf(stderr, "%s", result ? result->body.c_str() : "no answer\n");
    return is_right;
  };
  // A user with two behaviours: the candidate is one of them, so that it is found first.
  return says(client.Post("/forget?user=-1"), 200, "") &&
         says(client.Post("/append?user=-1&item=5&time=1"), 200, "") &&
         says(client.Post("/append?user=-1&item=9&time=2"), 200, "") &&
         says(client.Get("/retrieve?user=-1&candidates=9,5&k=1"), 200, "\"found\":[[9],[5]]}") &&
         says(client.Get("/retrieve?user=-1&candidates=-5&k=1"), 400, "candidates[0] = -5") &&
         says(client.Get("/retrieve?user=-1&candidates=x&k=1"), 400, "'x' is not a number") &&
         says(client.Get("/metrics"), 200, "eta_appended_behaviours_total 2\n");
}

int Run(const std::filesystem::path& folder, const char* given_port) {
  const eta::Bundle bundle = eta::GenerateBundle({.users = 100, .items = 1000});
  if (!std::filesystem::exists(folder)) eta::ImportHistories(bundle.histories, folder);
  eta::HistoryStore store(folder);
  eta::ItemCodes codes(bundle.items, eta::Hyperplanes::Make(eta::HyperplaneKind::kGaussian,
                                                            bundle.items.dim(), 64, 1));
  eta::RankingService service(store, codes, {.time_budget = std::chrono::milliseconds(100)});
  httplib::Server server;
  Route(server, service);
  if (given_port != nullptr) {
    const int64_t port = Number(given_port);
    eta::Require(port > 0 && port < 65536, "port ", port, " is out of range");
    return server.listen("127.0.0.1", static_cast<int>(port)) ? 0 : 1;
  }
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { server.listen_after_bind(); });
  const bool is_right = AnswersAreRight(port);
  server.stop();
  thread.join();
  return is_right ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: http_service FOLDER [PORT]\n");
    return 2;
  }
  try {
    return Run(argv[1], argc == 3 ? argv[2] : nullptr);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
