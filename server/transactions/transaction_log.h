// server/transactions/transaction_log.h
//
// The records of __transaction_state, in the form that Kafka has published, so that tools which
// read that topic can read ours. What Kafka does not have stands in a tag of our own:
//
//     key 0: transactional id
//     value 1: id, epoch, timeout, phase, partitions, times; none: the transactional id is
//     forgotten
#pragma once

#include "core/base/bytes.h"
#include "core/base/result.h"
#include "server/transactions/transaction_state.h"

#include <string>

namespace pyralog::server {

std::string encode_transaction_key(const std::string& transactional_id);
std::string encode_transaction_value(const TransactionValue& value);

// Error::malformed for what is not of this form.
Result<std::string> decode_transaction_key(Bytes key);
Result<TransactionValue> decode_transaction_value(Bytes value);

} // namespace pyralog::server
