// server/grpc/listener.h
//
// PyralogService on a port of its own. The library has its own threads; they hand each call over to
// the node's thread, where a fiber serves it by Native. Between the two a call belongs to the
// library, and to the fiber until that has finished it.
//
// Bounded: no more than grpc.calls_max calls at a time, of which each has one message on its way;
// and what the library itself holds for all of them is within grpc.memory_max.
//
// Only in the program: the simulator knows Native, and not the library.
#pragma once

#include "core/env/environment.h"
#include "io/real/door.h"
#include "server/node.h"

namespace pyralog::server {

class GrpcListener {
public:
    explicit GrpcListener(real::Door& door) : door_(door) {}

    // The node listens for gRPC. Serves until cancelled; then all calls are told so. At once
    // Error::unavailable if it cannot listen; the log says where.
    Result<> run(Node& node);

private:
    real::Door& door_;
};

} // namespace pyralog::server
