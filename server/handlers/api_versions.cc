#include "core/wire/kafka/api_versions.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

using wire::kafka::ApiKey;
using wire::kafka::ApiVersionsRequest;
using wire::kafka::ApiVersionsResponse;

StartResult start_api_versions(Node&, RequestParts parts) {
    (void)TRY(wire::kafka::decode_request<ApiVersionsRequest>(parts)); // Who asks does not matter.
    return started([header = std::move(parts.header)] {
        ApiVersionsResponse response;
        for (const Served& api : served_apis())
            response.apis.push_back({api.key, api.announced_min, api.version_max});
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
