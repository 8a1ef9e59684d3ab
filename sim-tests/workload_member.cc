#include "sim-tests/workload_client.h"

#include "core/base/probe.h"
#include "sim-tests/group_client.h"

namespace pyralog::simtest {

using kafka::ErrorCode;

// A member of a group: takes its share, commits and reads offsets of it, and says that it is there.
// Now and then it falls silent for longer than it may, or speaks as what it no longer is. One that
// is alone is in no group, and keeps its offsets there all the same.
class Member : public Client {
public:
    Member(Workload& workload, Environment& env, GroupPlan group,
           std::optional<std::string> instance, bool alone)
        : Client(workload, env, "member"), alone_(alone), session_(group.session_timeout),
          joins_within_(group.rebalance_timeout * 2 + plan().patience),
          group_(std::move(group), std::move(instance), kafka_, workload.history_,
                 [this] { return now(); }) {}

    void run() {
        while (think()) {
            learn();
            if (!turn().ok()) {
                group_.lose_coordinator();
                if (!rest(pause_after_failure)) return;
            }
        }
    }

private:
    Result<> turn() {
        const bool joins = !alone_ && !group_.is_in();
        const Duration within = joins ? joins_within_ : plan().patience;
        const Deadline patience(env_.fibers, env_.clock.now() + within);
        if (!group_.has_coordinator()) return group_.find();
        if (joins && group_.has_joined() && often(random_, 3)) {
            const auto all = workload_.group_partitions(kafka_);
            const TopicPartition* const one = any(all);
            if (one) return wait_after(TRY(group_.commit(*one)));
        }
        if (joins) return wait_after(TRY(group_.enter(workload_.group_partitions(kafka_))));
        return alone_ ? keep_offsets() : take_part();
    }

    // Somebody who was refused tries again a little later.
    Result<> wait_after(ErrorCode error) {
        if (error != ErrorCode::none && error != ErrorCode::member_id_required)
            TRY(env_.fibers.sleep_until(env_.clock.now() + pause_after_failure));
        return {};
    }

    const TopicPartition* any(const std::vector<TopicPartition>& partitions) {
        return partitions.empty() ? nullptr : &partitions[random_.below(partitions.size())];
    }

    Result<> keep_offsets() {
        const auto all = workload_.group_partitions(kafka_);
        const TopicPartition* const one = any(all);
        if (!one) return {};
        return wait_after( TRY(often(random_, 50) ? group_.commit_alone(*one) : group_.read(*one)));
    }

    Result<> take_part() {
        const TopicPartition* const own = any(group_.share());
        const std::uint64_t kind = random_.below(100);
        if (kind < 2) {
            REACHABLE("client/member-falls-silent");
            (void)rest(random_.between(Duration{0}, 2 * session_));
            if (own) return wait_after(TRY(group_.commit(*own)));
        }
        if (kind < 4) return wait_after(TRY(group_.leave()));
        if (kind < 5 && own) return wait_after(TRY(group_.commit_alone(*own)));
        if (kind < 10 && own) return wait_after(TRY(group_.commit(*own, true)));
        if (kind < 12 && own) return group_.commit_and_go(*own);
        if (kind < 45 && own) return wait_after(TRY(group_.commit(*own)));
        if (kind < 65 && own) return wait_after(TRY(group_.read(*own)));
        return wait_after(TRY(group_.heartbeat()));
    }

    const bool alone_;
    const Duration session_, joins_within_;
    GroupClient group_;
};

void Workload::take_part(Environment& env, std::int32_t group, int number) {
    const GroupsPlan& plan = plan_.groups;
    std::optional<std::string> instance;
    if (number < plan.static_members) instance = "static-" + std::to_string(number);
    if (plan.doubles && plan.static_members > 0 && number == plan.static_members)
        instance = "static-0";
    Member(*this, env, plan.of(group), std::move(instance), group == plan.groups).run();
}

std::vector<TopicPartition> Workload::group_partitions(const KafkaClient& kafka) const {
    std::vector<TopicPartition> partitions;
    for (const auto& [name, known] : kafka.partitions())
        for (const TopicPlan& topic : plan_.topics)
            if (topic.name == name.topic && !topic.deleted) partitions.push_back(name);
    return partitions;
}

} // namespace pyralog::simtest
