// server/transactions/transaction_state.h
//
// The transactions of one transactional id, as its coordinator knows them. Pure: inputs and the
// time go in; what changed is to be written down, as stored(), before anything is told or done.
//
//     empty ──a partition is added──→ ongoing ──the client says, or time is up──→ prepare_commit
//       ↑                                ↑                                      or prepare_abort
//       │                                │ a partition is added                        │
//       └── somebody begins anew ── complete_commit or _abort ←── all partitions know ─┘
//
// What is prepared is decided for good. Whoever begins anew under this id gets a later epoch, and
// those who had it before are fenced; if a transaction of theirs is open, it is aborted first.
#pragma once

#include "core/base/time.h"
#include "core/wire/kafka/api.h"
#include "core/wire/producers.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace pyralog::server {

using wire::kafka::ErrorCode;

// A partition by its name, and its replicas' group: of a topic that is made anew that is another.
using TransactionPartitions = std::map<std::pair<std::string, std::int32_t>, GroupId>;

// What is written down of it; see transaction_log.h.
struct TransactionValue {
    enum class Phase : std::int8_t {
        empty = 0, // Kafka's numbers.
        ongoing = 1,
        prepare_commit = 2,
        prepare_abort = 3,
        complete_commit = 4,
        complete_abort = 5,
    };
    struct Name {
        std::int64_t producer = -1;
        std::int16_t epoch = -1;
        bool operator==(const Name&) const = default;
    };

    Phase phase = Phase::empty;
    Name name;               // Of who may go on.
    Name before;             // Who got that in the place of this, and perhaps has not heard of it.
    Name ending;             // What is prepared ends under this.
    std::int64_t number = 0; // Of the last transaction.
    std::int32_t timeout_ms = 0;
    std::int64_t updated_ms = 0, started_ms = -1;
    TransactionPartitions partitions;
    bool operator==(const TransactionValue&) const = default;
};

class TransactionState {
public:
    using Phase = TransactionValue::Phase;
    using Name = TransactionValue::Name;

    // Beyond this one there is one more epoch, which only fences.
    static constexpr std::int16_t epoch_max = std::numeric_limits<std::int16_t>::max() - 1;

    TransactionState() = default;
    // As a coordinator before us has left it. What is open has its time from `now` on.
    TransactionState(TransactionValue stored, Time now);

    // ---- Inputs ----

    struct Told {
        ErrorCode error = ErrorCode::none;
        bool is_changed = false; // stored() is to be written before anything is told.
        Name name = {};
    };
    // Somebody begins, or begins anew; who had this name before says so, if he means to go on.
    // `fresh` is an id of which nobody knows: see needs_id().
    Told init(Time now, std::optional<Name> mine, std::int32_t timeout_ms,
              std::optional<std::int64_t> fresh);
    Told add(Time now, const Name& who, const TransactionPartitions& partitions,
             std::size_t partitions_max);
    // Is the partition part of the transaction that is open?
    ErrorCode verify(const Name& who, const std::pair<std::string, std::int32_t>& partition) const;
    // With `bumps` whoever goes on has a later epoch (KIP-890), or another id.
    Told end(const Name& who, bool commits, bool bumps, std::optional<std::int64_t> fresh);
    // All its partitions know.
    void complete();
    // Time may be up. True: it was.
    bool tick(Time now);

    // ---- Outputs ----

    // If epochs have run out, an id is needed to begin, or to end with `bumps`.
    bool needs_id() const { return value_.name.producer < 0 || value_.name.epoch >= epoch_max; }
    // Is it this transaction that is prepared, and none after it?
    bool is_ending(std::int64_t number) const { return is_prepared() && value_.number == number; }
    bool is_prepared() const {
        return value_.phase == Phase::prepare_commit || value_.phase == Phase::prepare_abort;
    }
    std::optional<Time> deadline() const;
    // What partitions are told when it begins, and when it ends.
    wire::TransactionBegin begin() const;
    wire::TransactionEnd how_it_ends() const;
    const TransactionValue& value() const { return value_; }
    TransactionValue stored(std::int64_t now_ms);

private:
    ErrorCode check(const Name& who) const;
    void prepare(bool commits);
    void bump(std::optional<Name> before, std::optional<std::int64_t> fresh);

    TransactionValue value_;
    Time started_;
};

// Kafka's name for it.
std::string_view to_string(TransactionValue::Phase phase);
std::optional<TransactionValue::Phase> parse_phase(std::string_view text);

} // namespace pyralog::server
