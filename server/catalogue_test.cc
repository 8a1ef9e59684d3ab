#include "server/catalogue.h"

#include <rapidcheck/catch.h>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

const std::vector<NodeId> three_nodes{NodeId(1), NodeId(2), NodeId(3)};

Uuid id_of(std::uint8_t number) {
    Uuid id;
    id.bytes.back() = number;
    return id;
}

CreateTopic create(std::string name, std::int32_t partitions, std::int32_t replicas,
                   std::uint8_t id = 1) {
    return {std::move(name), id_of(id), partitions, replicas};
}

// A catalogue, and what the KvStore would hold of it.
struct Kept {
    Catalogue catalogue{three_nodes};
    std::map<std::string, std::string> stored;

    Catalogue::Applied apply(const Command& command) {
        Catalogue::Applied applied = catalogue.apply(command);
        for (const KvStore::Batch::Change& change : applied.changes.changes) {
            if (change.value)
                stored[change.key] = *change.value;
            else
                stored.erase(change.key);
        }
        return applied;
    }
};

std::vector<std::int64_t> groups_of(const Catalogue::Applied& applied) {
    std::vector<std::int64_t> groups;
    for (const Placed& placed : applied.placed) groups.push_back(placed.group.value);
    return groups;
}

bool same(const Catalogue& a, const Catalogue& b) {
    return a.topics() == b.topics() && a.nodes() == b.nodes() && a.quotas() == b.quotas();
}

Command any_change(const std::string& topic) {
    AlterTopic command{topic, *rc::gen::arbitrary<bool>(), {}};
    for (int i = *rc::gen::inRange(0, 3); i > 0; --i) {
        SettingEdit edit;
        edit.kind = SettingEdit::Kind(*rc::gen::inRange(0, 4));
        edit.name = *rc::gen::element<std::string>("cleanup.policy", "segment.ms", "nothing");
        edit.value = *rc::gen::element<std::string>("compact", "delete", "5", "-5");
        command.edits.push_back(std::move(edit));
    }
    return command;
}

// Few names, so that they meet.
Command any_command() {
    const auto name = std::string(1, *rc::gen::inRange('a', 'e'));
    switch (*rc::gen::inRange(0, 7)) {
    case 0: {
        const auto node = NodeId(*rc::gen::inRange(1, 5));
        const auto port = *rc::gen::arbitrary<std::uint16_t>();
        return RegisterNode{node, "host-" + name, port};
    }
    case 1: {
        const auto partitions = *rc::gen::inRange(0, 4);
        const auto replicas = *rc::gen::inRange(0, 5);
        return create(name, partitions, replicas, *rc::gen::arbitrary<std::uint8_t>());
    }
    case 2: return TakeProducerIds{NodeId(*rc::gen::inRange(0, 5)), id_of(*rc::gen::inRange(0, 4))};
    case 3: {
        const auto from = *rc::gen::inRange(0, 4);
        return AddPartitions{name, from, from + *rc::gen::inRange(-1, 3)};
    }
    case 4: return any_change(name);
    case 5: {
        AlterQuota command{*rc::gen::element<std::optional<std::string>>(std::nullopt, "", name),
                           {}};
        const auto rate = *rc::gen::inRange<std::int64_t>(-1, 5);
        command.edits.push_back(
            {QuotaKind(*rc::gen::inRange(0, 2)), rate < 0 ? std::optional<std::int64_t>() : rate});
        return command;
    }
    default: return DeleteTopic{name};
    }
}

std::vector<Command> any_commands() {
    std::vector<Command> commands(*rc::gen::inRange<std::size_t>(0, 40));
    for (Command& command : commands) command = any_command();
    return commands;
}

} // namespace

TEST_CASE("a topic that is created can be found by its name, its id and its partitions",
          "[server]") {
    Catalogue catalogue(three_nodes);
    const auto applied = catalogue.apply(create("log", 2, 3, 7));
    CHECK(applied.outcome == Outcome::done);
    const Topic* topic = catalogue.find("log");
    REQUIRE(topic);
    CHECK(catalogue.find(id_of(7)) == topic);
    CHECK(catalogue.find("log", 0) == &topic->partitions[0]);
    CHECK(catalogue.find("log", 1) == &topic->partitions[1]);
    CHECK(!catalogue.find("log", 2));
    CHECK(!catalogue.find("log", -1));
    CHECK(!catalogue.find("other"));
    CHECK(!catalogue.find("other", 0));
    CHECK(!catalogue.find(id_of(8)));
}

