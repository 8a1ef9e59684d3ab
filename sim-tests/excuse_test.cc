#include "sim-tests/excuse.h"

#include "core/wire/segment.h"
#include "server/catalogue.h"
#include "sim-tests/calm_cluster.h"
#include "sim-tests/run.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <functional>

using namespace pyralog;
using namespace pyralog::simtest;
using What = Missing::What;

namespace {

constexpr NodeId one{1}, two{2}, three{3};

// A cluster whose disks have something on them, and whose nodes are down.
struct Stopped : CalmCluster {
    Stopped() {
        CHECK(run(4s) == "good");
        for (const NodeId node : cluster.nodes()) world.kill(node);
    }

    // An entry, header and all, or the payload of one is missing from its journal.
    Missing harm(NodeId node) { return harm(node, What::journal_entry); }
    // By a bit of something that the node knows to be durable, and nothing else.
    Missing harm(NodeId node, What what, std::optional<GroupId> of = {}) {
        sim::Dice dice = world.dice("test");
        for (int i = 0; i < 4000; ++i) {
            const auto place = media.at(node).settled_byte(dice);
            REQUIRE(place);
            const auto rot = [&] {
                REQUIRE(world.disk(node).rot(place->path, place->position, std::byte{1}));
            };
            rot();
            cluster.damage(node);
            for (const Missing& missing : missing_on(world.disk(node), of))
                if (missing.what == what) return missing;
            rot(); // And back.
        }
        FAIL("rot has hit no entry");
        return {};
    }

    Disks disks(std::initializer_list<NodeId> gone) {
        Disks all{{}, check.groups()};
        for (const NodeId node : cluster.nodes())
            all.nodes[node] = {&world.disk(node), std::ranges::count(gone, node) > 0};
        return all;
    }
};

} // namespace

TEST_CASE("a node that gives up what rot has taken is excused, and counted", "[simtest]") {
    Stopped stopped;
    stopped.harm(two);
    stopped.cluster.start(two);
    CHECK(stopped.run(1s) == "good");
    CHECK(stopped.world.disk(two).durable_list("set-aside").has_value());
    std::uint64_t refusals = 0;
    for (const auto& [kind, count] : stopped.cluster.excuses()) {
        CHECK(kind.starts_with("refusal/"));
        refusals += count;
    }
    CHECK(refusals > 0);
}

// Seed 14103: on a disk that replaces another it may have abstained when it cast the vote.
TEST_CASE("a replica that has forgotten its vote has lost a ballot of its own group", "[simtest]") {
    Stopped stopped;
    const GroupId group = server::controller_group;
    const auto judge = [&](GroupId of) {
        ExcuseCounts counts;
        const auto finding = judge_forgetting(two, of, stopped.world.disk(two), counts);
        CHECK(counts.size() == (finding ? 0 : 1));
        return finding ? finding->detail : "none";
    };
    CHECK(judge(group) == "node 2 has forgotten its vote in group 0: nothing is missing");
    stopped.harm(two, What::journal_ballot, group);
    CHECK(judge(group) == "none");
    CHECK(judge(GroupId(77)).ends_with("nothing is missing"));
    // It is no reason to refuse the disk.
    CHECK(missing_on(stopped.world.disk(two)).empty());
}

TEST_CASE("a node that refuses though nothing was taken has a false excuse", "[simtest]") {
    Stopped stopped;
    stopped.world.facts(two).damage(); // Which no list of faults knows.
    stopped.cluster.damage(two);       // Somebody says that he did something.
    stopped.cluster.start(two);
    CHECK(stopped.run(1s) == "excuse-unfounded");
    CHECK(stopped.cluster.excuses().empty());
}

TEST_CASE("what was written anew is not missing", "[simtest]") {
    Stopped stopped;
    sim::Medium& disk = stopped.world.disk(one);
    const Missing missing = stopped.harm(one);
    CHECK_FALSE(flaw_of(missing, disk));
    Buffer good(missing.size);
    const auto file = disk.durable_file(missing.path).value();
    CHECK(disk.read_unharmed(file, missing.position, good.view()) == missing.size);
    const Bytes data = std::move(good).freeze();
    stopped.world.boot(one, [&](Environment& env) {
        const auto opened = env.disk.open(missing.path, Disk::Open::existing);
        CHECK(opened.value()->write_at(missing.position, {data}, Durability::now).ok());
    });
    stopped.world.run_for(100ms);
    for (const Missing& left : missing_on(disk)) CHECK(left.position != missing.position);
    CHECK(flaw_of(missing, disk) == "all of it is there");
}

