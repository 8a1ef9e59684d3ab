// core/wire/kafka/produce.h: API key 0, versions 0 to 9.
//
// A partition's records are a slice of the request's frame: a record batch, see record_batch.h.
// There is no response at all to a request with acks = 0.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

inline constexpr std::int16_t acks_all = -1;

struct ProduceRequest {
    static constexpr ApiKey key = ApiKey::produce;
    using Response = struct ProduceResponse;

    struct Partition {
        std::int32_t index = 0;
        std::optional<Bytes> records;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::optional<std::string> transactional_id;
    std::int16_t acks = 0; // 0, 1 or acks_all.
    std::int32_t timeout_ms = 0;
    std::vector<Topic> topics;
};

template <class Codec>
void describe(Codec& field, ProduceRequest::Partition& p) {
    field(p.index, p.records);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ProduceRequest::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ProduceRequest& r) {
    if (field.version >= 3) field(r.transactional_id);
    field(r.acks, r.timeout_ms, r.topics);
    field.tags();
}

struct ProduceResponse {
    struct RecordError {
        std::int32_t batch_index = 0;
        std::optional<std::string> message;
    };
    struct Partition {
        std::int32_t index = 0;
        ErrorCode error = ErrorCode::none;
        std::int64_t base_offset = -1;
        std::int64_t log_append_time_ms = -1; // -1: the records keep their own times.
        std::int64_t log_start_offset = -1;
        std::vector<RecordError> record_errors;
        std::optional<std::string> error_message;
    };
    struct Topic {
        std::string name;
        std::vector<Partition> partitions;
    };

    std::vector<Topic> topics;
    std::int32_t throttle_time_ms = 0;
};

template <class Codec>
void describe(Codec& field, ProduceResponse::RecordError& e) {
    field(e.batch_index, e.message);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ProduceResponse::Partition& p) {
    field(p.index, p.error, p.base_offset);
    if (field.version >= 2) field(p.log_append_time_ms);
    if (field.version >= 5) field(p.log_start_offset);
    if (field.version >= 8) field(p.record_errors, p.error_message);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ProduceResponse::Topic& t) {
    field(t.name, t.partitions);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ProduceResponse& r) {
    field(r.topics);
    if (field.version >= 1) field(r.throttle_time_ms);
    field.tags();
}

} // namespace pyralog::wire::kafka