TEST_CASE("a topic's settings are kept, and told to whoever places it", "[server]") {
    Kept kept;
    CreateTopic command = create("log", 2, 1);
    command.settings.retention_ms = 5;
    command.settings.segment_bytes = 7;
    const auto again = decode_command(encode_command(command));
    REQUIRE(again.ok());
    for (const Placed& placed : kept.apply(again.value()).placed)
        CHECK(placed.settings == command.settings);
    Catalogue restored(three_nodes);
    for (const auto& [key, value] : kept.stored) REQUIRE(restored.restore(key, value).ok());
    CHECK(restored.find("log")->settings == command.settings);
}

TEST_CASE("replicas and first places go round among the nodes", "[server]") {
    Catalogue catalogue(three_nodes);
    const auto applied = catalogue.apply(create("log", 6, 2));
    std::map<NodeId, int> first_places, replicas;
    for (const Placed& placed : applied.placed) {
        CHECK(placed.change == Placed::Change::made);
        REQUIRE(placed.replicas.size() == 2);
        CHECK(placed.replicas[0] != placed.replicas[1]);
        ++first_places[placed.replicas[0]];
        for (const NodeId node : placed.replicas) ++replicas[node];
    }
    for (const NodeId node : three_nodes) {
        CHECK(first_places[node] == 2);
        CHECK(replicas[node] == 4);
    }
}

TEST_CASE("a group's number is never used for another, even if its topic is gone", "[server]") {
    Kept kept;
    CHECK(groups_of(kept.apply(create("a", 2, 1))) == std::vector<std::int64_t>{1, 2});
    const auto removed = kept.apply(DeleteTopic{"a"});
    CHECK(groups_of(removed) == std::vector<std::int64_t>{1, 2});
    for (const Placed& placed : removed.placed) CHECK(placed.change == Placed::Change::removed);
    Catalogue restored(three_nodes);
    for (const auto& [key, value] : kept.stored) REQUIRE(restored.restore(key, value).ok());
    CHECK(groups_of(restored.apply(create("a", 1, 1))) == std::vector<std::int64_t>{3});
    CHECK(groups_of(kept.apply(create("a", 1, 1))) == std::vector<std::int64_t>{3});
}

TEST_CASE("a command that cannot be carried out changes nothing and says why", "[server]") {
    Kept kept;
    kept.apply(create("log", 1, 1));
    const auto before = kept.stored;
    const auto refused = [&](const Command& command) {
        const auto applied = kept.apply(command);
        CHECK(applied.placed.empty());
        CHECK(applied.changes.changes.empty());
        CHECK(kept.stored == before);
        return applied.outcome;
    };
    CHECK(refused(create("log", 1, 1, 2)) == Outcome::exists);
    CHECK(refused(create("other", 0, 1)) == Outcome::no_such_placement);
    CHECK(refused(create("other", 1, 0)) == Outcome::no_such_placement);
    CHECK(refused(create("other", -1, 1)) == Outcome::no_such_placement);
    CHECK(refused(create("other", 1, -1)) == Outcome::no_such_placement);
    CHECK(refused(create("other", 1, 4)) == Outcome::no_such_placement);
    CHECK(refused(DeleteTopic{"other"}) == Outcome::not_found);
    CHECK(kept.catalogue.topics().size() == 1);
    // Nor has it taken a group's number.
    CHECK(groups_of(kept.apply(create("other", 1, 1))) == std::vector<std::int64_t>{2});
}

TEST_CASE("a topic's settings change as a whole or not at all", "[server]") {
    using Kind = SettingEdit::Kind;
    Kept kept;
    kept.apply(create("log", 2, 3));
    const auto settings = [&] { return kept.catalogue.find("log")->settings; };
    const auto applied = kept.apply(
        AlterTopic{"log",
                   false,
                   {{"segment.ms", Kind::set, "7"}, {"cleanup.policy", Kind::append, "compact"}}});
    CHECK(applied.outcome == Outcome::done);
    REQUIRE(applied.placed.size() == 2);
    CHECK(applied.placed[1].change == Placed::Change::settings);
    CHECK(applied.placed[1].settings == settings());
    CHECK(settings().segment_ms == 7);
    CHECK(settings().is_compacted);
    const auto refused = kept.apply(AlterTopic{
        "log", false, {{"segment.ms", Kind::set, "8"}, {"retention.ms", Kind::set, "soon"}}});
    CHECK(refused.outcome == Outcome::not_settable);
    CHECK(refused.placed.empty());
    CHECK(refused.changes.changes.empty());
    CHECK(settings().segment_ms == 7);
    CHECK(kept.apply(AlterTopic{"log", false, {}}).placed.empty());
    CHECK(kept.apply(AlterTopic{"log", true, {{"retention.ms", Kind::set, "9"}}}).outcome ==
          Outcome::done);
    TopicSettings only;
    only.retention_ms = 9;
    CHECK(settings() == only);
    CHECK(kept.apply(AlterTopic{"other", true, {}}).outcome == Outcome::not_found);
    Kept restored;
    for (const auto& [key, value] : kept.stored)
        REQUIRE(restored.catalogue.restore(key, value).ok());
    CHECK(same(restored.catalogue, kept.catalogue));
}

