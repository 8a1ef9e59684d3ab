// server/groups/coordinator.h
//
// Consumer groups on this node: the partitions of __consumer_offsets that lie here, and the groups
// of those that it leads. Who leads a partition coordinates the groups that fall on it.
//
//     a request → GroupState → a record in the partition's log ─ committed ─→ the answer
//                                         │
//                                         └→ on every replica: the KvStore
//
// Every replica keeps in its KvStore what the records come to, key by key, in one batch with how
// far it has read: so whoever is elected reads little, and offsets take no memory. A leader
// coordinates for one term, a Tenure, from when it has applied all that its log has. It ends when
// somebody else leads, or when a record could not be written; all who wait are then told to look
// for the coordinator, and nothing of what it had in mind is of any consequence.
//
// No answer leaves before all that its group has written so far is committed. Offsets are read
// behind a read barrier of the partition and from what was applied up to it, so nobody reads less
// than was acknowledged, whoever leads.
//
// Memory: group.groups_max groups of a node with group.bytes_max each.
#pragma once

#include "core/env/environment.h"
#include "raft/host.h"
#include "server/config.h"
#include "server/controller.h"
#include "server/groups/group_state.h"
#include "server/space_watch.h"

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

namespace pyralog::server {

class PendingOffsetTable;

inline constexpr std::string_view offsets_topic_name = "__consumer_offsets";

// Which of so many partitions is a group's: Kafka's rule, on which tools rely.
std::int32_t partition_of_group(std::string_view group, std::int32_t partitions);
// The same for whatever a topic's partitions coordinate.
GroupId partition_for(const Topic& topic, std::string_view name);

// What makes the topic in which those who coordinate keep what they know: compacted, and for ever.
CreateTopic make_compacted(std::string_view name, Uuid id, int partitions, int replication_factor);

// Of all who coordinate, groups here and transactions beside them.
struct Coordinating {
    // For a record to be committed, and for a partition to know what is. A leader that cannot is
    // soon none.
    static constexpr Duration write_patience = 5s;
    static constexpr Duration read_patience = 5s;
    static constexpr Duration topic_patience = 5s;
    static constexpr Duration leader_patience = 1s;
    static constexpr Duration retry_pause = 50ms;
    static constexpr std::size_t read_bytes_max = 256_KiB; // Of one partition, at a time.
};

class Coordinator {
public:
    // All of them outlive this.
    Coordinator(Environment& env, const GroupConfig& config, int replication_factor,
                raft::Host& host, Controller& controller, const SpaceWatch& space);
    ~Coordinator();

    // Of the store: up to which offset of that log this node has applied it; and what the keys
    // begin with of offsets whose transactions are not over.
    static std::string applied_key(GroupId id) {
        return "groups-applied/" + std::to_string(id.value);
    }
    static std::string pending_prefix(GroupId id) {
        return "groups-pending/" + std::to_string(id.value) + '/';
    }

    // Applies, coordinates, and forgets what is too old, until cancelled.
    Result<> run();

    // Who coordinates the group. Waits: the topic is made when somebody first asks.
    struct Found {
        ErrorCode error = ErrorCode::none;
        std::optional<NodeId> node;
    };
    Found find(const std::string& group);

    // What an answer waits for: that this is committed.
    struct Answer {
        ErrorCode error = ErrorCode::none;
        GroupId partition;
        std::optional<raft::Group::Proposal> written;
    };
    // Waits until it is. ErrorCode::none, or what is told instead of an answer.
    ErrorCode settle(const Answer& answer);

    // ---- Answers that come later ----

    // Who waits for the answer to a join or a sync. Made and destroyed by the request.
    class Waiting {
    public:
        explicit Waiting(Coordinator& coordinator);
        ~Waiting();
        Waiting(const Waiting&) = delete;
        Waiting& operator=(const Waiting&) = delete;

        // Waits until there is an answer and it may be given. An error: cancelled. The answer's
        // own error tells of all else.
        template <class Told>
        Result<Told> wait() {
            TRY(answered_.wait());
            auto* const answer = std::get_if<Told>(&answer_);
            if (answer && coordinator_.settle(to_settle_) == ErrorCode::none)
                return std::move(*answer);
            Told none;
            none.error = ErrorCode::not_coordinator;
            return none;
        }

    private:
        friend class Coordinator;

        Coordinator& coordinator_;
        const Ticket ticket_;
        std::variant<std::monostate, Joined, Synced> answer_; // None: nobody coordinates here.
        Answer to_settle_;
        Signal answered_;
    };

    // These do not wait. An error is the answer, else it comes to `waiting`.
    ErrorCode join(const std::string& group, Join join, Waiting& waiting);
    ErrorCode sync(const std::string& group, Sync sync, Waiting& waiting);

    // ---- Answers at once, but for what must be committed before ----

    // None of these waits.
    Answer heartbeat(const std::string& group, const MemberName& member, std::int32_t generation);
    // One error for each member, unless there is one for all.
    Answer leave(const std::string& group, const std::vector<MemberName>& members,
                 std::vector<ErrorCode>& errors);
    using Offsets = std::map<std::pair<std::string, std::int32_t>, wire::kafka::OffsetValue>;
    Answer commit(const std::string& group, const MemberName& member, std::int32_t generation,
                  const Offsets& offsets);
    // The same as part of a producer's transaction: they count when that commits. Without a
    // generation nobody asks for members.
    struct InTransaction {
        std::int64_t producer = 0;
        std::int16_t epoch = 0;
    };
    Answer commit_in_transaction(const std::string& group, const MemberName& member,
                                 std::int32_t generation, const InTransaction& transaction,
                                 const Offsets& offsets);
    // Forgets the offsets of these partitions. ErrorCode::group_subscribed_to_topic is for each.
    Answer forget(const std::string& group,
                  const std::vector<std::pair<std::string, std::int32_t>>& partitions,
                  std::vector<ErrorCode>& errors);

