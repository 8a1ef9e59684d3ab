#include "server/cli/consumer_protocol.h"

#include <algorithm>
#include <set>

namespace pyralog::cli {

std::map<std::string, Assignment>
assign_range(const std::map<std::string, Subscription>& members,
             const std::map<std::string, std::int32_t>& partitions) {
    std::map<std::string, Assignment> assigned;
    std::map<std::string, std::set<std::string>> readers; // By topic; a name said twice is one.
    for (const auto& [id, subscription] : members) {
        assigned[id];
        for (const std::string& topic : subscription.topics) readers[topic].insert(id);
    }
    for (const auto& [topic, ids] : readers) {
        const auto known = partitions.find(topic);
        if (known == partitions.end()) continue;
        const auto count = static_cast<std::int32_t>(ids.size());
        std::int32_t next = 0, left = count;
        for (const std::string& id : ids) {
            const std::int32_t share = (known->second - next + left - 1) / left;
            --left;
            if (share == 0) continue;
            Assignment::Topic& mine = assigned[id].topics.emplace_back();
            mine.name = topic;
            for (const std::int32_t end = next + share; next < end; ++next)
                mine.partitions.push_back(next);
        }
    }
    return assigned;
}

} // namespace pyralog::cli
