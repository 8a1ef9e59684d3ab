// server/groups/pending_offsets.h
//
// Offsets that are part of transactions which have not ended, as a replica of a partition of
// __consumer_offsets knows them: by producer and by the key of their record. A function of the
// log's committed records, like what is in the KvStore, and stored there with it.
//
// The order of the log decides, as in Kafka: a record counts for its place, whenever its
// transaction commits, so what was written behind it stays.
//
// A marker says how a transaction ended. It may have been compacted away before this replica came
// to it, but then what is left of the transaction's records counts, for compaction drops the rest;
// settle() is told by the partition's producers. Pure.
#pragma once

#include "core/base/types.h"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>

namespace pyralog::server {

struct PendingOffset {
    Offset place;
    std::optional<std::string> value; // None: the key is to be forgotten.
};

class PendingOffsetTable {
public:
    using Key = std::pair<std::int64_t, std::string>; // Producer, key of the record.

    // What is to be done with the stored facts.
    struct Changes {
        std::map<std::string, std::optional<std::string>> facts; // By the key of the record.
        std::map<Key, std::optional<PendingOffset>> pending;     // None: it is not any more.
    };

    void restore(Key key, PendingOffset value) { pending_[std::move(key)] = std::move(value); }

    // Records as they come.
    void plain(const std::string& key, std::optional<std::string> value, Offset place,
               Changes& changes);
    void part(std::int64_t producer, const std::string& key, std::optional<std::string> value,
              Offset place, Changes& changes);
    void end(std::int64_t producer, bool commits, Changes& changes);

    // Of those whose transaction is over, and whose marker was not met: does it count? Nothing: it
    // is not over.
    using Counts = std::function<std::optional<bool>(std::int64_t producer, Offset place)>;
    void settle(const Counts& counts, Changes& changes);

    const std::map<Key, PendingOffset>& all() const { return pending_; }

private:
    void supersede(const std::string& key, Offset place, Changes& changes);

    std::map<Key, PendingOffset> pending_;
};

} // namespace pyralog::server
