// core/wire/kafka/fetch.h: API key 1, versions 4 to 12.
//
// The records of a response are a chain, so that batches go out as the slices they are, from
// wherever they lie.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct FetchRequest {
    static constexpr ApiKey key = ApiKey::fetch;
    using Response = struct FetchResponse;

    struct Partition {
        std::int32_t index = 0;
        std::int32_t current_leader_epoch = -1;
        std::int64_t fetch_offset = 0;
        std::int32_t last_fetched_epoch = -1;
        std::int64_t log_start_offset = -1; // Of a follower.
        std::int32_t max_bytes = 0;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };
    struct ForgottenTopic {
        std::string name;
        std::vector<std::int32_t> partitions;
    };

    std::int32_t replica_id = -1; // -1: a consumer.
    std::int32_t max_wait_ms = 0;
    std::int32_t min_bytes = 0;
    std::int32_t max_bytes = 0x7fffffff;
    std::int8_t isolation_level = 0; // 1: only what is committed of transactions.
    std::int32_t session_id = 0;
    std::int32_t session_epoch = -1; // -1: no session.
    std::vector<Topic> topics;
    std::vector<ForgottenTopic> forgotten_topics;
    std::string rack_id;
    std::optional<std::string> cluster_id;
};

template <class Codec>
void describe(Codec& field, FetchRequest::Partition& p) {
    field(p.index);
    if (field.version >= 9) field(p.current_leader_epoch);
    field(p.fetch_offset);
    if (field.version >= 12) field(p.last_fetched_epoch);
    if (field.version >= 5) field(p.log_start_offset);
    field(p.max_bytes);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FetchRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FetchRequest::ForgottenTopic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FetchRequest& r) {
    field(r.replica_id, r.max_wait_ms, r.min_bytes, r.max_bytes, r.isolation_level);
    if (field.version >= 7) field(r.session_id, r.session_epoch);
    field(r.topics);
    if (field.version >= 7) field(r.forgotten_topics);
    if (field.version >= 11) field(r.rack_id);
    field.tags(tag(0, r.cluster_id, r.cluster_id.has_value()));
}

struct FetchResponse {
    struct AbortedTransaction {
        std::int64_t producer_id = 0;
        std::int64_t first_offset = 0;
    };
    struct EpochEnd {
        std::int32_t epoch = -1;
        std::int64_t end_offset = -1;
        bool operator==(const EpochEnd&) const = default;
    };
    struct Leader {
        std::int32_t id = -1;
        std::int32_t epoch = -1;
        bool operator==(const Leader&) const = default;
    };
    struct Snapshot {
        std::int64_t end_offset = -1;
        std::int32_t epoch = -1;
        bool operator==(const Snapshot&) const = default;
    };
    struct Partition {
        std::int32_t index = 0;
        ErrorCode error = ErrorCode::none;
        std::int64_t high_watermark = 0;
        std::int64_t last_stable_offset = -1;
        std::int64_t log_start_offset = -1;
        std::optional<std::vector<AbortedTransaction>> aborted_transactions;
        std::int32_t preferred_read_replica = -1;
        std::optional<BytesChain> records;
        EpochEnd diverging_epoch;
        Leader current_leader;
        Snapshot snapshot_id;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::int32_t session_id = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, FetchResponse::AbortedTransaction& t) {
    field(t.producer_id, t.first_offset);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FetchResponse::EpochEnd& e) {
    field(e.epoch, e.end_offset);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FetchResponse::Leader& l) {
    field(l.id, l.epoch);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FetchResponse::Snapshot& s) {
    field(s.end_offset, s.epoch);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FetchResponse::Partition& p) {
    field(p.index, p.error, p.high_watermark, p.last_stable_offset);
    if (field.version >= 5) field(p.log_start_offset);
    field(p.aborted_transactions);
    if (field.version >= 11) field(p.preferred_read_replica);
    field(p.records);
    field.tags(tag(0, p.diverging_epoch, p.diverging_epoch != FetchResponse::EpochEnd()),
               tag(1, p.current_leader, p.current_leader != FetchResponse::Leader()),
               tag(2, p.snapshot_id, p.snapshot_id != FetchResponse::Snapshot()));
}

template <class Codec>
void describe(Codec& field, FetchResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, FetchResponse& r) {
    field(r.throttle_time_ms);
    if (field.version >= 7) field(r.error, r.session_id);
    field(r.topics);
    field.tags();
}

} // namespace pyralog::wire::kafka
