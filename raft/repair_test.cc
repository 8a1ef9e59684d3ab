// What becomes of a replica that has lost some of what it had, and how it gets it back.
#include "core/log/survey.h"
#include "raft/test_hosts.h"

#include <ranges>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;
using namespace pyralog::raft::host_test;

namespace {

// Where the last frame of this kind and group is in the journal of a node that is down.
struct Place {
    std::string path;
    std::uint64_t position = 0;
};
Place last_in_journal(Hosts& hosts, NodeId node, wire::Frame::Kind kind,
                      std::optional<std::int64_t> index = {}) {
    Place place;
    hosts.world.boot(node, [&](Environment& env) -> Result<> {
        const auto visit = [&](std::string_view path, std::uint64_t at, const wire::Frame& frame,
                               bool) {
            if (frame.kind == kind && path.starts_with("journal/") &&
                frame.first.index == index.value_or(frame.first.index))
                place = {std::string(path), at};
        };
        TRY(survey(env, "journal", visit));
        return {};
    });
    REQUIRE(hosts.until([&] { return !hosts.world.running(node); }));
    REQUIRE(!place.path.empty());
    return place;
}

} // namespace

TEST_CASE("a replica that has forgotten whom it voted for gives nobody that vote again", "[raft]") {
    Hosts hosts(3);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    const NodeId other = hosts.all_but(leader)[0];
    REQUIRE(hosts.until([&] { return hosts.group(other).consensus().leader() == leader; }));
    const Term term = hosts.group(other).term();
    hosts.world.run_for(100ms); // Sealed.
    hosts.world.kill(other);
    const Place vote = last_in_journal(hosts, other, wire::Frame::Kind::vote);
    REQUIRE(hosts.world.disk(other).rot(vote.path, vote.position + wire::Frame::header_size + 1,
                                        std::byte{1}));
    hosts.world.network().isolate(other, hosts.all_but(other));
    hosts.start(other);
    REQUIRE(hosts.until([&] { return hosts.up(other); }));
    CHECK(hosts.group(other).consensus().vote() == wire::Vote{term, wire::Vote::forgotten});
    hosts.world.network().heal_all();
    CHECK(hosts.produce(leader, "a").ok());
    CHECK(hosts.until([&] { return hosts.group(other).committed().offset == Offset(1); }));
}

namespace {

// Three hosts that have stored some values, small ones, and everybody has all of them.
struct Stored {
    explicit Stored(bool in_segments) : hosts(3) {
        hosts.log.cache_bytes = 0;
        if (in_segments) hosts.log.segment_flush_bytes = 1_KiB;
        hosts.start_all();
        leader = hosts.leader();
        for (int i = 0; i < 12; ++i) values.push_back(std::string(900, static_cast<char>('a' + i)));
        for (const std::string& value : values) CHECK(hosts.produce(leader, value).ok());
        CHECK(hosts.until([&] {
            return std::ranges::all_of(hosts.nodes, [&](NodeId node) {
                const Log& log = hosts.group(node).log();
                return log.end() == hosts.group(leader).log().end() &&
                       log.committed() == log.end() &&
                       (!in_segments || log.segments_end() == log.end());
            });
        }));
        hosts.world.run_for(100ms); // Sealed.
        segment = "groups/" + std::to_string(group_one.value) + "/00000000000000000000.seg";
    }

    bool is_whole(NodeId node) { return hosts.group(node).log().damages().empty(); }
    std::string text_of_segment(NodeId node) {
        return std::string(hosts.world.disk(node).durable_content(segment)->text());
    }
    // Of an entry in the journal of a node, which is down afterwards.
    void spoil(NodeId node, std::int64_t index) {
        hosts.world.kill(node);
        const Place at = last_in_journal(hosts, node, wire::Frame::Kind::records, index);
        CHECK(hosts.world.disk(node).rot(at.path, at.position + wire::Frame::header_size + 100,
                                         std::byte{1}));
    }

    Hosts hosts;
    NodeId leader;
    Strings values;
    std::string segment;
};

} // namespace

