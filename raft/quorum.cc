#include "raft/quorum.h"

namespace pyralog::raft {

namespace {

bool contains(const std::vector<NodeId>& sorted, NodeId node) {
    return std::binary_search(sorted.begin(), sorted.end(), node);
}

VoteResult vote_result(const std::vector<NodeId>& voters, const std::vector<NodeId>& granted,
                       const std::vector<NodeId>& refused) {
    const auto count = [&](const std::vector<NodeId>& among) {
        return static_cast<std::size_t>(std::count_if(
            voters.begin(), voters.end(), [&](NodeId voter) { return contains(among, voter); }));
    };
    const std::size_t majority = voters.size() / 2 + 1;
    if (count(granted) >= majority) return VoteResult::won;
    if (voters.size() - count(refused) < majority) return VoteResult::lost;
    return VoteResult::pending;
}

} // namespace

bool is_voter(const wire::Members& members, NodeId node) {
    return contains(members.voters, node) || contains(members.outgoing, node);
}

std::vector<NodeId> nodes_of(const wire::Members& members) {
    std::vector<NodeId> nodes;
    for (const auto* list : {&members.voters, &members.outgoing, &members.learners})
        nodes.insert(nodes.end(), list->begin(), list->end());
    std::sort(nodes.begin(), nodes.end());
    nodes.erase(std::unique(nodes.begin(), nodes.end()), nodes.end());
    return nodes;
}

VoteResult vote_result(const wire::Members& members, const std::vector<NodeId>& granted,
                       const std::vector<NodeId>& refused) {
    const VoteResult incoming = vote_result(members.voters, granted, refused);
    if (members.outgoing.empty()) return incoming;
    const VoteResult outgoing = vote_result(members.outgoing, granted, refused);
    if (incoming == VoteResult::lost || outgoing == VoteResult::lost) return VoteResult::lost;
    if (incoming == VoteResult::won && outgoing == VoteResult::won) return VoteResult::won;
    return VoteResult::pending;
}

} // namespace pyralog::raft