// Seed 110746: a node had written its lost entry again when the power went, and the prover took
// what the cut left for what had been there.
TEST_CASE("what a power cut has torn was not taken by the damage before it", "[simtest]") {
    Stopped stopped;
    sim::Medium& disk = stopped.world.disk(one);
    const std::string path = "groups/77/00000000000000000000.seg";
    wire::Frame frame;
    frame.group = GroupId{77};
    frame.term = Term{1};
    frame.records = 1;
    frame.payload = {Bytes::copy_of(std::string(3 * disk.unit_size(), 'x'))};
    const auto write = [&](Disk::Open how, Durability durability) {
        return [&, how, durability](Environment& env) {
            (void)env.disk.create_directory("groups/77");
            const auto file = env.disk.open(path, how);
            const Bytes header = wire::encode(wire::SegmentHeader{frame.group, {}});
            CHECK(file.value()
                      ->write_at(0, {header, wire::encode_header(frame), frame.payload.front()},
                                 durability)
                      .ok());
            for (const char* directory : {"groups/77", "groups", ""})
                CHECK(env.disk.sync_directory(directory).ok());
            (void)env.fibers.sleep_until(env.clock.now() + 1h);
        };
    };
    stopped.world.boot(one, write(Disk::Open::create_new, Durability::now));
    stopped.world.run_for(100ms);
    stopped.world.cut_power(one); // And with it goes what it had not synced when it was stopped.
    REQUIRE(disk.rot(path, disk.unit_size() - 1, std::byte{1}));
    const std::vector<Missing> missing = missing_on(disk, frame.group);
    REQUIRE(missing.size() == 1);
    CHECK_FALSE(flaw_of(missing.front(), disk));

    stopped.world.boot(one, write(Disk::Open::existing, Durability::later));
    stopped.world.run_for(100ms);
    using Fate = sim::Medium::Fate;
    disk.plan_cut({Fate::survives, Fate::survives, Fate::lost, Fate::garbage, Fate::survives,
                   Fate::survives});
    stopped.world.cut_power(one);
    CHECK(flaw_of(missing.front(), disk) == "the frame was not whole");
    CHECK(missing_on(disk, frame.group).empty());
}

// Seeds 835500 and 910262: a byte that was zero since a fault, and written as zero later, was taken
// for what the fault had made of it.
TEST_CASE("the judge holds only what nobody has written over since against a fault", "[simtest]") {
    Stopped stopped;
    sim::Medium& disk = stopped.world.disk(one);
    const std::string path = "groups/77/00000000000000000000.seg";
    wire::Frame frame;
    frame.group = GroupId{77};
    frame.term = Term{1};
    frame.records = 1;
    // The text is where the frame is, in a file that has long had its size.
    const auto put = [&](std::string_view text, bool lie) {
        stopped.world.boot(one, [&, text, lie](Environment& env) {
            (void)env.disk.create_directory("groups/77");
            auto file = env.disk.open(path, Disk::Open::create_new);
            if (!file.ok()) file = env.disk.open(path, Disk::Open::existing);
            for (const char* directory : {"groups/77", "groups", ""})
                CHECK(env.disk.sync_directory(directory).ok());
            if (file.value()->size().value() == 0)
                CHECK(file.value()->write_at(0, {Bytes::copy_of(std::string(4096, '\0'))}).ok());
            CHECK(file.value()->sync().ok());
            frame.payload = {Bytes::copy_of(text)};
            if (lie) disk.lie_at_next_sync();
            const Bytes header = wire::encode(wire::SegmentHeader{frame.group, {}});
            CHECK(file.value()
                      ->write_at(0, {header, wire::encode_header(frame), frame.payload.front()})
                      .ok());
            CHECK(file.value()->sync().ok());
        });
        stopped.world.run_for(100ms);
        stopped.world.cut_power(one);
    };
    const auto is_founded = [&] {
        const std::vector<Missing> missing = missing_on(disk, frame.group);
        REQUIRE(missing.size() == 1);
        return !flaw_of(missing.front(), disk);
    };
    const std::string text(300, 'x');
    std::string other = text;
    other[200] = '\0';
    SECTION("what a sync lied about, twice") {
        put(text, true);
        put(other, true);
        CHECK(is_founded());
    }
    SECTION("what is as rot had made it, since that is what was written") {
        put(text, false);
        REQUIRE(disk.rot(path, 64 + 64 + 200, std::byte{'x' ^ 'y'}));
        other[200] = 'y';
        put(other, false);
        CHECK(missing_on(disk, frame.group).empty());
        REQUIRE(disk.rot(path, 64 + 64 + 10, std::byte{1}));
        CHECK(is_founded());
    }
    SECTION("what a file got back when it was longer again") {
        put(text, false);
        REQUIRE(disk.rot(path, 64 + 64 + 200, std::byte{'x'}));
        stopped.world.boot(one, [&](Environment& env) {
            const auto file = env.disk.open(path, Disk::Open::existing);
            CHECK(file.value()->resize(64 + 64 + 100).ok());
            CHECK(file.value()->sync().ok());
        });
        stopped.world.run_for(100ms);
        stopped.world.cut_power(one);
        CHECK(disk.harms().front().written_over == std::vector{true});
    }
}

