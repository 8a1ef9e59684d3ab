// server/retention.h
//
// Deletes what is too old, and what is too much: each leader looks at its partitions now and then,
// and has the group agree on where the log begins from then on; and on which idempotent producers
// are forgotten. The controller's log is not among them.
#pragma once

#include "core/env/environment.h"
#include "server/config.h"
#include "server/controller.h"

namespace pyralog::server {

class Retention {
public:
    // All of them outlive this.
    Retention(Environment& env, const TopicConfig& config, raft::Host& host,
              const Controller& controller);

    // Until cancelled.
    Result<> run();

private:
    Result<> look();
    Result<> look_at(GroupId group, const TopicSettings::Retention& rules);
    Result<> forget_producers(GroupId group);

    Environment& env_;
    const TopicConfig& config_;
    raft::Host& host_;
    const Controller& controller_;
    Metrics::Counter trims_total_;
};

} // namespace pyralog::server
