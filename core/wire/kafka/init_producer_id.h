// core/wire/kafka/init_producer_id.h: API key 22, versions 0 to 5.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct InitProducerIdRequest {
    static constexpr ApiKey key = ApiKey::init_producer_id;
    using Response = struct InitProducerIdResponse;

    std::optional<std::string> transactional_id;
    std::int32_t transaction_timeout_ms = 0;
    std::int64_t producer_id = -1; // Whoever has one says so when he wants to go on (KIP-360).
    std::int16_t producer_epoch = -1;
};

template <class Codec>
void describe(Codec& field, InitProducerIdRequest& r) {
    field(r.transactional_id, r.transaction_timeout_ms);
    if (field.version >= 3) field(r.producer_id, r.producer_epoch);
    field.tags();
}

struct InitProducerIdResponse {
    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::int64_t producer_id = -1;
    std::int16_t producer_epoch = -1;
};

template <class Codec>
void describe(Codec& field, InitProducerIdResponse& r) {
    field(r.throttle_time_ms, r.error, r.producer_id, r.producer_epoch);
    field.tags();
}

} // namespace pyralog::wire::kafka