TEST_CASE("a segment that rots under a leader is written anew from its followers", "[raft]") {
    Stored stored(true);
    Hosts& hosts = stored.hosts;
    const std::string before = stored.text_of_segment(stored.leader);
    sim::Medium& disk = hosts.world.disk(stored.leader);
    SECTION("a payload") { CHECK(disk.rot(stored.segment, 3000, std::byte{1})); }
    SECTION("a header") { CHECK(disk.rot(stored.segment, 64 + 64 + 20, std::byte{1})); }
    SECTION("a sector") { CHECK(disk.make_unreadable(stored.segment, 5000)); }
    SECTION("a bit in each kilobyte") {
        for (std::uint64_t at = 200; at < before.size(); at += 1000)
            CHECK(disk.rot(stored.segment, at, std::byte{1}));
    }
    const auto errors = [&] {
        return hosts
            .on(stored.leader,
                [](Environment&, Host& host) -> Result<Offset> {
                    Offset errors;
                    for (std::int64_t i = 0; i < 12; ++i)
                        if (!host.find(group_one)->read(Offset(i), 1).ok()) errors = errors + 1;
                    return errors;
                })
            .value();
    };
    CHECK(errors() > Offset(0));
    for (int i = 0; i < 10 && errors() > Offset(0); ++i) hosts.world.run_for(100ms);
    CHECK((hosts.values(stored.leader) == stored.values));
    CHECK(hosts.until([&] { return stored.is_whole(stored.leader); }));
    CHECK((stored.text_of_segment(stored.leader) == before));
}

TEST_CASE("what is damaged behind what somebody reads is mended all the same", "[raft]") {
    Stored stored(true);
    Hosts& hosts = stored.hosts;
    const NodeId node = stored.leader;
    CHECK(hosts.world.disk(node).make_unreadable(stored.segment, 5000));
    const auto read = hosts.on(node, [](Environment&, Host& host) -> Result<Offset> {
        return TRY(host.find(group_one)->read(Offset(1), 1_MiB)).empty() ? Offset(0) : Offset(1);
    });
    REQUIRE(read.ok());
    CHECK(read.value() == Offset(1));
    CHECK_FALSE(stored.is_whole(node));
    CHECK(hosts.until([&] { return stored.is_whole(node); }));
}

// Behind the last frame of a segment that grows stands something that was never acknowledged, and
// cannot be read: until the next append cuts it off, nothing can be written beside it.
TEST_CASE("what cannot be put where it belongs is not asked for all the time", "[raft]") {
    Stored stored(true);
    Hosts& hosts = stored.hosts;
    const NodeId node = hosts.all_but(stored.leader)[0];
    const std::uint64_t end = stored.text_of_segment(node).size();
    hosts.world.kill(node);
    hosts.world.boot(node, [&](Environment& env) -> Result<> {
        const auto file = TRY(env.disk.open(stored.segment, Disk::Open::existing));
        TRY(file->write_at(end, {Bytes::copy_of(std::string(4096, 'x'))}));
        return file->sync();
    });
    REQUIRE(hosts.until([&] { return !hosts.world.running(node); }));
    hosts.start(node);
    REQUIRE(hosts.until(
        [&] { return hosts.up(node) && hosts.group(node).committed().offset == Offset(12); }));
    sim::Medium& disk = hosts.world.disk(node);
    REQUIRE(disk.rot(stored.segment, end - 200, std::byte{1}));
    REQUIRE(disk.make_unreadable(stored.segment, end / 4096 * 4096 + 4095));
    const auto read = hosts.on(node, [](Environment&, Host& host) -> Result<Offset> {
        TRY(host.find(group_one)->read(Offset(11), 1));
        return Offset(11);
    });
    CHECK(read.error() == Error::corrupt);
    hosts.world.run_for(10s);
    CHECK_FALSE(stored.is_whole(node));
    const auto asked = metric(hosts.world.environment(node), "pyralog_repair_requests_total");
    CHECK(asked > 5);
    CHECK(asked < 20);
    for (const char letter : {'x', 'y', 'z'}) {
        stored.values.push_back(std::string(900, letter));
        REQUIRE(hosts.produce(stored.leader, stored.values.back()).ok());
    }
    CHECK(hosts.until([&] {
        return stored.is_whole(node) &&
               hosts.group(node).committed().offset == Offset(stored.values.size());
    }));
    CHECK((hosts.values(node) == stored.values));
}

