// sim-tests/history.h
//
// What the clients of a run asked, were told and saw, with the times of the world. Clients write it
// as it happens; check_history.h judges it when the run is over.
//
// Every record that is ever sent has a value of its own, which tells who sent it and as which of
// his records. So a value that is read back names the request that it came with, and if it is the
// very value: a record's Ident decides its bytes. A producer that tries again sends new records,
// and an idempotent one may send the same ones again, so each Ident may show up once at most.
#pragma once

#include "core/base/bytes.h"
#include "core/base/time.h"
#include "core/base/types.h"
#include "core/wire/kafka/api.h"
#include "sim-tests/group_history.h"

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace pyralog::simtest {

// ---- Records that describe themselves ----

struct Ident {
    std::int32_t client = 0;
    std::int64_t number = 0; // Of this client's records, from 1. Zero: none of ours.
    constexpr auto operator<=>(const Ident&) const = default;
};

// The value of a record: its ident, its size, and bytes that follow from both. Sizes below
// value_size_min are raised to it.
constexpr std::size_t value_size_min = 32;
std::string value_of(Ident ident, std::size_t size);

// Whose value this is; nothing unless it is so to the last byte.
std::optional<Ident> ident_of(std::string_view value);

// In a topic that is compacted each record has a key, of which there are few, and some say that it
// is deleted. Both follow from the ident.
std::string key_of(Ident ident);
bool deletes_key(Ident ident);

std::string to_string(Ident ident);

// A marker that was read tells whose transaction it ends, and how: an ident that nobody sends.
Ident marker_ident(std::int64_t producer, std::int64_t offset, bool commits);
struct Marker {
    std::int64_t producer = 0;
    bool commits = false;
};
std::optional<Marker> marker_of(Ident ident);

// ---- The history ----

struct TopicPartition {
    std::string topic;
    std::int32_t partition = 0;
    auto operator<=>(const TopicPartition&) const = default;
};
std::string to_string(const TopicPartition& partition);

enum class Acks : std::int8_t { none = 0, leader = 1, all = -1 };

enum class Outcome : std::uint8_t {
    unknown, // No answer, or one that leaves it open.
    stored,  // An offset. With Acks::none nobody says so.
    refused, // An answer which says that it is not in the log, and never will be.
};

// One batch, sent once; or `in_sequence`, by an idempotent producer, until he was told.
struct Produce {
    std::int32_t client = 0;
    // Requests on one connection are carried out in their order, and so are the batches that an
    // idempotent producer sends to a partition under one id, on whatever connections: less than
    // zero stands for these.
    std::int64_t connection = 0;
    bool in_sequence = false;
    std::int32_t partition = 0; // History::partition().
    Acks acks = Acks::all;
    std::int64_t first_number = 0; // Of its records' idents.
    std::int32_t records = 0;
    std::uint32_t batch_crc = 0; // What Kafka's checksum of it is, wherever it is stored.
    std::int32_t replicas = 0;   // Of the partition, as the client knew it.
    Duration invoked{0};
    std::optional<Duration> completed;
    Outcome outcome = Outcome::unknown;
    std::int64_t base_offset = -1; // If stored.
};

// What a fetch showed of one partition.
struct Fetch {
    struct Seen {
        std::int64_t offset = 0;
        Ident ident; // None of ours if the value was not one that describes itself.
        bool operator==(const Seen&) const = default;
    };
    std::int32_t client = 0;
    std::int64_t connection = 0;
    std::int32_t partition = 0;
    std::int64_t from = 0;
    Duration invoked{0};
    Duration completed{0};
    std::int64_t high_watermark = 0;
    std::vector<Seen> seen;
    std::int64_t log_start = -1; // If the answer says so.
};

// Where a partition ended, as ListOffsets told.
struct EndAsked {
    std::int32_t client = 0;
    std::int32_t partition = 0;
    Duration invoked{0};
    Duration completed{0};
    std::int64_t end = 0;
    std::int32_t leader_epoch = -1; // Of whom it was told by, if he said so.
};

// Somebody asked for the deletion of all records before an offset.
struct Deletion {
    static constexpr std::int64_t all = -1;
    std::int32_t partition = 0;
    std::int64_t before = all; // All that was committed then.
};

// Where a partition began, as somebody was told.
struct StartTold {
    std::int32_t client = 0;
    std::int32_t partition = 0;
    Duration completed{0};
    std::int64_t start = 0;
    std::int64_t asked = 0; // Not before this one, if it was asked for by a deletion.
};

// An idempotent producer sent the batch that came next, and was told that it does not.
struct SequenceRefused {
    std::int32_t client = 0;
    std::int32_t partition = 0;
    Duration completed{0};
    std::int32_t sequence = 0;
    wire::kafka::ErrorCode error = wire::kafka::ErrorCode::none;
};

// Batches of several partitions that all count, or none: see check_transactions.h.
struct Transaction {
    enum class Outcome : std::uint8_t { unknown, committed, aborted };
    std::int32_t client = 0;
    std::string id; // The transactional one.
    std::int64_t producer = 0;
    std::int16_t epoch = 0;
    std::vector<std::size_t> produces; // In the history.
    Outcome outcome = Outcome::unknown;
};

// Somebody began under a transactional id and was told who he is. Whoever was it before is fenced.
struct Named {
    std::string id;
    std::int64_t producer = 0;
    std::int16_t epoch = 0;
    Duration invoked{0};
    Duration completed{0};
};

// What somebody asked for under a transactional id, as this one, was done.
struct Taken {
    std::string id;
    std::int64_t producer = 0;
    std::int16_t epoch = 0;
    std::string_view what; // For people.
    Duration invoked{0};
};

// A record was made from another, in a transaction that also moves the offset of its group.
struct Derived {
    std::string group;
    std::int32_t partition = 0; // Of the other: History::partition().
    std::int64_t offset = 0;
    std::int32_t into = 0; // The partition of this one.
    Ident made;
};

// How far a group has come with it, when nothing was open any more.
struct DerivedUpTo {
    std::string group;
    std::int32_t partition = 0;
    std::int64_t end = 0;
};

// What was read with read_committed, without what a client skips then.
struct CountingSeen {
    std::int32_t client = 0;
    std::int32_t partition = 0;
    std::vector<Fetch::Seen> seen;
};

// What no client knows: since when there was a leader of this epoch.
struct Elected {
    std::int32_t partition = 0;
    std::int32_t leader_epoch = 0;
    Duration when{0};
};

class History {
public:
    // A small number for each partition, given out as they are first named.
    std::int32_t partition(const TopicPartition& name);
    const TopicPartition& name(std::int32_t partition) const;
    std::size_t partition_count() const { return names_.size(); }

    // Before it is sent; the answer is for completed(). Numbers of one client rise.
    std::size_t invoke(Produce produce);
    void completed(std::size_t produce, Duration when, Outcome outcome, std::int64_t base_offset);
    void saw(Fetch fetch) { fetches_.push_back(std::move(fetch)); }
    void asked(EndAsked end) { ends_.push_back(end); }
    void deletes(Deletion deletion) { deletions_.push_back(deletion); }
    void told(StartTold start) { starts_.push_back(start); }
    // Records of this topic may go without being asked to.
    void expires(const std::string& topic) { expiring_.insert(topic); }
    // Of this topic only the newest record of each key must be there; and not even that if it says
    // that the key is deleted, and the topic `forgets` such.
    void compacts(const std::string& topic, bool forgets) { compacted_[topic] = forgets; }
    // The answer is for ended().
    std::size_t begun(Transaction transaction) {
        transactions_.push_back(std::move(transaction));
        return transactions_.size() - 1;
    }
    void has_part(std::size_t transaction, std::size_t produce) {
        transactions_.at(transaction).produces.push_back(produce);
    }
    // A client asks now for the end of one; whoever lies in wait for that looks at how many have.
    void asks_for_end() { ++ends_asked_; }
    std::uint64_t ends_asked() const { return ends_asked_; }
    void ended(std::size_t transaction, Transaction::Outcome outcome) {
        transactions_.at(transaction).outcome = outcome;
    }
    void saw_counting(CountingSeen seen) { counting_.push_back(std::move(seen)); }
    const std::vector<Transaction>& transactions() const { return transactions_; }
    void named(Named name) { named_.push_back(std::move(name)); }
    void taken(Taken taken) { taken_.push_back(std::move(taken)); }
    const std::vector<Named>& named() const { return named_; }
    const std::vector<Taken>& taken() const { return taken_; }
    // In the end somebody began under it, so nothing that was open before is open any more.
    void settled(const std::string& id) { settled_.insert(id); }
    bool is_settled(const std::string& id) const { return settled_.contains(id); }
    void derived(Derived derived) { derived_.push_back(std::move(derived)); }
    void derived_up_to(DerivedUpTo end) { derived_up_to_.push_back(std::move(end)); }
    const std::vector<Derived>& derived() const { return derived_; }
    const std::vector<DerivedUpTo>& derived_up_to() const { return derived_up_to_; }
    const std::vector<CountingSeen>& counting() const { return counting_; }
    void elected(Elected leader) { elected_.push_back(leader); }
    void refused_next(SequenceRefused refused) { sequences_refused_.push_back(refused); }
    // A client was given this producer id.
    void given_id(std::int32_t client, std::int64_t id) { ids_given_.push_back({client, id}); }

    // All of a partition, read when everything was quiet, whose topic still exists, from where it
    // was told to begin. Records in the order in which they were returned.
    struct Log {
        std::int64_t start = 0;
        std::vector<Fetch::Seen> records;
    };
    void read_all(std::int32_t partition, Log log);

    const std::vector<Produce>& produces() const { return produces_; }
    const std::vector<Fetch>& fetches() const { return fetches_; }
    const std::vector<EndAsked>& ends() const { return ends_; }
    const std::vector<Elected>& elected() const { return elected_; }
    const std::vector<Deletion>& deletions() const { return deletions_; }
    const std::vector<StartTold>& starts() const { return starts_; }
    const std::vector<SequenceRefused>& sequences_refused() const { return sequences_refused_; }
    struct IdGiven {
        std::int32_t client = 0;
        std::int64_t id = 0;
    };
    const std::vector<IdGiven>& ids_given() const { return ids_given_; }
    bool may_expire(std::int32_t partition) const {
        return expiring_.contains(name(partition).topic);
    }
    bool is_compacted(std::int32_t partition) const {
        return compacted_.contains(name(partition).topic);
    }
    bool forgets(std::int32_t partition) const { return compacted_.at(name(partition).topic); }
    const std::map<std::int32_t, Log>& logs() const { return logs_; }

    GroupHistory& groups() { return groups_; }
    const GroupHistory& groups() const { return groups_; }

    // The produces that were completed as stored, in the order in which that became known.
    const std::vector<std::size_t>& stored() const { return stored_; }

private:
    GroupHistory groups_;
    std::map<TopicPartition, std::int32_t> numbers_;
    std::vector<TopicPartition> names_;
    std::vector<Produce> produces_;
    std::vector<std::size_t> stored_;
    std::vector<Fetch> fetches_;
    std::vector<EndAsked> ends_;
    std::vector<Transaction> transactions_;
    std::vector<CountingSeen> counting_;
    std::uint64_t ends_asked_ = 0;
    std::vector<Named> named_;
    std::vector<Taken> taken_;
    std::set<std::string> settled_;
    std::vector<Derived> derived_;
    std::vector<DerivedUpTo> derived_up_to_;
    std::vector<Elected> elected_;
    std::vector<Deletion> deletions_;
    std::vector<StartTold> starts_;
    std::vector<SequenceRefused> sequences_refused_;
    std::vector<IdGiven> ids_given_;
    std::set<std::string> expiring_;
    std::map<std::string, bool> compacted_; // And whether it forgets.
    std::map<std::int32_t, Log> logs_;
};

} // namespace pyralog::simtest
