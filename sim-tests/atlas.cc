#include "sim-tests/atlas.h"

#include <algorithm>

namespace pyralog::simtest {

std::size_t copies_least(const Plan& plan) {
    const auto nodes = static_cast<std::size_t>(plan.nodes);
    const int setting = plan.config.topic.replication_factor;
    const std::size_t by_default =
        setting > 0 ? static_cast<std::size_t>(setting) : std::min<std::size_t>(3, nodes);
    std::size_t least = by_default; // Topics are made by whoever asks for one.
    for (const TopicPlan& topic : plan.workload.topics)
        if (topic.replication > 0)
            least = std::min(least, static_cast<std::size_t>(topic.replication));
    return least;
}

Atlas::Atlas(const Cluster& cluster, const Plan& plan)
    : cluster_(cluster), unlimited_(plan.unlimited_damage),
      damaged_max_(unlimited_ ? cluster.nodes().size() : (copies_least(plan) - 1) / 2) {}

bool Atlas::allows(NodeId node) const {
    if (cluster_.damaged(node)) return true;
    const auto damaged = std::ranges::count_if(
        cluster_.nodes(), [this](NodeId any) { return cluster_.damaged(any); });
    return static_cast<std::size_t>(damaged) < damaged_max_;
}

} // namespace pyralog::simtest