TEST_CASE("the judge accepts no proof that says anything else than what happened", "[simtest]") {
    Stopped stopped;
    sim::Medium& disk = stopped.world.disk(one);
    const Missing entry = stopped.harm(one);
    CHECK_FALSE(flaw_of(entry, disk));
    const auto flaw = [&](const std::function<void(Missing&)>& change) {
        Missing changed = entry;
        change(changed);
        return flaw_of(changed, disk).value_or("none");
    };
    CHECK(flaw([](Missing& m) { m.path = "journal/none"; }) == "there is no such file");
    CHECK(flaw([](Missing& m) { m.fault = sim::Fault::lost_write; }) ==
          "no such fault has struck there");
    CHECK(flaw([](Missing& m) { ++m.index; }) == "the frame had another index");
    CHECK(flaw([](Missing& m) { m.group = GroupId(99); }) == "the frame was another group's");
    CHECK(flaw([](Missing& m) { m.what = What::journal_vote; }) == "the frame was of another kind");
    CHECK(flaw([](Missing& m) { m.position -= 8; }) == "no frame was there");
    CHECK(flaw([](Missing& m) { m.size += 8; }) == "the frame had another size");
    CHECK(flaw([](Missing& m) { m.what = What::journal_round; }) == "no header was there");
    CHECK(flaw([](Missing& m) { m.what = What::journal_unneeded; }) == "nobody needs it");
    CHECK(flaw([](Missing& m) { m.what = What::file_end; }) == "the file is long enough");
    CHECK(flaw([](Missing& m) { m.what = What::disk; }) == "the disk is still there");
    disk.lose_all();
    CHECK(flaw([](Missing& m) { m.what = What::disk; }) == "none");
    CHECK(flaw_of_refusal({}, disk) == "nothing is missing");
}

TEST_CASE("what a sync lied about is missing, also when its file of the store is gone",
          "[simtest]") {
    Stopped stopped;
    sim::Medium& disk = stopped.world.disk(one);
    const auto on_node = [&](const std::function<Result<>(Environment&)>& body) {
        stopped.world.boot(one, body);
        stopped.world.run_for(100ms);
    };
    const std::string path = "kv/000001.log";
    on_node([&](Environment& env) -> Result<> {
        (void)env.disk.create_directory("kv");
        const auto file = TRY(env.disk.open(path, Disk::Open::create_new));
        TRY(env.disk.sync_directory("kv"));
        TRY(env.disk.sync_directory(""));
        disk.lie_at_next_sync();
        TRY(file->write_at(0, {Bytes::copy_of("a fact")}));
        return file->sync();
    });
    stopped.world.cut_power(one);
    CHECK(missing_on(disk).size() > 0); // It differs from what it should be.
    on_node([&](Environment& env) -> Result<> {
        TRY(env.disk.remove(path));
        return env.disk.sync_directory("kv");
    });
    const auto all = missing_on(disk);
    REQUIRE(all.size() == 1);
    CHECK(all[0].what == What::small_facts);
    CHECK(all[0].path == path);
    CHECK_FALSE(flaw_of_refusal(all, disk));
    Missing other = all[0];
    other.position += 1;
    CHECK(flaw_of(other, disk) == "nobody has lied about that file");
    other = all[0];
    other.path = "kv/000002.log";
    CHECK(flaw_of(other, disk) == "nobody has lied about that file");
}