// While nobody uses it a segment is closed, and what was known of it is in its footer. If that is
// lost, and a frame as well, nobody can say what of it is damaged.
TEST_CASE("a closed segment that loses its footer and a frame comes back from the others",
          "[raft]") {
    Stored stored(true);
    Hosts& hosts = stored.hosts;
    hosts.log.segment_bytes = 4_KiB;
    hosts.log.open_segments_max = 1;
    for (const NodeId node : hosts.nodes) hosts.world.kill(node);
    hosts.start_all();
    const NodeId leader = hosts.leader();
    for (int i = 0; i < 8; ++i) {
        stored.values.push_back(std::string(900, static_cast<char>('A' + i)));
        REQUIRE(hosts.produce(leader, stored.values.back()).ok());
    }
    // The last of them moves when it is followed by others, and takes the place of the first.
    REQUIRE(hosts.until([&] {
        return hosts.group(leader).log().segments_end().index > 16 &&
               metric(hosts.world.environment(leader), "pyralog_open_segments") == 1;
    }));
    sim::Medium& disk = hosts.world.disk(leader);
    CHECK(disk.rot(stored.segment, stored.text_of_segment(leader).size() - 1, std::byte{1}));
    CHECK(disk.rot(stored.segment, 3000, std::byte{1}));
    const auto errors = hosts.on(leader, [](Environment&, Host& host) -> Result<Offset> {
        Offset errors;
        for (std::int64_t i = 0; i < 12; ++i)
            if (!host.find(group_one)->read(Offset(i), 1).ok()) errors = errors + 1;
        return errors;
    });
    CHECK(errors.value() > Offset(0));
    REQUIRE(hosts.until([&] {
        return metric(hosts.world.environment(leader), "pyralog_log_mended_total") > 0 &&
               stored.is_whole(leader);
    }));
    CHECK((hosts.values(leader) == stored.values));
    CHECK(stored.is_whole(leader));
}

TEST_CASE("what rots in a journal comes back from the others", "[raft]") {
    Stored stored(false);
    Hosts& hosts = stored.hosts;
    const NodeId node = hosts.all_but(stored.leader)[0];
    stored.spoil(node, 5);
    hosts.start(node);
    REQUIRE(hosts.until([&] { return hosts.up(node); }));
    CHECK_FALSE(stored.is_whole(node));
    CHECK(hosts.until([&] { return stored.is_whole(node); }));
    CHECK((hosts.values(node) == stored.values));
    CHECK(hosts.until([&] {
        return metric(hosts.world.environment(node), "pyralog_log_mended_total") == 1; // Durable.
    }));

    // For good, though the bad bytes are still there.
    hosts.world.cut_power(node);
    hosts.start(node);
    REQUIRE(hosts.until([&] { return hosts.up(node); }));
    CHECK(stored.is_whole(node));
    CHECK(hosts.until([&] { return hosts.group(node).committed().offset == Offset(12); }));
    CHECK((hosts.values(node) == stored.values));
}

TEST_CASE("what two have lost comes back when the third does", "[raft]") {
    Stored stored(false);
    Hosts& hosts = stored.hosts;
    const std::vector<NodeId> others = hosts.all_but(stored.leader);
    hosts.world.kill(others[1]);
    for (const NodeId node : {stored.leader, others[0]}) stored.spoil(node, 5);
    for (const NodeId node : {stored.leader, others[0]}) hosts.start(node);
    const NodeId leader = hosts.leader();
    CHECK(hosts.produce(leader, "more").ok()); // What is whole can still be done.
    hosts.world.run_for(10s);
    CHECK_FALSE(stored.is_whole(leader));
    CHECK(metric(hosts.world.environment(leader), "pyralog_repair_in_vain_total") > 3);
    hosts.start(others[1]);
    stored.values.push_back("more");
    for (const NodeId node : hosts.nodes) {
        CHECK(hosts.until([&] { return hosts.up(node) && stored.is_whole(node); }));
        CHECK(hosts.until(
            [&] { return hosts.group(node).committed() == hosts.group(leader).committed(); }));
        CHECK((hosts.values(node) == stored.values));
    }
}

