#include "server/retention.h"

#include "core/base/buggify.h"
#include "core/base/probe.h"

namespace pyralog::server {

namespace {

// A partition that cannot agree on it now will be asked again.
constexpr Duration trim_patience = 5s;

} // namespace

Retention::Retention(Environment& env, const TopicConfig& config, raft::Host& host,
                     const Controller& controller)
    : env_(env), config_(config), host_(host), controller_(controller),
      trims_total_(
          env.metrics, "pyralog_retention_trims_total",
          "How often records of a partition were deleted for their age, or for its size.") {}

Result<> Retention::run() {
    for (;;) {
        TRY(env_.fibers.sleep_until(env_.clock.now() + config_.retention_interval));
        TRY(look());
    }
}

// The catalogue may change while somebody agrees.
Result<> Retention::look() {
    std::vector<std::pair<GroupId, TopicSettings::Retention>> partitions;
    for (const auto& [name, topic] : controller_.catalogue().topics()) {
        const TopicSettings::Retention rules = topic.settings.retention(config_);
        for (const Topic::Partition& partition : topic.partitions)
            partitions.emplace_back(partition.group, rules);
    }
    for (const auto& [group, rules] : partitions) {
        if (rules != TopicSettings::Retention()) TRY(look_at(group, rules));
        TRY(forget_producers(group));
    }
    return {};
}

Result<> Retention::forget_producers(GroupId id) {
    const raft::GroupRef group = host_.find(id);
    if (!group || !group->serves()) return {};
    const Deadline deadline(env_.fibers, env_.clock.now() + trim_patience);
    const Result<> forgotten =
        group->forget_producers(env_.clock.wall().unix_ms - config_.producer_expiration / 1ms);
    if (!forgotten.ok() && forgotten.error() == Error::cancelled) return Error::cancelled;
    SOMETIMES(!forgotten.ok(), "retention/nobody-agreed-on-producers");
    return {};
}

Result<> Retention::look_at(GroupId id, const TopicSettings::Retention& rules) {
    const raft::GroupRef group = host_.find(id);
    if (!group || !group->serves()) return {};
    std::optional<std::int64_t> oldest;
    if (rules.age_ms) oldest = env_.clock.wall().unix_ms - *rules.age_ms;
    const Offset offset = group->log().expired(oldest, rules.bytes);
    if (offset <= group->log().log_start().offset) return {};
    Result<Offset> trimmed = Error::timed_out;
    {
        const Deadline deadline(env_.fibers, env_.clock.now() + trim_patience);
        trimmed = group->trim(offset);
    }
    if (!trimmed.ok() && trimmed.error() == Error::cancelled) return Error::cancelled;
    SOMETIMES(trimmed.ok(), "retention/deleted");
    SOMETIMES(!trimmed.ok(), "retention/nobody-agreed");
    if (!trimmed.ok()) return {};
    trims_total_.add();
    env_.log.info("deleted records", {{"group", id}, {"before", trimmed.value()}});
    return {};
}

} // namespace pyralog::server
