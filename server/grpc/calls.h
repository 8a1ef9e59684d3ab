// server/grpc/calls.h
//
// Calls that have come by gRPC, from the library's threads to fibers of the node, and back. A call
// is an object of the library's, which lives until it has been finished, once, and the library is
// done with it. Whatever is decided is decided on the node's thread.
#pragma once

#include "io/real/door.h"
#include "server/config.h"
#include "server/grpc/pyralog.grpc.pb.h"
#include "server/native/native.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>

namespace pyralog::server {

class ConsumeCall;

class Calls {
public:
    Calls(Node& node, real::Door& door);
    ~Calls(); // The library has let go of service(), and the door has settled.
    Calls(const Calls&) = delete;
    Calls& operator=(const Calls&) = delete;

    // What the library calls.
    grpc::Service& service();

    // Serves what comes, until cancelled. From then on each call is told that the node stops.
    Result<> run();

private:
    friend class ConsumeCall;
    class Service;
    struct Call {
        std::function<grpc::Status()> serve; // Waits.
        std::function<void(const grpc::Status&)> finish;
    };

    void come(Call call);
    Time deadline_of(const grpc::CallbackServerContext& context) const;
    grpc::Status produce(grpc::CallbackServerContext& context, const v1::ProduceRequest& request,
                         v1::ProduceResponse& response);
    grpc::Status tell_partitions(grpc::CallbackServerContext& context,
                                 const v1::GetMetadataRequest& request,
                                 v1::GetMetadataResponse& response);
    grpc::Status consume(ConsumeCall& call);
    grpc::Status read(ConsumeCall& call);
    grpc::Status status_of(grpc::CallbackServerContext& context,
                           const NativeFailure& failure) const;
    std::string address_of(NodeId node) const;

    Node& node_;
    Native native_;
    real::Door& door_;
    std::unique_ptr<Service> service_;
    Condition changed_;
    std::deque<Call> waiting_; // To be served; with those that are, no more than calls_max.
    std::int64_t serving_ = 0;
    bool is_stopping_ = false;
    std::map<const ConsumeCall*, Scope*> streams_; // That are being served.
};

} // namespace pyralog::server
