// server/cli/membership.h
//
// One member of a consumer group, who reads one topic: it joins, is given partitions, says now and
// then that it is still there, commits how far it has come, and leaves. Calls may wait.
#pragma once

#include "core/wire/kafka/join_group.h"
#include "core/wire/kafka/sync_group.h"
#include "server/cli/coordinator.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace pyralog::cli {

class Membership {
public:
    // Shorter than a call may take: joining waits until all others have come, or for so long.
    static constexpr Duration rebalance_timeout = 10s;
    static constexpr Duration session_timeout = 10s;
    static constexpr Duration beat_pause = 1s;
    static constexpr int joins_max = 20; // Of which others have made nothing.

    // What outlives the client: whoever is interrupted still commits and leaves, with another one.
    struct Standing {
        std::string member_id; // Empty: of no group.
        std::int32_t generation = -1;
        std::map<std::int32_t, std::int64_t> positions; // What was shown ends there.
        std::map<std::int32_t, std::int64_t> committed;
    };

    Membership(Client& client, std::string group, std::string topic, Standing& standing)
        : client_(client), group_(std::move(group)), topic_(std::move(topic)), standing_(standing) {
    }

    // Returns when all members have agreed on who reads what. Then `positions` are those that are
    // known to the group, of the partitions that it was given.
    std::optional<Trouble> join();
    const std::vector<std::int32_t>& assigned() const { return assigned_; }

    // Says that it is still there, if it is time to.
    std::optional<Trouble> beat();
    // They are to agree anew, or it is taken for gone: join() again.
    bool must_join() const { return must_join_; }

    // The positions that were not committed yet. If it has lost its partitions meanwhile, nothing.
    std::optional<Trouble> commit();
    std::optional<Trouble> leave();

private:
    using ErrorCode = wire::kafka::ErrorCode;

    // Whether it can be tried again.
    Told<bool> join_once();
    Told<bool> sync(wire::kafka::SyncGroupRequest request);
    std::optional<Trouble> share(const wire::kafka::JoinGroupResponse& joined,
                                 wire::kafka::SyncGroupRequest& request);
    std::optional<Trouble> ask_for_positions();
    Told<bool> lost_by(ErrorCode error);
    template <class Request>
    std::optional<Trouble> ask(const Request& request, std::int16_t version,
                               typename Request::Response& response);

    Client& client_;
    const std::string group_, topic_;
    Standing& standing_;
    std::vector<std::int32_t> assigned_;
    Time beaten_;
    bool must_join_ = false;
};

} // namespace pyralog::cli
