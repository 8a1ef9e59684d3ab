#include "core/wire/kafka/describe_cluster.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

StartResult start_describe_cluster(Node& node, RequestParts parts) {
    using wire::kafka::DescribeClusterRequest;
    const auto request = TRY(wire::kafka::decode_request<DescribeClusterRequest>(parts));
    return started([&node, request, header = std::move(parts.header)] {
        wire::kafka::DescribeClusterResponse response;
        response.endpoint_type = request.endpoint_type;
        response.cluster_id = node.config.cluster_name;
        SOMETIMES(request.endpoint_type != DescribeClusterRequest::brokers,
                  "describe-cluster/not-of-brokers");
        if (request.endpoint_type != DescribeClusterRequest::brokers) {
            response.error = ErrorCode::unsupported_endpoint_type;
            response.error_message = "all nodes here are brokers";
            return answer(header, response);
        }
        response.controller_id = controller_for_clients(node);
        for (const auto& [id, address] : brokers(node))
            response.brokers.push_back({id.value, address.host, address.port, {}});
        return answer(header, response);
    });
}

} // namespace pyralog::server
