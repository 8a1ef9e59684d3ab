// core/wire/kafka/end_txn.h: API key 26, versions 0 to 5.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct EndTxnRequest {
    static constexpr ApiKey key = ApiKey::end_txn;
    using Response = struct EndTxnResponse;

    std::string transactional_id;
    std::int64_t producer_id = 0;
    std::int16_t producer_epoch = 0;
    bool committed = false;
};

template <class Codec>
void describe(Codec& field, EndTxnRequest& r) {
    field(r.transactional_id, r.producer_id, r.producer_epoch, r.committed);
    field.tags();
}

struct EndTxnResponse {
    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::int64_t producer_id = -1; // What the next transaction goes by (KIP-890).
    std::int16_t producer_epoch = -1;
};

template <class Codec>
void describe(Codec& field, EndTxnResponse& r) {
    field(r.throttle_time_ms, r.error);
    if (field.version >= 5) field(r.producer_id, r.producer_epoch);
    field.tags();
}

} // namespace pyralog::wire::kafka