TEST_CASE("partitions are added to those that were there when they were asked for", "[server]") {
    Kept kept;
    kept.apply(create("log", 2, 2));
    const auto before = kept.catalogue.find("log")->partitions;
    const auto added = kept.apply(AddPartitions{"log", 2, 5});
    CHECK(added.outcome == Outcome::done);
    CHECK(groups_of(added) == std::vector<std::int64_t>{3, 4, 5});
    const auto& after = kept.catalogue.find("log")->partitions;
    REQUIRE(after.size() == 5);
    CHECK(std::equal(before.begin(), before.end(), after.begin()));
    for (const Topic::Partition& partition : after) CHECK(partition.replicas.size() == 2);
    CHECK(kept.apply(AddPartitions{"log", 2, 5}).placed.empty()); // Repeated.
    CHECK(kept.apply(AddPartitions{"log", 2, 5}).outcome == Outcome::done);
    CHECK(kept.apply(AddPartitions{"log", 2, 6}).outcome == Outcome::exists);
    CHECK(kept.apply(AddPartitions{"log", 5, 4}).outcome == Outcome::no_such_placement);
    CHECK(kept.apply(AddPartitions{"log", 5, 10'001}).outcome == Outcome::no_such_placement);
    CHECK(kept.apply(AddPartitions{"other", 1, 2}).outcome == Outcome::not_found);
    CHECK(kept.catalogue.find("log")->partitions.size() == 5);
}

TEST_CASE("a node that registers again is found at its new address", "[server]") {
    Catalogue catalogue(three_nodes);
    catalogue.apply(RegisterNode{NodeId(2), "old", 1});
    catalogue.apply(RegisterNode{NodeId(2), "new", 2});
    CHECK(catalogue.nodes().size() == 1);
    CHECK(catalogue.nodes().at(NodeId(2)) == Address{"new", 2});
}

TEST_CASE("a command comes back as it went, and no shorter piece is one", "[server]") {
    rc::prop("any command", [] {
        const Command command = any_command();
        const Bytes bytes = encode_command(command);
        const Result<Command> read = decode_command(bytes);
        RC_ASSERT(read.ok());
        RC_ASSERT(read.value().index() == command.index());
        RC_ASSERT(encode_command(read.value()).text() == bytes.text());
        for (std::size_t size = 0; size < bytes.size(); ++size)
            RC_ASSERT(!decode_command(bytes.slice(0, size)).ok());
    });
    CHECK(decode_command(Bytes::copy_of(std::string_view("\x03\0\0", 3))).error() ==
          Error::malformed);
    CHECK(decode_command(joined({encode_command(DeleteTopic{"a"}), Bytes::copy_of("x")})).error() ==
          Error::malformed);
}

TEST_CASE("each block of producer ids is given once, and again to who asks again", "[server]") {
    Kept kept;
    const auto take = [&](int node, std::uint8_t request) -> std::int64_t {
        const auto applied = kept.apply(TakeProducerIds{NodeId(node), id_of(request)});
        if (applied.outcome != Outcome::done) return -1;
        return kept.catalogue.producer_ids(NodeId(node))->first;
    };
    CHECK(kept.catalogue.producer_ids(NodeId(1)) == nullptr);
    CHECK(take(1, 0) == 0);
    CHECK(take(1, 0) == 0);
    CHECK(take(2, 0) == 1000);
    CHECK(take(1, 7) == 2000);
    CHECK(take(2, 0) == 1000);
    CHECK(take(9, 1) == -1);
    Kept restored;
    for (const auto& [key, value] : kept.stored)
        REQUIRE(restored.catalogue.restore(key, value).ok());
    kept = restored;
    CHECK(take(1, 7) == 2000);
    CHECK(take(3, 1) == 3000);
    const auto again = [&](std::string_view key, std::int64_t first) {
        const Bytes block = wire::encode(Catalogue::ProducerIdBlock{{}, first});
        return kept.catalogue.restore(key, block.text());
    };
    CHECK(again("catalogue/producer_ids/3", 3000).ok());
    CHECK(again("catalogue/producer_ids/x", 3000).error() == Error::corrupt);
    CHECK(again("catalogue/producer_ids/3", -1).error() == Error::corrupt);
    CHECK(again("catalogue/producer_ids/3", INT64_MAX - 5).error() == Error::corrupt);
    CHECK(kept.catalogue.restore("catalogue/producer_ids/1", "x").error() == Error::corrupt);
}

TEST_CASE("the stored form restores the same catalogue", "[server][model]") {
    rc::prop("after any commands", [] {
        Kept kept;
        for (const Command& command : any_commands()) kept.apply(command);
        Kept restored;
        for (const auto& [key, value] : kept.stored) {
            RC_ASSERT(key.starts_with(Catalogue::prefix));
            RC_ASSERT(restored.catalogue.restore(key, value).ok());
        }
        RC_ASSERT(same(restored.catalogue, kept.catalogue));
        // And it goes on in the same way.
        restored.stored = kept.stored;
        for (const Command& command : any_commands()) {
            const auto one = kept.apply(command);
            const auto other = restored.apply(command);
            RC_ASSERT(one.outcome == other.outcome);
            RC_ASSERT(groups_of(one) == groups_of(other));
        }
        RC_ASSERT(same(restored.catalogue, kept.catalogue));
        RC_ASSERT(restored.stored == kept.stored);
    });
}

TEST_CASE("two catalogues that have applied the same commands are the same", "[server][model]") {
    rc::prop("any commands", [] {
        Kept one, other;
        for (const Command& command : any_commands()) {
            const auto first = one.apply(command);
            // The other one got it over the wire.
            const auto second = other.apply(decode_command(encode_command(command)).value());
            RC_ASSERT(first.outcome == second.outcome);
            RC_ASSERT(groups_of(first) == groups_of(second));
        }
        RC_ASSERT(same(one.catalogue, other.catalogue));
        RC_ASSERT(one.stored == other.stored);
    });
}

TEST_CASE("what no catalogue has stored is corrupt", "[server]") {
    Kept kept;
    kept.apply(create("log", 1, 1));
    const std::string topic = kept.stored.at("catalogue/topic/log");
    const auto restored = [](std::string_view key, std::string_view value) {
        return Catalogue(three_nodes).restore(key, value);
    };
    CHECK(restored("catalogue/topic/log", topic).ok());
    for (std::size_t size = 0; size < topic.size(); ++size)
        CHECK(restored("catalogue/topic/log", topic.substr(0, size)).error() == Error::corrupt);
    CHECK(restored("catalogue/topic/log", topic + "x").error() == Error::corrupt);
    CHECK(restored("catalogue/topic/other", topic).error() == Error::corrupt);
    CHECK(restored("catalogue/node/1", "host:9092").ok());
    CHECK(restored("catalogue/node/1", "host").error() == Error::corrupt);
    CHECK(restored("catalogue/node/1", "").error() == Error::corrupt);
    CHECK(restored("catalogue/node/one", "host:9092").error() == Error::corrupt);
    CHECK(restored("catalogue/node/", "host:9092").error() == Error::corrupt);
    CHECK(restored("catalogue/node/4294967297", "host:9092").error() == Error::corrupt);
    CHECK(restored("catalogue/next_group", "7").ok());
    CHECK(restored("catalogue/next_group", "0").error() == Error::corrupt);
    CHECK(restored("catalogue/next_group", "-1").error() == Error::corrupt);
    CHECK(restored("catalogue/next_group", "x").error() == Error::corrupt);
    CHECK(restored("catalogue/quota", std::string(2, '\xff')).ok());
    CHECK(restored("catalogue/quota/a", std::string(2, '\xff')).ok());
    CHECK(restored("catalogue/quotas", std::string(2, '\xff')).error() == Error::corrupt);
    CHECK(restored("catalogue/quota/a", std::string(1, '\xff')).error() == Error::corrupt);
    CHECK(restored("catalogue/quota/a", std::string("\1\0\0\0\0\0\0\0\0\xff", 10)).error() ==
          Error::corrupt); // No rate.
    CHECK(restored("catalogue/something", "7").error() == Error::corrupt);
    CHECK(restored("catalogue/", "7").error() == Error::corrupt);
}

TEST_CASE("a topic name is 1 to 249 letters, digits, dots, underscores and dashes", "[server]") {
    for (const std::string_view good : {"a", "A-z_0.9", "...", ".a", "__consumer_offsets", "-"})
        CHECK(is_topic_name(good));
    CHECK(is_topic_name(std::string(249, 'x')));
    CHECK(!is_topic_name(std::string(250, 'x')));
    for (const std::string_view bad : {"", ".", "..", "a b", "a/b", "a\n", "\xc3\xa4", "a:b"})
        CHECK(!is_topic_name(bad));
    CHECK(!is_topic_name(std::string_view("a\0b", 3)));
}

TEST_CASE("a topic's id is random, never zero, and of version 4", "[server]") {
    Random random(1);
    const Uuid one = draw_uuid(random);
    const Uuid other = draw_uuid(random);
    CHECK(one != other);
    CHECK(one != Uuid());
    CHECK((one.bytes[6] & 0xf0) == 0x40);
    CHECK((one.bytes[8] & 0xc0) == 0x80);
}