// What one has damaged that nobody else has is nothing that was ever acknowledged.
TEST_CASE("a damaged entry that nobody has keeps nobody else from going on", "[raft]") {
    Stored stored(false);
    Hosts& hosts = stored.hosts;
    const std::vector<NodeId> others = hosts.all_but(stored.leader);
    hosts.world.network().isolate(stored.leader, others);
    (void)hosts.begin(stored.leader, [](Environment& env, Host& host) {
        return produce(env, host, std::string(200, 'x'), group_one, 100ms);
    });
    hosts.world.run_for(200ms);
    const std::int64_t index = hosts.group(stored.leader).log().end().index - 1;
    stored.spoil(stored.leader, index);
    hosts.world.network().heal_all();
    hosts.start(stored.leader);
    const NodeId next = hosts.leader();
    CHECK(hosts.produce(next, "more").ok());
    stored.values.push_back("more");
    for (const NodeId node : hosts.nodes) {
        CHECK(hosts.until([&] {
            return hosts.up(node) && stored.is_whole(node) &&
                   hosts.group(node).committed() == hosts.group(next).committed();
        }));
        CHECK((hosts.values(node) == stored.values));
    }
}

// ---- What others have trimmed ----

TEST_CASE("nobody waits for what the others have trimmed", "[raft]") {
    Stored stored(false);
    Hosts& hosts = stored.hosts;
    const NodeId node = hosts.all_but(stored.leader)[0];
    const bool is_behind = GENERATE(false, true); // Of where the others' logs begin.
    stored.spoil(node, 5);
    std::int64_t first = 8;
    if (is_behind) {
        for (int i = 0; i < 8; ++i) {
            stored.values.push_back("more " + std::to_string(i));
            REQUIRE(hosts.produce(stored.leader, stored.values.back()).ok());
        }
        first = 15;
    }
    REQUIRE(hosts.on(stored.leader, trim_at(first)).value() == Offset(first));
    stored.values.erase(stored.values.begin(), stored.values.begin() + first);
    // Alone it still misses what it has lost.
    hosts.world.network().isolate(node, hosts.all_but(node));
    hosts.start(node);
    REQUIRE(hosts.until([&] { return hosts.up(node); }));
    hosts.world.run_for(2s);
    CHECK_FALSE(stored.is_whole(node));
    hosts.world.network().heal_all();
    const NodeId leader = hosts.leader();
    CHECK(hosts.until([&] {
        const Group& group = hosts.group(node);
        return stored.is_whole(node) && group.committed() == hosts.group(leader).committed() &&
               group.log().log_start() == hosts.group(leader).log().log_start() &&
               group.consensus().start() == group.log().start();
    }));
    CHECK(metric(hosts.world.environment(node), "pyralog_log_mended_total") <= 0);
    CHECK(hosts.until(
        [&] { return metric(hosts.world.environment(node), "pyralog_log_damaged_entries") == 0; }));
    CHECK((hosts.values(node) == stored.values));
    // It asks no more.
    hosts.world.run_for(2s);
    const auto asked = [&] {
        return metric(hosts.world.environment(node), "pyralog_repair_requests_total");
    };
    const std::int64_t before = asked();
    hosts.world.run_for(5s);
    CHECK(asked() == before);
    // And has a log that opens.
    hosts.world.cut_power(node);
    hosts.start(node);
    CHECK(hosts.until([&] {
        return hosts.up(node) && hosts.group(node).committed() == hosts.group(leader).committed();
    }));
    CHECK((hosts.values(node) == stored.values));
}

