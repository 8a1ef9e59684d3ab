// server/quotas.h
//
// How fast clients may be, by the name that they give themselves: what is agreed on in the
// catalogue, and what this node has seen of each of them. Who was faster is told for how long he is
// to be silent (throttle_time_ms), and is not heard for so long (KIP-219): see Connection.
//
// What is free is saved up for one second. What is too much is owed, and nothing is forgiven but by
// time. Whole numbers throughout.
#pragma once

#include "core/base/metrics.h"
#include "core/base/time.h"
#include "server/catalogue.h"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace pyralog::server {

// By QuotaKind, as Kafka calls them.
inline constexpr std::array<std::string_view, 2> quota_names{"producer_byte_rate",
                                                             "consumer_byte_rate"};

class Quotas {
public:
    // Nobody is silenced for longer at a time; what he owes then is not forgotten.
    static constexpr Duration throttle_max = 30s;
    // Clients that owe something or have lately sent something. More share one account.
    static constexpr std::size_t accounts_max = 10'000;

    Quotas(Metrics& metrics, const Catalogue& catalogue);

    // Somebody has sent, or been sent, so many bytes: for how long is he to be silent now?
    Duration charge(QuotaKind kind, const std::string& client, std::uint64_t bytes, Time now);

    // The same before there is anything.
    Duration owed(QuotaKind kind, const std::string& client, Time now) const;

    // In one answer he should get no more than this; nothing: as much as there is.
    std::optional<std::size_t> bytes_at_once(QuotaKind kind, const std::string& client) const;

    std::size_t accounts() const { return accounts_.size(); }

private:
    using Account = std::pair<QuotaKind, std::string>;

    void forget_idle(Time now);
    std::map<Account, Time>::const_iterator find(QuotaKind kind, const std::string& client) const;

    const Catalogue& catalogue_;
    Metrics::Histogram producers_silenced_, consumers_silenced_;
    std::map<Account, Time> accounts_; // When all that somebody has had will have been his due.
};

} // namespace pyralog::server
