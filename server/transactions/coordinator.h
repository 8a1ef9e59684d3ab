// server/transactions/coordinator.h
//
// Transactions on this node: the partitions of __transaction_state that it leads, and the
// transactional ids that fall on them. See README.md.
//
//     a request → TransactionState → a record in the partition's log ─ committed ─→ the answer
//                                                                         │
//                                        begins and ends in the partitions┘
//
// A leader reads its partition when it is elected, and coordinates for that term, a Tenure. It ends
// when somebody else leads, or when a record could not be written; the state is then read again. A
// record changes the state at once; answers, and what partitions are told, wait until all that was
// written of it so far is committed.
//
// Memory: transaction.ids_max ids of a node, each with transaction.partitions_max partitions.
#pragma once

#include "core/env/environment.h"
#include "raft/host.h"
#include "server/config.h"
#include "server/controller.h"
#include "server/groups/coordinator.h"
#include "server/producers/producer_ids.h"
#include "server/space_watch.h"
#include "server/transactions/partition_calls.h"
#include "server/transactions/transaction_state.h"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

namespace pyralog::server {

inline constexpr std::string_view transactions_topic_name = "__transaction_state";

class Transactions {
public:
    using Name = TransactionState::Name;
    using Found = Coordinator::Found;

    // All of them outlive this.
    Transactions(Environment& env, const TransactionConfig& config, int replication_factor,
                 raft::Host& host, Controller& controller, ProducerIds& ids,
                 const SpaceWatch& space);
    ~Transactions();

    // Coordinates, until cancelled.
    Result<> run();

    // Who coordinates this id. Waits: the topic is made when somebody first asks.
    Found find(const std::string& transactional_id);

    // ---- Requests; all of them wait ----

    struct Told {
        ErrorCode error = ErrorCode::none;
        Name name = {};
    };
    Told init(const std::string& id, std::optional<Name> mine, std::int32_t timeout_ms);
    // One error for each partition, unless there is one for all: it was not added, or does not know
    // that the transaction has begun.
    using Errors = std::map<std::pair<std::string, std::int32_t>, ErrorCode>;
    ErrorCode add(const std::string& id, const Name& who, const TransactionPartitions& partitions,
                  Errors& errors);
    ErrorCode verify(const std::string& id, const Name& who,
                     const TransactionPartitions& partitions, Errors& errors);
    Told end(const std::string& id, const Name& who, bool commits, bool bumps);

    // ---- For those who look on; they do not wait ----

    // Null: there is none, if the error says nothing else.
    const TransactionValue* look(const std::string& id, ErrorCode& error);
    void for_each(const std::function<void(const std::string& id, const TransactionValue& value)>&
                      visit) const;
    bool is_loading() const;

private:
    struct Entry {
        TransactionState state;
        std::optional<raft::Group::Proposal> written; // The last of its records.
        std::optional<Time> deadline;
        bool is_ending = false; // Somebody tells its partitions.
    };
    // A partition that is led from here.
    struct Shard {
        Shard(GroupId i, raft::GroupRef g, Condition& changed)
            : id(i), group(std::move(g)), watcher(changed) {
            group->watch(watcher);
        }
        ~Shard() { group->unwatch(watcher); }
        Shard(const Shard&) = delete;
        Shard& operator=(const Shard&) = delete;

        const GroupId id;
        raft::GroupRef group;
        Condition& watcher;
        std::optional<Term> term; // For which it has been read.
        std::map<std::string, Entry> entries;
    };
    struct Access {
        ErrorCode error = ErrorCode::none;
        Shard* shard = nullptr;
        Entry* entry = nullptr;
    };
    struct Ending {
        GroupId shard;
        Term term;
        std::string id;
        std::int64_t number; // Of this id's transactions.
    };

    const Topic* topic() const;
    Result<> make_topic();
    bool is_current(const Shard& shard) const;
    Access access(const std::string& id);
    ErrorCode write(Shard& shard, const std::string& id, Entry& entry);
    // By value: what has been written may be forgotten while this waits.
    ErrorCode settle(GroupId shard, std::optional<raft::Group::Proposal> written);
    void end_tenure(Shard& shard);
    void set_deadline(Shard& shard, const std::string& id, Entry& entry);
    Result<std::optional<std::int64_t>> fresh_id(const std::string& id, bool only_if_known);
    Errors begin_all(const wire::TransactionBegin& begin, const TransactionPartitions& partitions);

    // ---- shards.cc ----
    Result<> follow();
    bool has_work() const;
    bool can_load(const Shard& shard) const;
    void look_for_shards();
    Result<> load(GroupId id);
    Result<> keep_deadlines();
    Result<> keep_ending();
    void end_one(const Ending& ending);
    bool is_gone(const std::pair<std::string, std::int32_t>& name, GroupId group) const;
    Entry* find_current(const Ending& ending);
    Result<> keep_retention();

    Environment& env_;
    const TransactionConfig& config_;
    const int replication_factor_;
    raft::Host& host_;
    Controller& controller_;
    ProducerIds& ids_;
    const SpaceWatch& space_;

public:
    PartitionCalls calls;

private:
    std::map<GroupId, std::unique_ptr<Shard>> shards_;
    std::set<std::tuple<Time, GroupId, std::string>> deadlines_;
    std::deque<Ending> to_end_;
    std::size_t ending_ = 0;
    std::size_t known_ = 0; // Ids, of all tenures.
    Condition changed_;
    Condition deadlines_changed_;
    Condition to_end_changed_;
    Metrics::Gauge ids_gauge_;
    Metrics::Counter committed_total_;
    Metrics::Counter aborted_total_;
};

} // namespace pyralog::server
