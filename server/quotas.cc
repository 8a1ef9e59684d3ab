#include "server/quotas.h"

#include "core/base/probe.h"

#include <algorithm>

namespace pyralog::server {

namespace {

constexpr Duration saved_up_max = 1s;
// No single charge is taken for longer than this, or sums of them could overflow.
constexpr std::int64_t seconds_max = 100'000;

// How long so many bytes take at this rate.
Duration time_of(std::uint64_t bytes, std::int64_t rate) {
    const auto each = static_cast<std::uint64_t>(rate);
    const std::uint64_t whole = bytes / each;
    if (std::cmp_greater_equal(whole, seconds_max)) return std::chrono::seconds(seconds_max);
    // Of what is left less than a second's worth: in microseconds, so that no product overflows.
    const std::uint64_t unit = 1 + each / 1'000'000'000'000;
    const std::uint64_t rest = (bytes % each) / unit * 1'000'000 / (each / unit);
    return std::chrono::seconds(whole) + std::chrono::microseconds(rest);
}

constexpr std::string_view silenced_help =
    "For how long clients were told to be silent that were faster than their quota, by quota.";

std::string silenced_name(QuotaKind kind) {
    return "pyralog_throttle_seconds{" +
           metrics_label("quota", quota_names.at(static_cast<std::size_t>(kind))) + '}';
}

} // namespace

Quotas::Quotas(Metrics& metrics, const Catalogue& catalogue)
    : catalogue_(catalogue),
      producers_silenced_(metrics, silenced_name(QuotaKind::producer_byte_rate), silenced_help),
      consumers_silenced_(metrics, silenced_name(QuotaKind::consumer_byte_rate), silenced_help) {}

std::map<Quotas::Account, Time>::const_iterator Quotas::find(QuotaKind kind,
                                                             const std::string& client) const {
    const auto own = accounts_.find({kind, client});
    const bool shares = own == accounts_.end() && accounts_.size() >= accounts_max;
    return shares ? accounts_.find({kind, ""}) : own;
}

Duration Quotas::charge(QuotaKind kind, const std::string& client, std::uint64_t bytes, Time now) {
    const auto rate = catalogue_.quota(kind, client);
    if (!rate) return Duration(0);
    if (accounts_.size() >= accounts_max) forget_idle(now);
    const bool shares = accounts_.size() >= accounts_max && !accounts_.contains({kind, client});
    Time& paid = accounts_[{kind, shares ? std::string() : client}];
    paid = std::max(paid, now - saved_up_max) + time_of(bytes, *rate);
    const Duration owed = std::clamp(paid - now, Duration(0), throttle_max);
    SOMETIMES(owed > Duration(0), "quotas/too-fast");
    if (owed > Duration(0))
        (kind == QuotaKind::producer_byte_rate ? producers_silenced_ : consumers_silenced_)
            .add(owed);
    return owed;
}

Duration Quotas::owed(QuotaKind kind, const std::string& client, Time now) const {
    if (!catalogue_.quota(kind, client)) return Duration(0);
    const auto account = find(kind, client);
    if (account == accounts_.end()) return Duration(0);
    return std::clamp(account->second - now, Duration(0), throttle_max);
}

std::optional<std::size_t> Quotas::bytes_at_once(QuotaKind kind, const std::string& client) const {
    const auto rate = catalogue_.quota(kind, client);
    if (!rate) return {};
    return static_cast<std::size_t>(*rate);
}

void Quotas::forget_idle(Time now) {
    std::erase_if(accounts_,
                  [&](const auto& account) { return account.second <= now - saved_up_max; });
}

} // namespace pyralog::server
