// SPDX-License-Identifier: Apache-2.0
#include "bench/common/open_loop_json.h"

namespace eta::bench {

nlohmann::ordered_json OpenLoopJson(const OpenLoopResult& r) {
  return {{"arrivals", r.arrivals},
          {"unserved", r.unserved},
          {"late_starts", r.late_starts},
          {"seconds", r.seconds},
          {"achieved_rate", r.achieved_rate},
          {"utilisation", r.utilisation},
          {"service_mean_us", r.service_mean_us},
          {"p50_us", r.p50_us},
          {"p90_us", r.p90_us},
          {"p99_us", r.p99_us},
          {"p999_us", r.p999_us},
          {"max_us", r.max_us}};
}

}  // namespace eta::bench
