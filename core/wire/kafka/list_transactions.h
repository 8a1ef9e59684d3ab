// core/wire/kafka/list_transactions.h: API key 66, versions 0 and 1.
#pragma once

#include "core/wire/kafka/api.h"

namespace pyralog::wire::kafka {

struct ListTransactionsRequest {
    static constexpr ApiKey key = ApiKey::list_transactions;
    using Response = struct ListTransactionsResponse;

    std::vector<std::string> state_filters; // Each of these; empty: any.
    std::vector<std::int64_t> producer_id_filters;
    std::int64_t duration_filter_ms = -1; // Those that have run for longer.
};

template <class Codec>
void describe(Codec& field, ListTransactionsRequest& r) {
    field(r.state_filters, r.producer_id_filters);
    if (field.version >= 1) field(r.duration_filter_ms);
    field.tags();
}

struct ListTransactionsResponse {
    struct Transaction {
        std::string transactional_id;
        std::int64_t producer_id = -1;
        std::string state;
    };

    std::int32_t throttle_time_ms = 0;
    ErrorCode error = ErrorCode::none;
    std::vector<std::string> unknown_state_filters;
    std::vector<Transaction> transactions;
};

template <class Codec>
void describe(Codec& field, ListTransactionsResponse::Transaction& t) {
    field(t.transactional_id, t.producer_id, t.state);
    field.tags();
}

template <class Codec>
void describe(Codec& field, ListTransactionsResponse& r) {
    field(r.throttle_time_ms, r.error, r.unknown_state_filters, r.transactions);
    field.tags();
}

} // namespace pyralog::wire::kafka
