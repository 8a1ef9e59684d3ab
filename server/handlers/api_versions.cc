#include "core/wire/kafka/api_versions.h"

#include "server/handlers/handlers.h"

#include <array>

namespace pyralog::server {

using wire::kafka::ApiKey;
using wire::kafka::ApiVersionsRequest;
using wire::kafka::ApiVersionsResponse;

namespace {

// What clusters of Kafka's may have turned on, by their names for it, and what of that there is
// here: level 0, which is nothing. Transactions are those before KIP-890: clients add partitions to
// them. Groups are those before KIP-848: clients share out the partitions.
constexpr std::array<const char*, 2> features_without{"group.version", "transaction.version"};

// Clients before this refuse an answer with a feature that begins at 0 (KAFKA-17011).
constexpr std::int16_t zero_from_version = 4;

// Nothing is turned on, and that is known: clients need not ask again.
constexpr std::int64_t features_epoch = 0;

} // namespace

StartResult start_api_versions(Node&, RequestParts parts) {
    (void)TRY(wire::kafka::decode_request<ApiVersionsRequest>(parts)); // Who asks does not matter.
    return started([header = std::move(parts.header)] {
        ApiVersionsResponse response;
        for (const Served& api : served_apis())
            response.apis.push_back({api.key, api.announced_min, api.version_max});
        response.finalized_features_epoch = features_epoch;
        if (header.version >= zero_from_version)
            for (const char* const name : features_without)
                response.supported_features.push_back({name, 0, 0});
        return answer(header, response);
    });
}

StartResult refuse_api_versions(std::int32_t correlation_id) {
    return started([correlation_id] {
        ApiVersionsResponse response;
        response.error = ErrorCode::unsupported_version;
        for (const Served& api : served_apis())
            if (api.key == ApiKey::api_versions)
                response.apis.push_back({api.key, api.announced_min, api.version_max});
        return answer(RequestHeader{ApiKey::api_versions, 0, correlation_id, {}}, response);
    });
}

} // namespace pyralog::server
