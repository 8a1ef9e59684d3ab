// sim-tests/workload.h
//
// The clients of a run: what they do, drawn from the seed, and the programs that do it. Each is a
// node of the world with a number from first_client on, and writes down what it asked and saw in
// the one History of the run.
//
// Producers send records that exist once and describe themselves; repeaters are idempotent, and
// send the same ones until they are told that they are stored; transactors write several partitions
// at once, and transformers make records of records; consumers read from anywhere; an admin makes
// the topics, and may delete one; a pruner deletes their first records; members of groups share out
// partitions, and commit and read offsets; a vandal sends what no client should. None of them gives
// up: what fails is noted as what it is, and the next thing is tried.
#pragma once

#include "core/env/environment.h"
#include "core/wire/kafka/fetch.h"
#include "sim-tests/group_client.h"
#include "sim-tests/history.h"
#include "sim-tests/kafka_client.h"

#include <functional>
#include <set>
#include <string>
#include <vector>

namespace pyralog::simtest {

constexpr NodeId first_client{1000};

// Percent of the time.
inline bool often(Random& random, std::uint64_t percent) { return random.chance(percent, 100); }

struct TopicPlan {
    std::string name;
    std::int32_t partitions = 1;
    std::int16_t replication = -1; // -1: the brokers' default.
    bool auto_created = false;     // By whoever asks first, with the brokers' partitions.
    bool deleted = false;          // At some time, by the admin.
    bool pruned = false;           // From its beginning, by the pruner, now and then.
    // As it is made; -1: as the brokers have it.
    std::int64_t retention_ms = -1, retention_bytes = -1;
    bool compacted = false;
    std::int64_t delete_retention_ms = -1, segment_bytes = -1;
    // Kafka's default is a day, and no run is as long.
    bool forgets() const { return delete_retention_ms >= 0; }
    bool expires() const { return retention_ms >= 0 || retention_bytes >= 0; }
};

// Groups of consumers, all of one kind, and one more in which offsets are kept by clients that are
// in no group.
struct GroupsPlan {
    int groups = 0;
    int members = 0; // Of each.
    int static_members = 0;
    bool doubles = false; // Another takes itself for the first static member.
    int alone = 0;
    bool explored = false; // See explorer.h.
    Duration session_timeout{2s};
    Duration rebalance_timeout{2s};

    int all() const { return groups + (alone > 0 ? 1 : 0); }
    GroupPlan of(std::int32_t group) const { return {group, session_timeout, rebalance_timeout}; }
};

// Those who make records of records: see workload_transformer.cc.
struct TransformPlan {
    int instances = 0;
    int lanes = 1;                 // Of partitions; those of one lane have one transactional id,
    bool by_group = false;         // or each has his own, and they are members.
    GroupPlan members{50, 2s, 2s}; // Of no group of the others.
};

struct WorkloadPlan {
    std::vector<TopicPlan> topics;
    int producers = 1;
    int repeaters = 0;
    int transactors = 0;
    bool rivals = false; // Transactors have one transactional id.
    TransformPlan transform;
    int consumers = 1;
    bool vandal = false;
    bool prober = false; // See prober.h; Run starts it.
    bool explorer = false;
    Duration think_time{5ms};     // The mean, between the end of one request and the next.
    Duration patience{5s};        // For one answer.
    std::int32_t records_max = 8; // In a batch.
    std::size_t value_bytes_max = 512;
    // All values of a run together; what is sent then is as small as can be. Nothing is ever
    // deleted, and the world holds all that lies on any disk.
    std::size_t sent_bytes_max = 8_MiB;
    std::uint32_t pipelined_percent = 20; // Of a producer's turns.
    Duration deletes_after{0};
    Duration prunes_every{0}; // The mean.
    bool all_expire = false;  // Also topics that do not say so: the brokers are set that way.
    GroupsPlan groups;
    int passing_topics = 0; // That the admin makes, and deletes soon after, one by one.
};

WorkloadPlan draw_workload(Random random, int nodes);

class Workload {
public:
    // The world's time, which no client program could know: for the history only.
    using Now = std::function<Duration()>;

