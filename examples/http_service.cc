// SPDX-License-Identifier: Apache-2.0
// eta::RankingService behind HTTP, by cpp-httplib: histories on disk, a cache of them in memory.
//
//   http_service FOLDER PORT
//
//   POST /append?user=7&item=42&time=1700000000    GET /retrieve?user=7&candidate=1&candidate=2&k=5
//   POST /forget?user=7                            GET /metrics
//
// Makes a store of generated histories in FOLDER if there is none, and serves it on 127.0.0.1 until
// it is killed. PORT 0 is any that is free; it is printed.
#include <httplib.h>

#include <charconv>
#include <iostream>

#include "core/base/check.h"
#include "core/data/generator.h"
#include "core/serving/ranking_service.h"
#include "core/store/transfer.h"

using httplib::Request, httplib::Response;

template <class Number>
Number Parse(const std::string& text) {
  Number number{};
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  eta::Require(parsed.ec == std::errc() && parsed.ptr == end, "'", text, "' is not a number");
  return number;
}

template <class Number>
Number Get(const Request& request, const char* name, size_t i = 0) {
  return Parse<Number>(request.get_param_value(name, i));
}

// A line for each candidate: the items of the nearest behaviours.
static std::string Retrieve(eta::RankingService& service, const Request& request) {
  std::vector<int32_t> candidates;
  for (size_t i = 0; i < request.get_param_value_count("candidate"); ++i) {
    candidates.push_back(Get<int32_t>(request, "candidate", i));
  }
  const size_t k = Get<uint16_t>(request, "k");
  std::vector<int32_t> positions(candidates.size() * k), items = positions;
  std::vector<int32_t> counts(candidates.size());
  service.Retrieve(Get<int64_t>(request, "user"), candidates, k, {positions, counts}, items);
  std::string text;
  for (size_t i = 0; i < items.size(); ++i) {
    if (items[i] >= 0) text += std::to_string(items[i]) + " ";  // -1: no more of this candidate
    if (i % k == k - 1) text += "\n";
  }
  return text;
}

static void Route(httplib::Server& server, eta::RankingService& service) {
  server.Post("/append", [&](const Request& request, Response&) {
    const eta::Behaviour behaviour{Get<int32_t>(request, "item"), Get<int64_t>(request, "time")};
    service.Append({{{Get<int64_t>(request, "user"), behaviour}}, {}}, eta::Durability::kFlushed);
  });
  server.Post("/forget", [&](const Request& request, Response&) {
    service.Forget(Get<int64_t>(request, "user"));
  });
  server.Get("/retrieve", [&](const Request& request, Response& response) {
    response.set_content(Retrieve(service, request), "text/plain");
  });
  server.Get("/metrics", [&](const Request&, Response& response) {
    response.set_content(service.PrometheusText(), "text/plain; version=0.0.4");
  });
  server.set_exception_handler([](const Request&, Response& response, std::exception_ptr thrown) {
    try {
      std::rethrow_exception(thrown);
    } catch (const std::exception& error) {
      response.status = dynamic_cast<const std::invalid_argument*>(&error) != nullptr ? 400 : 500;
      response.set_content(std::string(error.what()) + "\n", "text/plain");
    }
  });
}

static void Serve(const std::filesystem::path& folder, int port) {
  const eta::Bundle bundle = eta::GenerateBundle({.users = 100, .items = 1000, .dim = 64});
  if (!std::filesystem::exists(folder)) eta::ImportHistories(bundle.histories, folder);
  eta::HistoryStore store(folder);
  auto planes = eta::Hyperplanes::Make(eta::HyperplaneKind::kGaussian, 64, 64, /*seed=*/1);
  eta::ItemCodes codes(bundle.items, std::move(planes));
  eta::RankingService service(store, codes, {.time_budget = std::chrono::seconds(1)});
  httplib::Server server;
  Route(server, service);
  eta::Require(port == 0 || server.bind_to_port("127.0.0.1", port), "port ", port, " is taken");
  if (port == 0) port = server.bind_to_any_port("127.0.0.1");
  std::cout << port << std::endl;
  eta::Require(server.listen_after_bind(), "port ", port, " cannot be listened to");
}

int main(int argc, char** argv) try {
  eta::Require(argc == 3, "usage: http_service FOLDER PORT");
  Serve(argv[1], Parse<uint16_t>(argv[2]));
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 2;
}
