// core/wire/kafka/add_offsets_to_txn.h: API key 25, versions 0 to 4.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct AddOffsetsToTxnRequest {
    static constexpr ApiKey key = ApiKey::add_offsets_to_txn;
    using Response = struct AddOffsetsToTxnResponse;

    std::string transactional_id;
    std::int64_t producer_id = 0;
    std::int16_t producer_epoch = 0;
    std::string group_id;
};

template <class Codec>
void describe(Codec& field, AddOffsetsToTxnRequest& r) {
    field(r.transactional_id, r.producer_id, r.producer_epoch, r.group_id);
    field.tags();
}

struct AddOffsetsToTxnResponse {
    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
};

template <class Codec>
void describe(Codec& field, AddOffsetsToTxnResponse& r) {
    field(r.throttle_time_ms, r.error);
    field.tags();
}

} // namespace pyralog::wire::kafka
