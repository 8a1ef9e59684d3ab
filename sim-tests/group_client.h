// sim-tests/group_client.h
//
// One member of a consumer group, request by request: what each of them comes to is written down in
// the History. It decides nothing; the programs that use it do. All calls may wait, and end with
// Error::timed_out at the Deadline around them. An error leaves nothing known about the connection.
#pragma once

#include "core/wire/kafka/heartbeat.h"
#include "core/wire/kafka/join_group.h"
#include "core/wire/kafka/leave_group.h"
#include "core/wire/kafka/offset_commit.h"
#include "core/wire/kafka/offset_fetch.h"
#include "core/wire/kafka/sync_group.h"
#include "sim-tests/history.h"
#include "sim-tests/kafka_client.h"

#include <functional>
#include <set>

namespace pyralog::simtest {

struct GroupPlan {
    std::int32_t number = 0;
    Duration session_timeout{2s};
    Duration rebalance_timeout{2s};
    std::string name() const { return "group-" + std::to_string(number); }
};

class GroupClient {
public:
    GroupClient(GroupPlan plan, std::optional<std::string> instance, KafkaClient& kafka,
                History& history, std::function<Duration()> now)
        : plan_(std::move(plan)), instance_(std::move(instance)), kafka_(kafka), history_(history),
          now_(std::move(now)) {}

    // Asks who coordinates, and connects to it. Error::unavailable: nobody does, for the moment.
    Result<> find();
    bool has_coordinator() const { return connection_ != nullptr; }
    void lose_coordinator() { connection_.reset(); }

    // The next step into the group: an id, a generation, a share. None once it has all of them.
    // `partitions` are what is shared out, if it is this one that does.
    Result<kafka::ErrorCode> enter(const std::vector<TopicPartition>& partitions);
    bool is_in() const { return stage_ == Stage::in; }
    bool has_joined() const { return stage_ == Stage::joined; } // And has no share yet.
    const std::vector<TopicPartition>& share() const { return share_; }
    const std::string& id() const { return self_.id; }
    std::int32_t generation() const { return self_.generation; }

    Result<kafka::ErrorCode> heartbeat();
    Result<kafka::ErrorCode> leave();
    // For itself, or as what it was in an earlier generation.
    Result<kafka::ErrorCode> commit(const TopicPartition& partition, bool as_before = false);
    // The same, and nobody waits for the answer.
    Result<> commit_and_go(const TopicPartition& partition);
    // As somebody who is in no group, and only keeps offsets in it.
    Result<kafka::ErrorCode> commit_alone(const TopicPartition& partition);
    Result<kafka::ErrorCode> read(const TopicPartition& partition);

private:
    enum class Stage : std::uint8_t { out, joined, in };
    struct Identity {
        std::string id;
        std::int32_t generation = -1;
    };

    Result<kafka::ErrorCode> join();
    Result<kafka::ErrorCode> sync(const std::vector<TopicPartition>& partitions);
    Result<kafka::ErrorCode> commit_as(const Identity& who, const TopicPartition& partition,
                                       bool waits);
    void obey(kafka::ErrorCode error);
    std::int16_t least(std::int16_t for_instances) const { return instance_ ? for_instances : 0; }

    const GroupPlan plan_;
    const std::optional<std::string> instance_;
    KafkaClient& kafka_;
    History& history_;
    const std::function<Duration()> now_;
    std::unique_ptr<KafkaConnection> connection_;
    Stage stage_ = Stage::out;
    Identity self_, before_;
    std::vector<std::string> members_; // If it has to assign.
    std::vector<TopicPartition> share_;
};

} // namespace pyralog::simtest
