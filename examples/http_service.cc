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
#include <cstdio>
#include <sstream>

#include "core/base/check.h"
#include "core/data/generator.h"
#include "core/serving/ranking_service.h"
#include "core/store/transfer.h"

namespace {

template <class Number>
Number Parse(const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  eta::Require(parsed.ec == std::errc() && parsed.ptr == end, "'", text, "' is not a number");
  return number;
}

int64_t UserOf(const httplib::Request& request) {
  return Parse<int64_t>(request.get_param_value("user"));
}

void Append(eta::RankingService& service, const httplib::Request& request) {
  const eta::Behaviour behaviour = {Parse<int32_t>(request.get_param_value("item")),
                                    Parse<int64_t>(request.get_param_value("time"))};
  service.Append({{{UserOf(request), behaviour}}, {}}, eta::Durability::kFlushed);
}

// A line for each candidate: the items of the nearest behaviours.
std::string Retrieve(eta::RankingService& service, const httplib::Request& request) {
  std::vector<int32_t> candidates;
  std::istringstream list(request.get_param_value("candidates"));
  for (std::string id; std::getline(list, id, ',');) candidates.push_back(Parse<int32_t>(id));
  const size_t k = Parse<uint16_t>(request.get_param_value("k"));
  std::vector<int32_t> positions(candidates.size() * k), items = positions;
  std::vector<int32_t> counts(candidates.size());
  const auto report = service.Retrieve(UserOf(request), candidates, k, {positions, counts}, items);
  std::string text;
  for (size_t b = 0; b < report.answered; ++b) {
    for (size_t i = b * k; i < b * k + static_cast<size_t>(counts[b]); ++i) {
      text += std::to_string(items[i]) + " ";
    }
    text += "\n";
  }
  return text;
}

void Route(httplib::Server& server, eta::RankingService& service) {
  using httplib::Request, httplib::Response;
  server.Get("/retrieve", [&](const Request& request, Response& response) {
    response.set_content(Retrieve(service, request), "text/plain");
  });
  server.Get("/metrics", [&](const Request&, Response& response) {
    response.set_content(service.PrometheusText(), "text/plain; version=0.0.4");
  });
  server.Post("/append", [&](const Request& request, Response&) { Append(service, request); });
  server.Post("/forget",
              [&](const Request& request, Response&) { service.Forget(UserOf(request)); });
  server.set_exception_handler([](const Request&, Response& response, std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      const bool is_callers = dynamic_cast<const std::invalid_argument*>(&error) != nullptr;
      response.status = is_callers ? 400 : 500;
      response.set_content(std::string(error.what()) + "\n", "text/plain");
    }
  });
}

// Whether a client gets the right answers about a user with two behaviours.
bool AnswersAreRight(int port) {
  httplib::Client client("127.0.0.1", port);
  const auto says = [](const httplib::Result& result, int status, const std::string& text) {
    if (result && result->status == status && result->body.find(text) != std::string::npos) {
      return true;
    }
    std::fprintf(stderr, "%s", result ? result->body.c_str() : "no answer\n");
    return false;
  };
  return says(client.Post("/forget?user=-1"), 200, "") &&
         says(client.Post("/append?user=-1&item=5&time=1"), 200, "") &&
         says(client.Post("/append?user=-1&item=9&time=2"), 200, "") &&
         says(client.Get("/retrieve?user=-1&candidates=9,5&k=1"), 200, "9 \n5 \n") &&
         says(client.Get("/retrieve?user=-1&candidates=-5&k=1"), 400, "candidates[0] = -5") &&
         says(client.Get("/retrieve?user=-1&candidates=x&k=1"), 400, "'x' is not a number") &&
         says(client.Get("/metrics"), 200, "eta_appended_behaviours_total 2\n");
}

int Run(const std::filesystem::path& folder, const char* given_port) {
  const eta::Bundle bundle = eta::GenerateBundle({.users = 100, .items = 1000, .dim = 64});
  if (!std::filesystem::exists(folder)) eta::ImportHistories(bundle.histories, folder);
  eta::HistoryStore store(folder);
  eta::ItemCodes codes(bundle.items,
                       eta::Hyperplanes::Make(eta::HyperplaneKind::kGaussian, 64, 64, 1));
  eta::RankingService service(store, codes, {.time_budget = std::chrono::seconds(1)});
  httplib::Server server;
  Route(server, service);
  if (given_port != nullptr) {
    return server.listen("127.0.0.1", Parse<uint16_t>(given_port)) ? 0 : 1;
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
