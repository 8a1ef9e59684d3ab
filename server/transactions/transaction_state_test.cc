// The transactions of one transactional id.
#include "server/transactions/transaction_state.h"

#include "core/base/random.h"
#include "server/transactions/transaction_log.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;
using TransactionPhase = TransactionState::Phase;
using Name = TransactionState::Name;

namespace {

constexpr Time state_start{1h};
const TransactionPartitions one{{{"log", 0}, GroupId(7)}};
const TransactionPartitions two{{{"log", 0}, GroupId(7)}, {{"log", 1}, GroupId(8)}};

// Somebody who has begun, with the id 40.
TransactionState begun() {
    TransactionState state;
    CHECK(state.needs_id());
    const auto told = state.init(state_start, {}, 1000, 40);
    CHECK((told.error == ErrorCode::none && told.is_changed && told.name == Name{40, 0}));
    return state;
}

ErrorCode add_to(TransactionState& state, Name who, const TransactionPartitions& partitions = one,
                 Time now = state_start) {
    return state.add(now, who, partitions, 100).error;
}

} // namespace

TEST_CASE("a transaction is open from its first partition on, until it is prepared",
          "[server][transactions]") {
    TransactionState state = begun();
    CHECK(state.end({40, 0}, true, false, {}).error == ErrorCode::invalid_txn_state);
    CHECK(add_to(state, {40, 0}) == ErrorCode::none);
    CHECK(state.value().phase == TransactionPhase::ongoing);
    CHECK(state.begin() == wire::TransactionBegin{40, 0, 1});
    CHECK_FALSE(state.add(state_start, {40, 0}, one, 100).is_changed);
    CHECK(state.add(state_start, {40, 0}, two, 100).is_changed);
    CHECK(state.verify({40, 0}, {"log", 1}) == ErrorCode::none);
    CHECK(state.verify({40, 0}, {"log", 2}) == ErrorCode::transaction_abortable);
    const auto told = state.end({40, 0}, true, false, {});
    CHECK((told.error == ErrorCode::none && told.is_changed));
    CHECK(state.is_prepared());
    CHECK(state.how_it_ends() == wire::TransactionEnd{40, 0, true});
    CHECK(add_to(state, {40, 0}) == ErrorCode::concurrent_transactions);
    CHECK(state.end({40, 0}, true, false, {}).error == ErrorCode::concurrent_transactions);
    CHECK(state.end({40, 0}, false, false, {}).error == ErrorCode::invalid_txn_state);
    state.complete();
    CHECK(state.value().partitions.empty());
    CHECK(state.end({40, 0}, true, false, {}).error == ErrorCode::none);
    CHECK(state.end({40, 0}, false, false, {}).error == ErrorCode::invalid_txn_state);
    CHECK(add_to(state, {40, 0}) == ErrorCode::none);
    CHECK(state.begin() == wire::TransactionBegin{40, 0, 2});
}

TEST_CASE("whoever begins anew fences those before, and aborts what they have open",
          "[server][transactions]") {
    TransactionState state = begun();
    CHECK(add_to(state, {40, 0}) == ErrorCode::none);
    const auto told = state.init(state_start, {}, 1000, {});
    CHECK((told.error == ErrorCode::concurrent_transactions && told.is_changed));
    CHECK(state.how_it_ends() == wire::TransactionEnd{40, 1, false});
    CHECK(state.end({40, 0}, true, false, {}).error == ErrorCode::producer_fenced);
    state.complete();
    CHECK(state.init(state_start, {}, 1000, {}).name == Name{40, 2});
    CHECK(add_to(state, {40, 0}) == ErrorCode::producer_fenced);
    CHECK(add_to(state, {40, 1}) == ErrorCode::producer_fenced);
    CHECK(add_to(state, {41, 2}) == ErrorCode::invalid_producer_id_mapping);
    CHECK(state.init(state_start, Name{40, 0}, 1000, {}).error == ErrorCode::producer_fenced);
    CHECK(add_to(state, {40, 2}) == ErrorCode::none);
}

TEST_CASE("whose time is up may go on in a later epoch, but not with that transaction",
          "[server][transactions]") {
    TransactionState state = begun();
    CHECK_FALSE(state.deadline());
    CHECK(add_to(state, {40, 0}) == ErrorCode::none);
    REQUIRE(state.deadline() == state_start + 1s);
    CHECK_FALSE(state.tick(state_start + 999ms));
    CHECK(state.tick(state_start + 1s));
    CHECK(state.how_it_ends() == wire::TransactionEnd{40, 1, false});
    CHECK(state.end({40, 0}, true, false, {}).error == ErrorCode::producer_fenced);
    CHECK(state.init(state_start, Name{40, 0}, 1000, {}).error ==
          ErrorCode::concurrent_transactions);
    state.complete();
    const auto told = state.init(state_start, Name{40, 0}, 1000, {});
    CHECK((told.error == ErrorCode::none && told.name == Name{40, 1}));
    CHECK(state.init(state_start, Name{40, 1}, 1000, {}).name == Name{40, 2});
    // Asked again, as if the answer had been lost.
    CHECK(state.init(state_start, Name{40, 1}, 1000, {}).name == Name{40, 2});
    CHECK(state.init(state_start, Name{40, 0}, 1000, {}).error == ErrorCode::producer_fenced);
}