TEST_CASE("a payload of the journal is no reason to refuse it, and one to refuse a read",
          "[simtest]") {
    Stopped stopped;
    const Missing payload = stopped.harm(one, What::journal_payload);
    sim::Medium& disk = stopped.world.disk(one);
    CHECK_FALSE(flaw_of(payload, disk));
    CHECK(flaw_of_refusal(std::span(&payload, 1), disk) == "only payloads are missing");
    Missing changed = payload;
    changed.what = What::journal_entry;
    CHECK(flaw_of(changed, disk) == "its header is there");

    // Of those that run.
    const Disks disks = stopped.disks({});
    const auto excuse = excuse_for(payload.group, true, disks);
    REQUIRE(excuse);
    CHECK(excuse->kind == Excuse::Kind::unreadable);
    CHECK_FALSE(flaw_of(*excuse, disks));
    CHECK_FALSE(excuse_for(payload.group, false, disks));

    // Once it stands elsewhere it is not missing; in what was a spare file nobody reads it.
    Buffer good(payload.size);
    const auto file = disk.durable_file(payload.path).value();
    CHECK(disk.read_unharmed(file, payload.position, good.view()) == payload.size);
    const Bytes data = std::move(good).freeze();
    const auto copy_to = [&](const std::string& directory, const std::string& name) {
        stopped.world.boot(one, [&](Environment& env) -> Result<> {
            for (std::size_t at = 0; at != directory.npos; at = directory.find('/', at + 1))
                if (at > 0) (void)env.disk.create_directory(directory.substr(0, at));
            (void)env.disk.create_directory(directory);
            const auto made = env.disk.open(directory + '/' + name, Disk::Open::create_new);
            CHECK(made.value()->write_at(0, {data}, Durability::now).ok());
            for (std::size_t at = directory.rfind('/'); at != directory.npos && at > 0;
                 at = directory.rfind('/', at - 1))
                CHECK(env.disk.sync_directory(directory.substr(0, at)).ok());
            CHECK(env.disk.sync_directory("").ok());
            return env.disk.sync_directory(directory);
        });
        stopped.world.run_for(100ms);
    };
    copy_to("set-aside/1/journal", "spare-1");
    CHECK_FALSE(flaw_of(payload, disk));
    copy_to("journal", "copy.log");
    CHECK(flaw_of(payload, disk) == "it stands elsewhere as well");
    for (const Missing& left : missing_on(disk)) CHECK(left.what != What::journal_payload);

    // Where it cannot be read it does not stand. (Seed 1314: the bytes of a sector that cannot be
    // read were still there for the prover, in the very place, and so the group had no excuse.)
    REQUIRE(disk.make_unreadable("journal/copy.log", 0));
    CHECK_FALSE(flaw_of(payload, disk));
    CHECK(excuse_for(payload.group, true, disks));
}

TEST_CASE("a node that runs is not settled before it has got back what it has lost", "[simtest]") {
    Stopped stopped;
    (void)stopped.harm(two, What::journal_payload);
    for (const NodeId node : {one, two, three}) stopped.cluster.start(node);
    const std::array others{one, three};
    stopped.world.network().isolate(two, others);
    // At some moment between two requests.
    const auto settles = [&] {
        for (int i = 0; i < 4'000; ++i) {
            if (stopped.run(1ms) != "good") return false;
            if (stopped.check.settled()) return true;
        }
        return false;
    };
    CHECK_FALSE(settles());
    REQUIRE(stopped.cluster.host(two));
    stopped.world.network().heal_all();
    CHECK(settles());
    CHECK_FALSE(stopped.finding);
}

TEST_CASE("a group stands still only when too many of its voters are gone", "[simtest]") {
    Stopped stopped;
    const GroupId group = server::controller_group;
    CHECK_FALSE(excuse_for(group, false, stopped.disks({})));
    const Disks whole = stopped.disks({one, two}); // They refuse, and nothing is missing.
    CHECK(flaw_of(excuse_for(group, false, whole).value(), whole) ==
          "enough of the voters are well");
    stopped.harm(one);
    CHECK_FALSE(excuse_for(group, false, stopped.disks({one})));
    stopped.harm(two);
    const Disks disks = stopped.disks({one, two});
    const auto excuse = excuse_for(group, false, disks);
    REQUIRE(excuse);
    CHECK(excuse->kind == Excuse::Kind::no_majority);
    CHECK_FALSE(flaw_of(*excuse, disks));

    const auto flaw = [&](const std::function<void(Excuse&)>& change) {
        Excuse changed = *excuse;
        change(changed);
        return flaw_of(changed, disks).value_or("none");
    };
    CHECK(flaw([](Excuse& e) { e.voters.pop_back(); }) == "enough of the voters are well");
    CHECK(flaw([](Excuse& e) { e.voters[1] = e.voters[0]; }) == "of a wrong node");
    CHECK(flaw([](Excuse& e) { e.voters[1].node = NodeId(9); }) == "of a wrong node");
    CHECK(flaw([](Excuse& e) { e.voters[1].missing.clear(); }) == "nothing is missing");
    CHECK(flaw([](Excuse& e) { e.group = GroupId(99); }) == "there is no such group");
    CHECK(flaw([](Excuse& e) { e.voters[1].node = three; }) != "none"); // It has none of that.
    // When one's replica abstains what it had lost was judged. (Seed 102 with M35: its peers had
    // mended that by then, and the last of those whom it waited for had lost its disk for good.)
    Disks mended = stopped.disks({one});
    mended.nodes[three].abstains.insert(group);
    const auto abstains = excuse_for(group, false, mended);
    REQUIRE(abstains);
    CHECK_FALSE(flaw_of(*abstains, mended));
    mended.nodes[three].abstains = {GroupId(77)};
    CHECK(flaw_of(*abstains, mended) == "its replica votes");
    CHECK_FALSE(excuse_for(group, false, mended));
    // While they run, what they have lost of their journals matters to nobody.
    CHECK(flaw_of(*excuse, stopped.disks({one})) ==
          "a node that runs does not need what it has lost");
}

