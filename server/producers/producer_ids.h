// server/producers/producer_ids.h
//
// Gives each producer an id that no other in this cluster has, or ever had. The controllers agree
// on a block of them for a node, and the node hands them out: one command for a thousand producers.
// What is left of a block when its node ends is nobody's.
#pragma once

#include "core/env/environment.h"
#include "server/controller.h"

namespace pyralog::server {

class ProducerIds {
public:
    // Both outlive this.
    ProducerIds(Environment& env, Controller& controller, NodeId self);

    // One more. May wait for the controllers: the caller sets a Deadline.
    Result<std::int64_t> take();

private:
    Result<> take_block();

    Environment& env_;
    Controller& controller_;
    const NodeId self_;
    Random random_;
    std::int64_t next_ = 0, end_ = 0;
    bool taking_ = false; // A block: the others wait for the one who does.
    Condition taken_;
};

} // namespace pyralog::server
