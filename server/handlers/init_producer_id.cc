// InitProducerId: an id for an idempotent producer. By nothing could one be found again: whoever
// wants to go on with a later epoch (KIP-360) gets a new id, as Kafka does it. With a transactional
// id his coordinator knows him.
#include "core/wire/kafka/init_producer_id.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::InitProducerIdRequest;
using wire::kafka::InitProducerIdResponse;

// Then the client is told to try again, which it does by itself.
constexpr Duration init_patience = 5s;

constexpr std::int16_t init_fenced_from = 4;

InitProducerIdResponse give_name(Node& node, std::int16_t version,
                                 const InitProducerIdRequest& request) {
    InitProducerIdResponse response;
    std::optional<Transactions::Name> mine;
    if (request.producer_id >= 0) mine = {request.producer_id, request.producer_epoch};
    const auto told =
        node.transactions.init(*request.transactional_id, mine, request.transaction_timeout_ms);
    response.error = in_words_of(version, init_fenced_from, told.error);
    if (told.error != ErrorCode::none) return response;
    response.producer_id = told.name.producer;
    response.producer_epoch = told.name.epoch;
    return response;
}

InitProducerIdResponse give_id(Node& node, std::int16_t version,
                               const InitProducerIdRequest& request) {
    InitProducerIdResponse response;
    const bool names_half = (request.producer_id < 0) != (request.producer_epoch < 0);
    SOMETIMES(names_half, "init-producer-id/id-without-epoch");
    SOMETIMES(request.transactional_id.has_value(), "init-producer-id/of-a-transaction");
    if (names_half || (request.transactional_id && request.transactional_id->empty())) {
        response.error = ErrorCode::invalid_request;
        return response;
    }
    if (request.transactional_id) return give_name(node, version, request);
    Result<std::int64_t> id = Error::timed_out;
    {
        const Deadline deadline(node.env.fibers, node.env.clock.now() + init_patience);
        id = node.producer_ids.take();
    }
    SOMETIMES(!id.ok(), "init-producer-id/nobody-gives-ids");
    SOMETIMES(id.ok() && request.producer_id >= 0, "init-producer-id/goes-on-with-another-id");
    if (!id.ok()) {
        response.error = ErrorCode::coordinator_load_in_progress;
        return response;
    }
    response.producer_id = id.value();
    response.producer_epoch = 0;
    return response;
}

} // namespace

StartResult start_init_producer_id(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<InitProducerIdRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        return answer(header, give_id(node, header.version, request));
    });
}

} // namespace pyralog::server
