// core/wire/kafka/describe_cluster.h: API key 60, versions 0 to 1.
#pragma once

#include "core/wire/kafka/api.h"

#include <limits>

namespace pyralog::wire::kafka {

struct DescribeClusterRequest {
    static constexpr ApiKey key = ApiKey::describe_cluster;
    using Response = struct DescribeClusterResponse;
    static constexpr std::int8_t brokers = 1;

    bool include_authorized_operations = false;
    std::int8_t endpoint_type = brokers;
};

template <class Codec>
void describe(Codec& field, DescribeClusterRequest& r) {
    field(r.include_authorized_operations);
    if (field.version >= 1) field(r.endpoint_type);
    field.tags();
}

struct DescribeClusterResponse {
    struct Broker {
        std::int32_t id = 0;
        std::string host;
        std::int32_t port = 0;
        std::optional<std::string> rack;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::optional<std::string> error_message;
    std::int8_t endpoint_type = DescribeClusterRequest::brokers;
    std::string cluster_id;
    std::int32_t controller_id = -1;
    std::vector<Broker> brokers;
    std::int32_t authorized_operations = std::numeric_limits<std::int32_t>::min();
};

template <class Codec>
void describe(Codec& field, DescribeClusterResponse::Broker& b) {
    field(b.id, b.host, b.port, b.rack);
    field.tags();
}

template <class Codec>
void describe(Codec& field, DescribeClusterResponse& r) {
    field(r.throttle_time_ms, r.error, r.error_message);
    if (field.version >= 1) field(r.endpoint_type);
    field(r.cluster_id, r.controller_id, r.brokers, r.authorized_operations);
    field.tags();
}

} // namespace pyralog::wire::kafka
