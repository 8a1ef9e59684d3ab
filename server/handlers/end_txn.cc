// EndTxn: answered when it is decided for good how the transaction ends. Its partitions are told
// afterwards; whoever begins the next one before that waits.
#include "core/wire/kafka/end_txn.h"

#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::EndTxnRequest;
using wire::kafka::EndTxnResponse;

constexpr std::int16_t bumps_from = 5; // KIP-890.

} // namespace

StartResult start_end_txn(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<EndTxnRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        const auto told = node.transactions.end(request.transactional_id,
                                                {request.producer_id, request.producer_epoch},
                                                request.committed, header.version >= bumps_from);
        EndTxnResponse response;
        response.error = in_words_of(header.version, txn_fenced_from, told.error);
        if (told.error == ErrorCode::none) {
            response.producer_id = told.name.producer;
            response.producer_epoch = told.name.epoch;
        }
        return answer(header, response);
    });
}

} // namespace pyralog::server
