#include "core/wire/raft.h"

#include "core/wire/codec.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::wire;

namespace {

Term any_term() { return Term(*rc::gen::arbitrary<std::int32_t>()); }
NodeId any_node() { return NodeId(*rc::gen::arbitrary<std::int32_t>()); }
bool any_bool() { return *rc::gen::arbitrary<bool>(); }
Position any_position() {
    const auto index = *rc::gen::arbitrary<std::int64_t>();
    const auto offset = *rc::gen::arbitrary<std::int64_t>();
    return {index, Offset(offset)};
}

std::vector<NodeId> any_nodes() {
    std::vector<NodeId> nodes(*rc::gen::inRange<std::size_t>(0, 6));
    for (NodeId& node : nodes) node = any_node();
    return nodes;
}

Entry any_entry() {
    Entry entry{.term = any_term(), .records = *rc::gen::arbitrary<std::int32_t>(), .members = {}};
    if (any_bool())
        entry.members =
            Members{.voters = any_nodes(), .outgoing = any_nodes(), .learners = any_nodes()};
    return entry;
}

// It comes back as it went, and no shorter piece of it is taken for a message.
template <class T>
void comes_back(const T& value) {
    const Bytes bytes = encode(value);
    const Result<T> read = decode<T>(bytes);
    RC_ASSERT(read.ok());
    RC_ASSERT(read.value() == value);
    const auto shorter = *rc::gen::inRange<std::size_t>(0, bytes.size());
    RC_ASSERT(!decode<T>(bytes.slice(0, shorter)).ok());
}

} // namespace

TEST_CASE("what replicas say comes back as it went", "[wire][model]") {
    rc::prop("votes", [] {
        Vote vote{any_term(), {}, any_bool()};
        if (any_bool()) vote.candidate = any_node();
        comes_back(vote);
        const bool pre_vote = any_bool();
        comes_back(VoteRequest{any_term(), pre_vote, any_term(), any_position()});
        const bool granted = any_bool();
        comes_back(VoteReply{any_term(), pre_vote, granted});
    });
    rc::prop("appends", [] {
        AppendRequest request{.term = any_term(),
                              .first = any_position(),
                              .previous_term = any_term(),
                              .committed = any_position(),
                              .context = *rc::gen::arbitrary<std::uint64_t>(),
                              .search = *rc::gen::arbitrary<std::uint32_t>(),
                              .entries = {}};
        for (int count = *rc::gen::inRange(0, 8); count > 0; --count)
            request.entries.push_back(any_entry());
        comes_back(request);
        comes_back(AppendReply{.term = any_term(),
                               .accepted = any_bool(),
                               .matched = any_position(),
                               .matched_term = any_term(),
                               .context = *rc::gen::arbitrary<std::uint64_t>(),
                               .search = *rc::gen::arbitrary<std::uint32_t>()});
        comes_back(ResetRequest{.term = any_term(),
                                .start = {any_position(), any_term(), Offset(any_position().index)},
                                .committed = any_position(),
                                .context = *rc::gen::arbitrary<std::uint64_t>(),
                                .search = *rc::gen::arbitrary<std::uint32_t>()});
    });
}