// Seen first in whole clusters: with the controller's majority gone, a node that was down when a
// topic was made never hears of it.
TEST_CASE("who was never told of a group is excused while nobody can tell him", "[simtest]") {
    Stopped stopped;
    const GroupId group{77};
    const auto disks_without = [&](std::initializer_list<NodeId> gone) {
        Disks disks = stopped.disks(gone);
        disks.groups[group].voters = {three};
        disks.nodes[three].knows = {server::controller_group};
        return disks;
    };
    stopped.harm(one);
    CHECK_FALSE(excuse_for(group, false, disks_without({one}))); // The controller can tell.
    stopped.harm(two);
    Disks disks = disks_without({one, two});
    disks.nodes[three].knows->insert(group);
    CHECK_FALSE(excuse_for(group, false, disks));
    disks.nodes[three].knows = {server::controller_group};
    const auto excuse = excuse_for(group, false, disks);
    REQUIRE(excuse);
    CHECK_FALSE(flaw_of(*excuse, disks));

    Disks others = disks;
    others.nodes[two].gone = false;
    CHECK(flaw_of(*excuse, others).value_or("none").starts_with("the controller could tell"));
    others = disks;
    others.nodes[three].knows = {};
    CHECK_FALSE(excuse_for(group, false, others)); // It does not run, for some other reason.
    CHECK(flaw_of(*excuse, others) == "it has been told");
    // There is something of this one on its disk, whatever it says.
    const GroupId told = std::prev(std::prev(disks.groups.end()))->first;
    REQUIRE(told != server::controller_group);
    disks.groups[told].voters = {three};
    const auto lie = excuse_for(told, false, disks);
    REQUIRE(lie);
    CHECK(flaw_of(*lie, disks) == "it has been told");
}

namespace {

Plan unlimited_plan(std::uint64_t seed = 1) {
    Plan plan = draw_plan(seed);
    plan.nodes = 3;
    plan.engine = false;
    plan.classes.fill(false);
    plan.classes[static_cast<std::size_t>(FaultClass::rot)] = true;
    plan.config.topic.replication_factor = 3;
    plan.faults = {};
    plan.nemesis = {};
    plan.workload = {};
    plan.workload.topics.push_back({"t", 1, -1, false, false});
    plan.unlimited_damage = true;
    plan.length = 4s;
    return plan;
}

} // namespace

TEST_CASE("where damage is unlimited, who lost nothing must make progress", "[simtest]") {
    const Plan plan = unlimited_plan();
    const RunResult well = run_plan(plan);
    CHECK(well.verdict == Verdict::pass);
    CHECK(well.excuses.empty());

    RunOptions hang;
    hang.after_step = [&](sim::World& world) {
        if (world.now() < plan.length) return true;
        for (const int node : {1, 2}) world.disk(NodeId(node)).hang_until(3600s);
        return true;
    };
    const RunResult stuck = run_plan(plan, hang);
    REQUIRE(stuck.finding);
    CHECK(stuck.finding->oracle == "no-progress");
    CHECK(stuck.excuses.empty());
}

TEST_CASE("where damage is unlimited, a majority that is gone excuses the rest", "[simtest]") {
    Plan plan = unlimited_plan();
    plan.nemesis.rot = 100ms;
    bool excused = false;
    for (plan.seed = 1; plan.seed <= 10; ++plan.seed) { // Not each loses a majority.
        const RunResult result = run_plan(plan);
        INFO((result.finding ? result.finding->detail : "pass"));
        CHECK(result.verdict == Verdict::pass);
        excused |= result.excuses.contains("group/no-majority");
    }
    CHECK(excused);
}