    // ---- What waits ----

    // All offsets of a group that are committed by now.
    struct Fetched {
        ErrorCode error = ErrorCode::none;
        Offsets offsets;
        // Some transaction has offsets of these, and has not ended.
        std::set<std::pair<std::string, std::int32_t>> unstable;
    };
    Fetched fetch(const std::string& group);

    // Forgets a group that has no members.
    ErrorCode remove(const std::string& group);

    // ---- For those who look on; they do not wait ----

    struct Listed {
        std::string id, protocol_type;
        GroupState::Phase phase = GroupState::Phase::empty;
    };
    // Those that are coordinated here. Some partition of which may not be loaded yet.
    std::vector<Listed> list(bool& is_loading) const;
    // Every group that is coordinated here.
    void for_each(
        const std::function<void(const std::string& id, const GroupState& group)>& visit) const;
    // Their offsets, as they are stored here by now: nobody asks if they are the latest, so no
    // promise is made of them. Waits. Of so many at most, and says if there are more.
    static constexpr std::size_t offsets_looked_at_max = 100'000;
    using OffsetVisitor = std::function<void(const wire::kafka::OffsetKey& about,
                                             const wire::kafka::OffsetValue& value)>;
    Result<bool> look_at_offsets(const OffsetVisitor& visit) const;
    // Null: there is none, if the error says nothing else.
    const GroupState* look(const std::string& group, ErrorCode& error);

private:
    struct Entry;
    struct Tenure;
    struct Shard;
    // Keys and values; no value: the key is forgotten.
    using Records = std::vector<std::pair<std::string, std::optional<std::string>>>;
    // A partition that is led and loaded, or why it is not.
    struct Access {
        ErrorCode error = ErrorCode::none;
        Shard* shard = nullptr;
    };

    // ---- coordinator.cc ----
    const Topic* topic() const;
    Result<> make_topic();
    bool is_current(const Shard& shard) const;
    Access access(const std::string& group);
    Entry* find_entry(Shard& shard, const std::string& group);
    Entry* make_entry(Shard& shard, const std::string& group);
    Result<raft::Group::Proposal> propose(Shard& shard, const Records& records);
    bool input_done(Shard& shard, const std::string& group, Entry& entry);
    void answer(Shard& shard, Entry& entry, Ticket ticket, std::variant<Joined, Synced> told);
    Answer answer_of(Shard& shard, Entry& entry, ErrorCode error);
    Answer write_offsets(Shard& shard, Entry& entry, const Records& records);
    void end_tenure(Shard& shard);
    void drop(Shard& shard, const std::string& group);
    void set_deadline(Shard& shard, const std::string& group, Entry& entry);
    Result<> keep_deadlines();

    // ---- shards.cc ----
    Result<> follow_catalogue();
    Result<> follow_logs();
    bool is_behind(const Shard& shard) const;
    bool can_load(const Shard& shard) const;
    bool has_work() const;
    void drop(GroupId id);
    void look_for_shards();
    Result<> apply_some();
    Result<> read_applied(Shard& shard);
    Result<Offset> read_some(Shard& shard, PendingOffsetTable& pending, KvStore::Batch& batch);
    Result<> read_pending(Shard& shard);
    Result<> load_some();
    Result<> load(Shard& shard);
    Result<> catch_up(GroupId id);

    // ---- retention.cc ----
    void note_deleted_topics();
    Result<> keep_retention();
    bool is_over(const Entry& entry, std::int64_t now_ms) const;
    bool is_expired(const Entry& entry, const wire::kafka::OffsetKey& key,
                    const wire::kafka::OffsetValue& value, std::int64_t now_ms) const;
    Result<> sweep(GroupId id, const std::map<std::string, std::int64_t>& deleted);
    void forget_swept(Shard& shard, const std::string& group, Entry& entry, bool is_over,
                      Records removals);

    Environment& env_;
    const GroupConfig& config_;
    const GroupRules rules_;
    const int replication_factor_;
    raft::Host& host_;
    Controller& controller_;
    const SpaceWatch& space_;
    std::map<GroupId, std::unique_ptr<Shard>> shards_;
    std::set<std::tuple<Time, GroupId, std::string>> deadlines_;
    std::map<Ticket, Waiting*> waiting_;
    Ticket last_ticket_ = 0;
    std::size_t groups_ = 0; // Of all tenures.
    std::map<std::string, wire::Uuid> topics_seen_;
    std::map<std::string, std::int64_t> topics_deleted_; // And when; their offsets are to go.
    Offset catalogue_seen_{-1};
    Condition changed_; // Some shard's log, who leads it, or what shards there are.
    Condition applied_changed_;
    Condition deadlines_changed_;
    Condition sweep_wanted_;
    Metrics::Gauge groups_gauge_;
    Metrics::Counter generations_total_;
    Metrics::Counter commits_total_;
};

} // namespace pyralog::server
