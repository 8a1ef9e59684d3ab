// What `pyralog consume` decides by itself: who of a group reads what, and which records count.
#include "server/cli/aborted.h"
#include "server/cli/consumer_protocol.h"

#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

using namespace pyralog;
using namespace pyralog::cli;

namespace {

using Numbers = std::vector<std::int32_t>;

Numbers share_of(const std::map<std::string, Assignment>& all, const std::string& member,
                 const std::string& topic) {
    for (const Assignment::Topic& one : all.at(member).topics)
        if (one.name == topic) return one.partitions;
    return {};
}

wire::RecordBatch batch(std::int64_t base, std::int64_t producer, std::int16_t bits) {
    wire::RecordBatchBuilder builder;
    builder.add("key", "first").add("key", "second").from(producer, 0, 0).mark(bits);
    Bytes built = builder.build();
    const auto taken = std::get<wire::RecordBatch>(wire::RecordBatch::take_first(built));
    Bytes stamped = joined(taken.stamped(Offset(base), Term(1)));
    return std::get<wire::RecordBatch>(wire::RecordBatch::take_first(stamped));
}

constexpr std::int16_t in_transaction = wire::BatchHeader::transactional_bit;
constexpr std::int16_t marker = in_transaction | wire::BatchHeader::control_bit;

} // namespace

// As in the documentation of Kafka's RangeAssignor.
TEST_CASE("each member of a group gets a run of every topic's partitions", "[cli]") {
    const std::map<std::string, Subscription> two{{"C0", {0, {"t0", "t1"}, {}}},
                                                  {"C1", {0, {"t0", "t1"}, {}}}};
    const auto shares = assign_range(two, {{"t0", 3}, {"t1", 3}});
    CHECK(share_of(shares, "C0", "t0") == Numbers{0, 1});
    CHECK(share_of(shares, "C1", "t0") == Numbers{2});
    CHECK(share_of(shares, "C0", "t1") == Numbers{0, 1});
    CHECK(share_of(shares, "C1", "t1") == Numbers{2});
}

TEST_CASE("who has no use for a topic gets none of it, and who comes too late nothing", "[cli]") {
    const std::map<std::string, Subscription> all{{"a", {0, {"x"}, {}}},
                                                  {"b", {0, {"x", "y", "gone"}, {}}},
                                                  {"c", {0, {"x", "x"}, {}}},
                                                  {"d", {0, {}, {}}}};
    const auto shares = assign_range(all, {{"x", 2}, {"y", 2}});
    CHECK(share_of(shares, "a", "x") == Numbers{0});
    CHECK(share_of(shares, "b", "x") == Numbers{1});
    CHECK(share_of(shares, "b", "y") == Numbers{0, 1});
    CHECK(shares.at("c").topics.empty());
    CHECK(shares.at("d").topics.empty());
    CHECK(shares.size() == 4);
}

TEST_CASE("partitions are shared out each once, and evenly", "[cli]") {
    rc::prop("for any number of both", []() {
        const auto members = *rc::gen::inRange(1, 20);
        const auto partitions = *rc::gen::inRange(0, 50);
        std::map<std::string, Subscription> all;
        for (int i = 0; i < members; ++i) all["m" + std::to_string(i)] = {0, {"t"}, {}};
        const auto shares = assign_range(all, {{"t", partitions}});
        std::set<std::int32_t> given;
        for (const auto& [id, subscription] : all) {
            const Numbers mine = share_of(shares, id, "t");
            RC_ASSERT(static_cast<int>(mine.size()) >= partitions / members);
            RC_ASSERT(static_cast<int>(mine.size()) <= (partitions + members - 1) / members);
            for (const std::int32_t partition : mine) RC_ASSERT(given.insert(partition).second);
        }
        RC_ASSERT(static_cast<int>(given.size()) == partitions);
    });
}

TEST_CASE("what members say is written as Kafka's clients do", "[cli]") {
    const Bytes subscription = wire::encode(Subscription{0, {"t0"}, {}});
    CHECK(subscription.text() == std::string_view("\0\0\0\0\0\1\0\2t0\xff\xff\xff\xff", 14));
    const Bytes assignment = wire::encode(Assignment{0, {{"t0", {1, 2}}}, {}});
    CHECK(assignment.text() == std::string_view("\0\0\0\0\0\1\0\2t0\0\0\0\2\0\0\0\1\0\0\0\2"
                                                "\xff\xff\xff\xff",
                                                26));
    // A later version has what the member owned, behind it.
    const auto later = read_said<Subscription>(
        Bytes::copy_of(std::string_view("\0\1\0\0\0\1\0\2t0\xff\xff\xff\xff\0\0\0\0", 18)));
    REQUIRE(later);
    CHECK(later->topics == std::vector<std::string>{"t0"});
    CHECK(read_said<Assignment>(assignment)->topics ==
          std::vector<Assignment::Topic>{{"t0", {1, 2}}});
    CHECK_FALSE(read_said<Assignment>(Bytes::copy_of("nonsense")));
}

TEST_CASE("of a transaction that came to nothing no records count, up to its marker", "[cli]") {
    // Of producer 1 the first transaction is aborted and the second is not; of 2 it is the other
    // way round. What is in no transaction counts.
    Aborted aborted({{2, 10}, {1, 0}});
    CHECK(aborted.has(batch(0, 1, in_transaction)));
    CHECK_FALSE(aborted.has(batch(2, 2, in_transaction)));
    CHECK_FALSE(aborted.has(batch(4, 1, 0)));
    (void)aborted.has(batch(6, 1, marker)); // Markers are shown to nobody.
    (void)aborted.has(batch(8, 2, marker));
    CHECK(aborted.has(batch(10, 2, in_transaction)));
    CHECK_FALSE(aborted.has(batch(12, 1, in_transaction)));
    CHECK_FALSE(aborted.has(batch(14, 3, in_transaction)));
}