TEST_CASE("a trim that rots is fetched, and then moves the start of that replica as well",
          "[raft]") {
    Stored stored(false);
    Hosts& hosts = stored.hosts;
    const NodeId node = hosts.all_but(stored.leader)[0];
    const std::int64_t index = hosts.group(stored.leader).log().end().index;
    hosts.begin(stored.leader, trim_at(8));
    // It has the entry, and does not know that it is committed.
    REQUIRE(hosts.until([&] { return hosts.group(node).consensus().durable_end().index > index; }));
    REQUIRE(hosts.group(node).log().start().index == 0);
    hosts.world.network().isolate(node, hosts.all_but(node));
    hosts.world.run_for(100ms); // Sealed.
    hosts.world.kill(node);
    const Place at = last_in_journal(hosts, node, wire::Frame::Kind::trim, index);
    REQUIRE(hosts.world.disk(node).rot(at.path, at.position + wire::Frame::header_size + 3,
                                       std::byte{1}));
    hosts.start(node);
    REQUIRE(hosts.until([&] { return hosts.up(node); }));
    REQUIRE_FALSE(stored.is_whole(node));
    hosts.world.network().heal_all();
    const Group& group = hosts.group(node);
    CHECK(hosts.until([&] { return group.log().log_start().offset == Offset(8); }));
    CHECK(group.consensus().start() == group.log().start()); // At once.
    CHECK(stored.is_whole(node));
    CHECK(group.committed().index > index);
    CHECK(group.log().log_start() == hosts.group(stored.leader).log().log_start());
    CHECK(metric(hosts.world.environment(node), "pyralog_log_mended_total") == 1);
    stored.values.erase(stored.values.begin(), stored.values.begin() + 8);
    CHECK((hosts.values(node) == stored.values));
}

TEST_CASE("a header that rots right before the start of a log is no loss of what is behind",
          "[raft]") {
    Stored stored(true);
    Hosts& hosts = stored.hosts;
    REQUIRE(hosts.on(stored.leader, trim_at(3)).value() == Offset(3));
    const NodeId node = hosts.all_but(stored.leader)[0];
    CHECK(hosts.until([&] { return hosts.group(node).log().log_start().offset == Offset(3); }));
    hosts.world.run_for(100ms);
    // All that is trimmed stands between the same two marks as what is not.
    CHECK(hosts.world.disk(node).rot(stored.segment, 64 + 64 + 20, std::byte{1}));
    CHECK(hosts.world.disk(node).rot(stored.segment, 64 + 64 + 1100, std::byte{1}));
    stored.values.erase(stored.values.begin(), stored.values.begin() + 3);
    const auto read = [&] {
        return hosts.on(node, [](Environment&, Host& host) -> Result<Offset> {
            TRY(host.find(group_one)->read(Offset(3), 1));
            return Offset(3);
        });
    };
    CHECK(read().error() == Error::corrupt);
    CHECK(hosts.until([&] { return stored.is_whole(node) && read().ok(); }));
    CHECK((hosts.values(node) == stored.values));
}

// ---- Each kind of place ----

namespace {

struct Spot {
    std::string what;
    std::string path;
    std::uint64_t position = 0;
};

// One place of each kind in each file of a node, and of frames one for each kind of frame.
class Spots {
public:
    static std::vector<Spot> of(sim::Medium& disk) {
        Spots spots(disk);
        const auto journal = disk.durable_list("journal").value();
        for (const std::string& name : journal)
            spots.in_journal("journal/" + name, name == *std::ranges::max_element(journal, less));
        const auto segments = disk.durable_list("groups/1").value();
        for (const std::string& name : segments) spots.in_segment("groups/1/" + name);
        return spots.found_;
    }

private:
    explicit Spots(sim::Medium& disk) : disk_(disk) {}
    // Spares are no newest file.
    static bool less(const std::string& a, const std::string& b) {
        return std::pair(a.ends_with(".log"), a) < std::pair(b.ends_with(".log"), b);
    }