// Whoever brings one to its end may come late, and find the next one prepared.
TEST_CASE("an end is of one transaction, and of none after it", "[server][transactions]") {
    TransactionState state = begun();
    CHECK(add_to(state, {40, 0}) == ErrorCode::none);
    const std::int64_t first = state.value().number;
    CHECK_FALSE(state.is_ending(first));
    CHECK(state.end({40, 0}, true, false, {}).error == ErrorCode::none);
    CHECK(state.is_ending(first));
    state.complete();
    CHECK_FALSE(state.is_ending(first));
    CHECK(add_to(state, {40, 0}) == ErrorCode::none);
    CHECK(state.end({40, 0}, false, false, {}).error == ErrorCode::none);
    CHECK_FALSE(state.is_ending(first));
    CHECK(state.is_ending(state.value().number));
}

TEST_CASE("with KIP-890 each end is followed by another epoch", "[server][transactions]") {
    TransactionState state = begun();
    CHECK(add_to(state, {40, 0}) == ErrorCode::none);
    const auto told = state.end({40, 0}, true, true, {});
    CHECK((told.error == ErrorCode::none && told.name == Name{40, 1}));
    CHECK(state.how_it_ends() == wire::TransactionEnd{40, 1, true});
    CHECK(state.begin() == wire::TransactionBegin{40, 1, 1});
    CHECK(state.end({40, 0}, true, true, {}).error == ErrorCode::concurrent_transactions);
    CHECK(add_to(state, {40, 1}) == ErrorCode::concurrent_transactions);
    state.complete();
    CHECK(state.end({40, 0}, true, true, {}).name == Name{40, 1});
    CHECK(state.end({40, 0}, false, true, {}).error == ErrorCode::producer_fenced);
    CHECK(add_to(state, {40, 0}) == ErrorCode::producer_fenced);
    CHECK(add_to(state, {40, 1}) == ErrorCode::none);
}

TEST_CASE("when epochs run out another id follows", "[server][transactions]") {
    TransactionValue value;
    value.name = {40, TransactionState::epoch_max};
    value.timeout_ms = 1000;
    for (const bool by_end : {true, false}) {
        TransactionState state(value, state_start);
        CHECK(state.needs_id());
        CHECK(add_to(state, value.name) == ErrorCode::none);
        if (by_end) {
            CHECK(state.end(value.name, true, true, 77).name == Name{77, 0});
            CHECK(state.how_it_ends() == wire::TransactionEnd{40, 32767, true});
            state.complete();
        } else {
            CHECK(state.init(state_start, {}, 1000, 77).error ==
                  ErrorCode::concurrent_transactions);
            CHECK(state.how_it_ends() == wire::TransactionEnd{40, 32767, false});
            state.complete();
            CHECK(state.needs_id());
            CHECK(state.init(state_start, {}, 1000, 77).name == Name{77, 0});
        }
        CHECK(add_to(state, {77, 0}) == ErrorCode::none);
        CHECK(state.begin() == wire::TransactionBegin{77, 0, 2});
    }
}

TEST_CASE("a transaction takes no more partitions than may be", "[server][transactions]") {
    TransactionState state = begun();
    CHECK(state.add(state_start, {40, 0}, two, 1).error == ErrorCode::policy_violation);
    CHECK(state.value().partitions.size() == 1);
}

TEST_CASE("what is stored of a transaction comes back", "[server][transactions]") {
    TransactionState state = begun();
    CHECK(add_to(state, {40, 0}, two) == ErrorCode::none);
    for (int step = 0; step < 2; ++step) {
        const TransactionValue stored = state.stored(1234);
        const auto bytes = Bytes::copy_of(encode_transaction_value(stored));
        CHECK(decode_transaction_value(bytes).value() == stored);
        for (std::size_t size = 0; size < bytes.size(); ++size)
            CHECK_FALSE(decode_transaction_value(bytes.slice(0, size)).ok());
        if (step == 0) CHECK(state.end({40, 0}, false, true, {}).error == ErrorCode::none);
    }
    const auto key = Bytes::copy_of(encode_transaction_key("payments"));
    CHECK(decode_transaction_key(key).value() == "payments");
    CHECK(key.size() == 2 + 2 + 8);
    // As Kafka writes it, with a tag that is not ours.
    CHECK(state.stored(1234).started_ms == 1234);
}
