// AddPartitionsToTxn: answered when the coordinator has it written down, and when each partition
// knows that the transaction has begun there: so none has to ask when its first batch comes.
#include "core/wire/kafka/add_partitions_to_txn.h"

#include "core/base/probe.h"
#include "server/handlers/handlers.h"

namespace pyralog::server {

namespace {

using wire::kafka::AddPartitionsToTxnRequest;
using wire::kafka::AddPartitionsToTxnResponse;

constexpr std::int16_t abortable_from = 5;

class Adding {
public:
    Adding(Node& node, std::int16_t version, const AddPartitionsToTxnRequest::Transaction& wanted)
        : node_(node), version_(version), wanted_(wanted) {}

    AddPartitionsToTxnResponse::Transaction answer() {
        for (const auto& topic : wanted_.topics)
            for (const std::int32_t index : topic.partitions) find(topic.name, index);
        // One that is not there keeps the others out; that is what clients expect.
        ErrorCode error = is_missing_ ? ErrorCode::operation_not_attempted : ErrorCode::none;
        if (!is_missing_) error = carry_out();
        AddPartitionsToTxnResponse::Transaction told{wanted_.transactional_id, {}};
        for (const auto& topic : wanted_.topics) {
            told.topics.push_back({topic.name, {}});
            for (const std::int32_t index : topic.partitions)
                told.topics.back().partitions.push_back(
                    {index, error_of(topic.name, index, error)});
        }
        return told;
    }

private:
    void find(const std::string& topic, std::int32_t index) {
        const auto* const found = node_.controller.catalogue().find(topic, index);
        const bool is_there = found && !is_internal(topic);
        if (is_there) partitions_[{topic, index}] = found->group;
        if (!is_there) errors_[{topic, index}] = ErrorCode::unknown_topic_or_partition;
        SOMETIMES(!is_there, "add-partitions-to-txn/no-such-partition");
        is_missing_ |= !is_there;
    }
    ErrorCode carry_out() {
        const Transactions::Name who{wanted_.producer_id, wanted_.producer_epoch};
        Transactions& all = node_.transactions;
        return wanted_.verify_only ? all.verify(wanted_.transactional_id, who, partitions_, errors_)
                                   : all.add(wanted_.transactional_id, who, partitions_, errors_);
    }
    ErrorCode error_of(const std::string& topic, std::int32_t index, ErrorCode all) const {
        const auto own = errors_.find({topic, index});
        ErrorCode error = own == errors_.end() ? all : own->second;
        if (error == ErrorCode::transaction_abortable && version_ < abortable_from)
            error = ErrorCode::invalid_txn_state;
        return in_words_of(version_, txn_fenced_from, error);
    }

    Node& node_;
    const std::int16_t version_;
    const AddPartitionsToTxnRequest::Transaction& wanted_;
    TransactionPartitions partitions_;
    Transactions::Errors errors_;
    bool is_missing_ = false;
};

} // namespace

StartResult start_add_partitions_to_txn(Node& node, RequestParts parts) {
    auto request = TRY(wire::kafka::decode_request<AddPartitionsToTxnRequest>(parts));
    return started([&node, header = std::move(parts.header), request = std::move(request)] {
        constexpr std::int16_t several_from = 4;
        AddPartitionsToTxnResponse response;
        if (header.version < several_from)
            response.topics = Adding(node, header.version, request.transaction).answer().topics;
        for (const AddPartitionsToTxnRequest::Transaction& transaction : request.transactions)
            response.transactions.push_back(Adding(node, header.version, transaction).answer());
        return answer(header, response);
    });
}

} // namespace pyralog::server