    Workload(WorkloadPlan plan, History& history, std::vector<Address> bootstrap, Now now)
        : plan_(std::move(plan)), history_(history), bootstrap_(std::move(bootstrap)),
          now_(std::move(now)) {}

    const WorkloadPlan& plan() const { return plan_; }

    // The programs, and by which number each is a node.
    struct Program {
        NodeId node;
        std::string_view what;
        std::function<void(Environment&)> main;
    };
    std::vector<Program> programs();

    // For the end, with these brokers to begin with: makes a new topic, on all nodes; writes one
    // record to each partition of each topic there is, until it is stored by all; then reads
    // everything, into History::read_all(); and enters each group, reads all its offsets, and
    // commits new ones. Before it writes anything it begins under each transactional id, so that
    // nothing is open any more. Returns only when that is done, or when it is cancelled. After a
    // few attempts at something it asks if that may be left out; of a group or a transactional id,
    // by its name and -1.
    enum class FinalStep : std::uint8_t { create, transaction, store, read, group };
    using MayLeaveOut = std::function<bool(FinalStep step, const TopicPartition& of)>;
    std::function<void(Environment&)> final_program(NodeId node, std::vector<Address> bootstrap,
                                                    MayLeaveOut may_leave_out = {});
    bool final_done() const { return final_done_; }
    const std::string& final_waits_for() const { return final_waits_for_; }
    std::uint64_t final_steps() const { return final_steps_; } // That were begun.

    // Do the records of this topic have keys?
    bool is_compacted(const std::string& topic) const;

    // How large a value may be that should have this size.
    std::size_t room_for(std::size_t size);

    // Topics that somebody has begun to delete: nothing is expected of them.
    bool deleting(const std::string& topic) const;
    // Those that stay, of which something is expected in the end.
    bool stays(const std::string& topic) const;
    // The partitions that groups share out, as far as this client knows them.
    std::vector<TopicPartition> group_partitions(const KafkaClient& kafka) const;
    // Those of which records are made.
    std::vector<TopicPartition> transform_inputs(const KafkaClient& kafka) const;

private:
    friend class Client;
    friend class Producer;
    friend class Repeater;
    friend class TransactionalClient;
    friend class Transactor;
    friend class Transformer;
    friend class Consumer;
    friend class Finisher;
    friend class Admin;
    friend class Pruner;
    friend class Member;

    void produce(Environment& env, NodeId self);
    void repeat(Environment& env, NodeId self);
    void transact(Environment& env, NodeId self);
    void transform(Environment& env, NodeId self, int number);
    void consume(Environment& env, NodeId self);
    void administer(Environment& env);
    void prune(Environment& env, NodeId self);
    void vandalise(Environment& env);
    void take_part(Environment& env, std::int32_t group, int number);

    const WorkloadPlan plan_;
    History& history_;
    const std::vector<Address> bootstrap_;
    const Now now_;
    std::vector<std::string> deleting_;
    std::set<std::string> transactional_ids_; // That somebody has had.
    std::size_t sent_bytes_ = 0;
    bool final_done_ = false;
    std::string final_waits_for_; // For people.
    std::uint64_t final_steps_ = 0;
};

// The records of all whole batches of an answer. Its last may be cut short, as Kafka allows.
Result<std::vector<Fetch::Seen>> seen_in(const std::optional<BytesChain>& records);
// The same without those of transactions that the answer calls aborted, and without markers.
Result<std::vector<Fetch::Seen>> counting_in(const kafka::FetchResponse::Partition& told);
// Where they end; nothing if there is none.
std::optional<std::int64_t> end_of(const std::optional<BytesChain>& records);

// What an answer to a produce request says of its records.
Outcome outcome_of(kafka::ErrorCode error);

} // namespace pyralog::simtest
