// server/compaction.h
//
// Compacts topics with `cleanup.policy=compact`: their leaders see when there is enough that is
// new, and have the group agree on how far; and every replica then compacts its log so far, one log
// of this node at a time, with a rest after each MiB.
//
// A record without a value says that its key is deleted. It stays until `delete.retention.ms` have
// passed since all replicas had compacted what lies before it.
#pragma once

#include "core/env/environment.h"
#include "server/config.h"
#include "server/controller.h"
#include "server/kafka_batches.h"
#include "server/space_watch.h"

#include <map>
#include <memory>

namespace pyralog::server {

class Compaction {
public:
    // All of them outlive this.
    Compaction(Environment& env, const TopicConfig& config, raft::Host& host,
               const Controller& controller, const SpaceWatch& space);

    // Until cancelled, or until the device has failed.
    Result<> run();

private:
    using Rules = TopicSettings::Compaction;

    Result<> look();
    Result<> look_at(GroupId id, const Rules& rules);
    Result<> propose(raft::Group& group, const Rules& rules);
    Result<wire::Compaction> next(raft::Group& group, const wire::Compaction& last,
                                  const Rules& rules);
    bool may_have_deletes(GroupId id) const;
    Result<std::unique_ptr<KafkaBatches>> reader_of(raft::Group& group);
    Result<> compact(raft::Group& group);

    Environment& env_;
    const TopicConfig& config_;
    raft::Host& host_;
    const Controller& controller_;
    const SpaceWatch& space_;
    std::map<GroupId, std::uint64_t> deletes_; // Records that delete a key, as this node has seen.
    Metrics::Counter agreed_total_;
    Metrics::Counter passes_total_;
    Metrics::Counter segments_total_;
    Metrics::Counter bytes_total_;
    Metrics::Counter records_total_;
};

} // namespace pyralog::server