    void add(const std::string& what, std::uint64_t position) {
        const auto is_same = [&](const Spot& spot) {
            return spot.what == what && spot.path == path_;
        };
        if (std::ranges::none_of(found_, is_same)) found_.push_back({what, path_, position});
    }
    static std::string name_of(wire::Frame::Kind kind) {
        switch (kind) {
        case wire::Frame::Kind::vote: return "vote";
        case wire::Frame::Kind::mark: return "mark";
        case wire::Frame::Kind::cut: return "cut";
        case wire::Frame::Kind::seal: return "seal";
        default: return "entry";
        }
    }
    // How long it is.
    std::uint64_t frame(const std::string& where, const Bytes& all, std::uint64_t at) {
        const auto header =
            wire::decode_header(std::span<const std::byte, wire::Frame::header_size>(
                all.view().subspan(at, wire::Frame::header_size)));
        if (!header.ok()) return 0;
        const std::string kind = where + ", " + name_of(header.value().frame.kind);
        const std::size_t size = header.value().payload_size;
        const std::size_t stored = wire::stored_size(size);
        for (const auto& [field, place] :
             {std::pair("sum", 1), std::pair("payload's sum", 5), std::pair("size", 9),
              std::pair("kind", 13), std::pair("group", 23), std::pair("index", 31),
              std::pair("offset", 39), std::pair("round", 47), std::pair("term", 51),
              std::pair("records", 55)})
            add(kind + ": " + field, at + static_cast<std::uint64_t>(place));
        if (size > 0) add(kind + ": payload", at + wire::Frame::header_size + size / 2);
        if (stored > wire::Frame::header_size + size) add(where + ": padding", at + stored - 1);
        return stored;
    }
    void in_journal(const std::string& path, bool is_newest) {
        path_ = path;
        const Bytes all = disk_.durable_content(path).value();
        if (!path.ends_with(".log")) return add("spare", 5000);
        const std::string where = is_newest ? "newest journal file" : "journal file";
        const auto header = wire::decode_journal_header(all.view());
        REQUIRE(header);
        add(where + ": header", 30);
        add(where + ": rest of the header", 2000);
        std::uint64_t at = wire::JournalHeader::size;
        for (std::uint64_t n = header->first_round;; ++n) {
            const auto round = at < all.size() ? wire::decode_round_header(all.view().subspan(at))
                                               : std::optional<wire::RoundHeader>();
            if (!round || round->round != n || round->salt != header->salt) break;
            const std::string which =
                where + (n == header->first_round ? ", first round" : ", round");
            add(which + ": header", at + 20);
            std::uint64_t inside = at + wire::RoundHeader::size;
            for (std::uint32_t i = 0; i < round->frames; ++i) inside += frame(which, all, inside);
            at += round->stored_size();
            if (inside < at) add(which + ": rest", at - 1);
        }
        if (at < all.size()) add(where + ": behind the rounds", all.size() - 100);
    }
    void in_segment(const std::string& path) {
        path_ = path;
        const Bytes all = disk_.durable_content(path).value();
        add("segment: header", 20);
        add("segment: rest of the header", 60);
        std::uint64_t at = wire::SegmentHeader::size;
        while (at + wire::Frame::header_size <= all.size()) {
            const std::uint64_t size = frame("segment", all, at);
            if (size == 0) break;
            at += size;
        }
        if (at < all.size()) add("segment: footer", at + 20);
        if (at < all.size()) add("segment: trailer", all.size() - 60);
    }

