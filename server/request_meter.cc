#include "server/request_meter.h"

namespace pyralog::server {

namespace {

using wire::kafka::ApiKey;
using wire::kafka::ErrorCode;

constexpr std::string_view requests_name = "pyralog_requests_total";
constexpr std::string_view requests_help = "Requests of clients, by API.";
constexpr std::string_view request_bytes_name = "pyralog_request_bytes_total";
constexpr std::string_view request_bytes_help = "Bytes of requests of clients, by API.";
constexpr std::string_view answer_bytes_name = "pyralog_answer_bytes_total";
constexpr std::string_view answer_bytes_help = "Bytes of answers to clients, by API.";
constexpr std::string_view time_name = "pyralog_request_seconds";
constexpr std::string_view time_help =
    "From a request to the end of its answer. Fetch, JoinGroup and SyncGroup wait for what is to "
    "come.";
constexpr std::string_view errors_name = "pyralog_request_errors_total";
constexpr std::string_view errors_help =
    "Errors that answers told, by API and Kafka's name of the error; an answer may tell many.";

std::string_view name_of(ApiKey key) {
    const wire::kafka::Api* const known = wire::kafka::find_api(key);
    return known ? known->name : "unknown";
}

std::string labelled(std::string_view family, ApiKey key) {
    return std::string(family) + '{' + metrics_label("api", name_of(key)) + '}';
}

} // namespace

RequestMeter::Api::Api(Metrics& metrics, ApiKey key)
    : requests(metrics, labelled(requests_name, key), requests_help),
      request_bytes(metrics, labelled(request_bytes_name, key), request_bytes_help),
      answer_bytes(metrics, labelled(answer_bytes_name, key), answer_bytes_help),
      time(metrics, labelled(time_name, key), time_help) {}

RequestMeter::RequestMeter(Metrics& metrics)
    : metrics_(metrics), not_understood_(metrics, "pyralog_requests_not_understood_total",
                                         "Clients that were disconnected for what they sent.") {
    metrics.foretell(requests_name, "counter", requests_help);
    metrics.foretell(request_bytes_name, "counter", request_bytes_help);
    metrics.foretell(answer_bytes_name, "counter", answer_bytes_help);
    metrics.foretell(time_name, "histogram", time_help);
    metrics.foretell(errors_name, "counter", errors_help);
}

RequestMeter::Api& RequestMeter::api(ApiKey key) {
    if (const auto known = apis_.find(key); known != apis_.end()) return known->second;
    return apis_
        .emplace(std::piecewise_construct, std::forward_as_tuple(key),
                 std::forward_as_tuple(metrics_, key))
        .first->second;
}

void RequestMeter::came(ApiKey key, std::size_t bytes) {
    Api& of = api(key);
    of.requests.add();
    of.request_bytes.add(bytes);
    ++totals_.requests;
    totals_.bytes_in += bytes;
}

void RequestMeter::answered(ApiKey key, std::size_t bytes, Duration took) {
    Api& of = api(key);
    of.answer_bytes.add(bytes);
    of.time.add(took);
    totals_.bytes_out += bytes;
}

void RequestMeter::told(ApiKey key, ErrorCode error) {
    ++totals_.errors;
    const std::pair of(key, error);
    auto found = errors_.find(of);
    if (found == errors_.end()) {
        const std::string name = std::string(errors_name) + '{' +
                                 metrics_label("api", name_of(key)) + ',' +
                                 metrics_label("error", wire::kafka::to_string(error)) + '}';
        found = errors_
                    .emplace(std::piecewise_construct, std::forward_as_tuple(of),
                             std::forward_as_tuple(metrics_, name, errors_help))
                    .first;
    }
    found->second.add();
}

const Metrics::Histogram::Buckets* RequestMeter::produce_times() const {
    const auto found = apis_.find(ApiKey::produce);
    return found == apis_.end() ? nullptr : &found->second.time.buckets();
}

} // namespace pyralog::server
