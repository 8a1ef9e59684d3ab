#include "server/request_meter.h"

#include "core/wire/kafka/fetch.h"
#include "core/wire/kafka/metadata.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using namespace wire::kafka;

TEST_CASE("every error that an answer tells is found, however deep", "[server]") {
    FetchResponse response;
    response.error = ErrorCode::fetch_session_id_not_found;
    response.topics.push_back({"a", {{}, {}}});
    response.topics.push_back({"b", {{}}});
    response.topics[0].partitions[1].error = ErrorCode::not_leader_or_follower;
    response.topics[1].partitions[0].error = ErrorCode::offset_out_of_range;
    const RequestHeader header{ApiKey::fetch, 12, 1, {}};
    CHECK(errors_in(header, response) ==
          std::vector<ErrorCode>{ErrorCode::fetch_session_id_not_found,
                                 ErrorCode::not_leader_or_follower,
                                 ErrorCode::offset_out_of_range});
    // What a version does not have it does not tell.
    CHECK(errors_in(RequestHeader{ApiKey::fetch, 4, 1, {}}, response).size() == 2);
    CHECK(errors_in(header, FetchResponse()).empty());
}

TEST_CASE("requests and errors are told by API", "[server]") {
    Metrics metrics;
    RequestMeter meter(metrics);
    CHECK(metrics.expose().find("pyralog_requests_total{") == std::string::npos);
    CHECK(meter.produce_times() == nullptr);
    meter.came(ApiKey::produce, 100);
    meter.answered(ApiKey::produce, 20, 3us);
    meter.told(ApiKey::produce, ErrorCode::not_leader_or_follower);
    meter.told(ApiKey::produce, ErrorCode::not_leader_or_follower);
    meter.came(ApiKey::fetch, 7);
    const std::string text = metrics.expose();
    for (const std::string_view line :
         {"pyralog_requests_total{api=\"Produce\"} 1\n",
          "pyralog_requests_total{api=\"Fetch\"} 1\n",
          "pyralog_request_bytes_total{api=\"Produce\"} 100\n",
          "pyralog_answer_bytes_total{api=\"Produce\"} 20\n",
          "pyralog_request_seconds_bucket{api=\"Produce\",le=\"0.000004\"} 1\n",
          "pyralog_request_errors_total{api=\"Produce\",error=\"NOT_LEADER_OR_FOLLOWER\"} 2\n"})
        CHECK(text.find(line) != std::string::npos);
    CHECK(meter.totals().requests == 2);
    CHECK(meter.totals().errors == 2);
    CHECK(meter.totals().bytes_in == 107);
    CHECK(meter.produce_times() != nullptr);
}
