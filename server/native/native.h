// server/native/native.h
//
// The node as PyralogService has it: records go into a partition, and come out of one, and errors
// say in words what is wrong. Each call is what a client of Kafka's protocol would ask of this very
// node, and is answered by the same code; so whatever holds there holds here.
//
// All calls may wait, and are to be made by a fiber of the node. They end when that is cancelled.
#pragma once

#include "core/wire/record_batch.h"
#include "server/node.h"

#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace pyralog::server {

// What a caller can act on.
enum class NativeError : std::uint8_t {
    invalid_offset,       // There is no such record, or no longer.
    partition_not_found,  // No such topic, or not so many partitions.
    not_leader,           // Another node is: the failure names it.
    quorum_not_available, // No leader, or one that cannot act. Nothing was written.
    unknown_outcome,      // The same, and what was sent may be stored, or may be one day.
    epoch_sealed,         // There is a newer leader than the one that was meant, or was one before
                          // the records were stored. Nothing was written.
    invalid_request,
    out_of_space,
    unreadable, // What is stored there cannot be read now.
    stopping,
};

struct NativeFailure {
    NativeError error{};
    std::string message;          // For people: what, where, what to do.
    std::optional<NodeId> leader; // With not_leader.
};

template <class T>
using NativeResult = std::variant<T, NativeFailure>;

class Native {
public:
    explicit Native(Node& node) : node_(node) {}

    struct Partition {
        std::string topic;
        std::int32_t index = 0;
    };
    struct NewRecord {
        std::optional<std::string_view> key, value;
        std::int64_t timestamp_ms = 0; // Zero: now.
        std::vector<wire::RecordHeader> headers;
    };

    // Stores these together, in their order, and returns once a majority has them on disk. The
    // topic is made if there is none, and if the node does that for others. Whoever names an epoch
    // wants nothing written once there is a newer one.
    struct Written {
        Offset offset; // Of the first.
        Term epoch;    // Of the leader that took them.
    };
    NativeResult<Written> produce(const Partition& to, std::span<const NewRecord> records,
                                  Time until, std::optional<Term> epoch = {});

    // Where the records of a partition begin, and where those end that are committed.
    struct Bounds {
        Offset start, end;
    };
    NativeResult<Bounds> bounds(const Partition& partition);

    // Records from an offset on, as many as fit into so many bytes, but at least a batch of them.
    // If there are none it waits for some until `until`, and then answers that there are none.
    // `next` is where to go on; it may be further than the last record.
    struct Fetched {
        std::vector<wire::Record> records;
        Offset next;
        Offset end; // Of what is committed.
    };
    NativeResult<Fetched> fetch(const Partition& from, Offset offset, std::size_t bytes_max,
                                Time until);

    // A topic's partitions, in their order, and who leads each.
    struct Led {
        std::optional<NodeId> leader;
        std::vector<NodeId> replicas;
    };
    NativeResult<std::vector<Led>> partitions(const std::string& topic);

private:
    template <class Request>
    Result<typename Request::Response> ask(const Request& request, std::int16_t version);
    NativeFailure failure(wire::kafka::ErrorCode code, const Partition& partition) const;
    NativeFailure without_leader(const Partition& partition) const;
    NativeFailure gone(Error error) const;
    std::optional<NativeFailure> make_topic(const Partition& partition);
    std::optional<Term> led_in(const Partition& partition) const;

    Node& node_;
};

} // namespace pyralog::server
