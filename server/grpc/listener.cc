#include "server/grpc/listener.h"

#include "server/grpc/calls.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

namespace pyralog::server {

namespace {

// Who is still being served when the node stops has this long to take the last message.
constexpr std::int64_t farewell_ms = 500;

std::unique_ptr<grpc::Server> start_server(const GrpcConfig& config, grpc::Service& service,
                                           std::size_t message_bytes_max) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(to_string(*config.listen), grpc::InsecureServerCredentials());
    builder.RegisterService(&service);
    grpc::ResourceQuota quota("pyralog");
    quota.Resize(config.memory_max);
    builder.SetResourceQuota(quota);
    builder.SetMaxReceiveMessageSize(static_cast<int>(message_bytes_max));
    // Else a second node could listen at the same port, and have every other call.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    return builder.BuildAndStart();
}

} // namespace

Result<> GrpcListener::run(Node& node) {
    const GrpcConfig& config = node.config.grpc;
    CHECK(config.listen);
    Calls calls(node, door_);
    std::unique_ptr<grpc::Server> server;
    // A message has a little more than its records.
    const std::size_t message_bytes_max = 2 * node.config.topic.message_bytes_max;
    door_.run_elsewhere([&] { server = start_server(config, calls.service(), message_bytes_max); });
    if (!server) {
        node.env.log.error("cannot listen for gRPC", {{"address", to_string(*config.listen)}});
        return Error::unavailable;
    }
    node.env.log.info("serving gRPC", {{"address", to_string(*config.listen)}});
    const Result<> ended = calls.run();
    // All calls have been finished, or will be as soon as they come.
    door_.run_elsewhere([&] {
        server->Shutdown(gpr_time_from_millis(farewell_ms, GPR_TIMESPAN));
        server->Wait();
        server.reset();
    });
    door_.settle();
    return ended;
}

} // namespace pyralog::server