    sim::Medium& disk_;
    std::string path_;
    std::vector<Spot> found_;
};

// A node starts with this, and gets back what it has lost; of the rest it may say that it is
// damaged.
bool must_start(const Spot& spot) {
    const std::string& what = spot.what;
    if (what.find("payload") != std::string::npos && what.ends_with("payload")) return true;
    return what == "spare" || what.ends_with("padding") || what.ends_with("rest") ||
           what.ends_with("behind the rounds") || what.ends_with("footer") ||
           what.ends_with("trailer");
}

// Of the harmed byte, or of the sector around it. What became of the node.
std::string harmed_node(Stored& stored, NodeId node, const Spot& spot, bool is_sector) {
    Hosts& hosts = stored.hosts;
    sim::Medium& disk = hosts.world.disk(node);
    const auto flip = [&] {
        if (disk.durable_file(spot.path)) (void)disk.rot(spot.path, spot.position, std::byte{16});
    };
    const Bytes before = disk.durable_content(spot.path).value();
    if (is_sector)
        REQUIRE(disk.make_unreadable(spot.path, spot.position));
    else
        flip();
    hosts.start(node);
    REQUIRE(hosts.until([&] { return hosts.up(node) || !hosts.world.running(node); }));
    REQUIRE(hosts.up(node));
    if (hosts.given_up(node) > 0) {
        CHECK(hosts.host(node).abstaining().size() == 1);
        CHECK(hosts.until([&] {
            return hosts.host(node).abstaining().size() == 0 &&
                   hosts.group(node).committed().offset == Offset(stored.values.size());
        }));
        CHECK((hosts.values(node) == stored.values));
        return "gives up";
    }
    // Its end does not go back for anything that was acknowledged.
    CHECK(hosts.group(node).log().end().offset == Offset(stored.values.size()));
    for (int round = 0; round < 30; ++round) {
        const auto damages = hosts.on(node, [](Environment&, Host& host) -> Result<Offset> {
            const GroupRef group = host.find(group_one);
            for (std::int64_t next = 0; next < group->log().segments_end().index;)
                next = TRY(group->log().scrub(next, 1_MiB));
            const auto count = static_cast<std::int64_t>(group->log().damages().size());
            if (count > 0) group->log_is_damaged();
            return Offset(count);
        });
        if (damages.value() == Offset(0)) break;
        hosts.world.run_for(300ms);
    }
    CHECK(hosts.until([&] {
        return stored.is_whole(node) &&
               hosts.group(node).committed().offset == Offset(stored.values.size());
    }));
    CHECK((hosts.values(node) == stored.values));
    hosts.world.run_for(50ms);
    hosts.world.kill(node);
    const auto now = disk.durable_content(spot.path);
    const bool is_same =
        !now || std::ranges::equal(now->view().first(std::min(before.size(), now->size())),
                                   before.view().first(std::min(before.size(), now->size())));
    if (!is_same && !is_sector) flip(); // Nobody needs it.
    return is_same ? "is mended" : "goes on";
}

} // namespace

TEST_CASE("whatever byte of a minority's disk rots, nothing is lost and nothing is wrong",
          "[raft]") {
    Stored stored(true);
    Hosts& hosts = stored.hosts;
    hosts.log.segment_bytes = 4_KiB;
    const NodeId node = hosts.all_but(stored.leader)[0];
    // Segments that are sealed, a vote that is not in the first round, and entries in the journal.
    const auto prepare = [&] {
        for (int life = 0; life < 2; ++life) {
            hosts.world.kill(node);
            hosts.start(node);
            REQUIRE(hosts.until([&] { return hosts.up(node); }));
            for (int i = 0; i < 4; ++i) {
                stored.values.push_back(std::string(700, static_cast<char>('A' + i)));
                REQUIRE(hosts.produce(hosts.leader(), stored.values.back()).ok());
            }
            const auto end = Offset(stored.values.size());
            REQUIRE(hosts.until([&] { return hosts.group(node).committed().offset == end; }));
            hosts.world.run_for(200ms);
        }
        hosts.world.kill(node);
    };
    prepare();
    std::map<std::string, std::string> outcomes;
    for (;;) {
        const auto spots = Spots::of(hosts.world.disk(node));
        const auto next = std::ranges::find_if(
            spots, [&](const Spot& spot) { return !outcomes.contains(spot.what); });
        if (next == spots.end()) break;
        const Spot& spot = *next;
        INFO(spot.what << " at " << spot.path << ':' << spot.position);
        const std::string outcome = harmed_node(stored, node, spot, false);
        if (must_start(spot)) CHECK(outcome != "gives up");
        outcomes[spot.what] = outcome;
        // The others have all of it meanwhile.
        CHECK((hosts.values(hosts.leader({node})) == stored.values));
        if (outcome == "gives up") prepare();
    }
    CHECK(std::ranges::count(outcomes | std::views::values, "gives up") > 10);
    for (const auto& [what, outcome] : outcomes) UNSCOPED_INFO(what << " -> " << outcome);
    CHECK(outcomes.size() > 60);
}
