// Devices and file systems that fail: each way in which a sync can, errors of every call, and
// damage to what was durable.
#include "io/sim/test_machine.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <functional>
#include <set>

using namespace pyralog;
using namespace pyralog::sim_test;
using sim::Fault;

namespace {

// A sync that fails does so in this way, and a power cut keeps nothing.
sim::Faults fails_by(std::uint32_t sim::Faults::* way) {
    sim::Faults faults = keeps_none();
    faults.failed_sync_keeps = faults.failed_sync_marks_clean = 0;
    faults.failed_sync_reverts = faults.failed_sync_drops_all = 0;
    faults.*way = 1;
    faults.eviction_time = {1s, 1s, sim::never, 0us};
    return faults;
}

std::string read_all(File& file) {
    std::string text(static_cast<std::size_t>(file.size().value()), '?');
    const auto got = file.read_at(0, std::as_writable_bytes(std::span(text)));
    return got.ok() ? text.substr(0, got.value()) : "(" + std::string(to_string(got.error())) + ")";
}

std::unique_ptr<File> open_file(Environment& env, std::string_view path) {
    auto file = env.disk.open(path, existing);
    REQUIRE(file.ok());
    return std::move(file).value();
}

void wait(Environment& env, Duration time) {
    REQUIRE(env.fibers.sleep_until(env.clock.now() + time).ok());
}

std::string units_of(const std::string& text, std::size_t unit) {
    std::string units;
    for (std::size_t i = 0; i < text.size() / unit; ++i) {
        const std::string bytes = text.substr(i * unit, unit);
        units += bytes == std::string(unit, bytes[0]) ? bytes[0] : '?';
    }
    return units;
}

constexpr auto any_place = [](const sim::Medium::Range&) { return true; };

} // namespace

// ---- The ways in which a sync fails ----

TEST_CASE("a failed sync that keeps its changes can be tried again", "[sim]") {
    Machine machine(1, fails_by(&sim::Faults::failed_sync_keeps));
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "old");
        write(*file, 0, "new");
        machine.disk().fail_next_sync();
        CHECK(file->sync().error() == Error::device_failed);
        CHECK(machine.durable("f") == "old");
        CHECK(file->sync().ok());
        CHECK(machine.durable("f") == "new");
    });
    CHECK(machine.counts().effective(Fault::sync_keeps) == 1);
}

TEST_CASE("a failed sync that marks its changes clean shows them until the cache lets go",
          "[sim]") {
    Machine machine(1, fails_by(&sim::Faults::failed_sync_marks_clean));
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "old");
        write(*file, 0, "new");
        machine.disk().fail_next_sync();
        CHECK(file->sync().error() == Error::device_failed);
        CHECK(read_all(*file) == "new");
        CHECK(file->sync().ok()); // It is told once, and a second try proves nothing.
        CHECK(machine.durable("f") == "old");
        wait(env, 2s);
        CHECK(read_all(*file) == "old");
    });
    CHECK(machine.counts().effective(Fault::sync_marks_clean) == 1);
    CHECK(machine.counts().effective(Fault::evicted) == 1);
}

TEST_CASE("the next process may still see what a failed sync did not write", "[sim]") {
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        sim::Faults faults = fails_by(&sim::Faults::failed_sync_marks_clean);
        faults.eviction_time = {1ms, 2s, sim::never, 0us};
        Machine machine(seed, faults);
        machine.world.boot(disk_node, [&](Environment& env) {
            const auto file = durable_file(env, "f", "old");
            write(*file, 0, "new");
            machine.disk().fail_next_sync();
            (void)file->sync();
            (void)env.fibers.park();
        });
        machine.world.run_for(1s);
        machine.world.kill(disk_node);
        machine.runs([&](Environment& env) { seen.insert(read_all(*open_file(env, "f"))); });
    }
    CHECK(seen == std::set<std::string>{"old", "new"});
}

TEST_CASE("past the cache, what was marked clean and not written is not there", "[sim]") {
    Machine machine(1, fails_by(&sim::Faults::failed_sync_marks_clean));
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", std::string(4096, 'o'));
        write(*file, 0, "new");
        machine.disk().fail_next_sync();
        CHECK(file->sync().error() == Error::device_failed);
        const auto past = env.disk.open("f", existing, Disk::Access::aligned);
        Buffer block(4096);
        CHECK(past.value()->read_at(0, block.view()).value() == 4096);
        CHECK(block.view()[0] == std::byte{'o'});
        write(*file, 2, "X"); // This waits, and the device gets it first.
        CHECK(past.value()->read_at(0, block.view()).value() == 4096);
        CHECK(block.view()[0] == std::byte{'o'});
        CHECK(block.view()[2] == std::byte{'X'});
    });
}

TEST_CASE("each open handle is told once that a sync of its file has failed", "[sim]") {
    Machine machine(1, fails_by(&sim::Faults::failed_sync_marks_clean));
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "old");
        const auto other = open_file(env, "f");
        write(*file, 0, "new");
        machine.disk().fail_next_sync();
        CHECK(file->sync().error() == Error::device_failed);
        const auto later = open_file(env, "f");
        CHECK(other->sync().error() == Error::device_failed);
        CHECK(other->sync().ok());
        CHECK(file->sync().ok());
        CHECK(later->sync().ok());
    });
    CHECK(machine.counts().effective(Fault::error_told_again) == 1);
}

TEST_CASE("a failed sync that reverts shows at once what was before", "[sim]") {
    sim::Faults faults = fails_by(&sim::Faults::failed_sync_reverts);
    faults.sync_time = {50ms, 50ms, sim::never, 0us};
    Machine machine(1, faults);
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "old...");
        const auto other = durable_file(env, "g", "old");
        write(*file, 0, "new");
        write(*other, 0, "new");
        Scope scope(env.fibers);
        scope.spawn("later", [&] {
            wait(env, 20ms);
            write(*file, 4, "L"); // The sync that fails is no business of this one.
        });
        machine.disk().fail_next_sync();
        CHECK(file->sync().error() == Error::device_failed);
        scope.join();
        CHECK(read_all(*file) == "old.L.");
        CHECK(read_all(*other) == "new");
        CHECK(file->sync().ok());
        CHECK(other->sync().ok());
        CHECK(machine.durable("f") == "old.L.");
        CHECK(machine.durable("g") == "new");
    });
    CHECK(machine.counts().effective(Fault::sync_reverts) == 1);
}

TEST_CASE("a device that drops its cache loses what waits in any file, and then syncs well",
          "[sim]") {
    Machine machine(1, fails_by(&sim::Faults::failed_sync_drops_all));
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "old");
        const auto other = durable_file(env, "g", "old");
        write(*file, 0, "new");
        write(*other, 0, "new");
        machine.disk().fail_next_sync();
        CHECK(file->sync().error() == Error::device_failed);
        CHECK(read_all(*file) == "old");
        CHECK(read_all(*other) == "old");
        CHECK(other->sync().ok());
        CHECK(machine.durable("g") == "old");
    });
    CHECK(machine.counts().effective(Fault::sync_drops_all) == 1);
}

TEST_CASE("a sync that lies is found out by the next one of the file", "[sim]") {
    Machine machine(1, keeps_none());
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "old...");
        write(*file, 0, "new");
        write(*file, 5, "!", Durability::now);
        machine.disk().lie_at_next_sync();
        CHECK(file->sync().ok());
        CHECK(machine.durable("f") == "old..!"); // Only what waits for a sync is harmed.
        CHECK(file->sync().error() == Error::device_failed);
        CHECK(file->sync().ok());
    });
    machine.cut();
    CHECK(machine.content("f") == "old..!");
    CHECK(machine.counts().effective(Fault::late_sync_error) == 1);
    CHECK(machine.counts().effective(Fault::error_told_again) == 1);

    sim::Faults faults;
    faults.late_sync_error = sim::always;
    Machine by_itself(1, faults);
    by_itself.runs([](Environment& env) {
        const auto file = file_in(env, "f");
        write(*file, 0, "x");
        CHECK(file->sync().ok());
    });
    CHECK(by_itself.counts().effective(Fault::late_sync_error) == 1);
}

TEST_CASE("an error that nobody was told of meets whoever opens the file next", "[sim]") {
    Machine machine;
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "old");
        write(*file, 0, "new");
        machine.disk().lie_at_next_sync();
        CHECK(file->sync().ok());
    });
    machine.world.kill(disk_node);
    machine.runs([](Environment& env) {
        CHECK(open_file(env, "f")->sync().error() == Error::device_failed);
    });
}

// ---- Errors of every call ----

namespace {

// Every call that there is, on a disk with the file "f" and the empty directory "d".
struct AnyCall {
    std::string_view name;
    sim::Chance sim::Faults::* chance;
    Fault fault;
    bool needs_space;
    std::function<Result<>(Disk&, File&)> make;
};

std::vector<AnyCall> all_calls() {
    const BytesChain x{Bytes::copy_of("x")};
    using sim::Faults;
    return {
        {"read", &Faults::read_error, Fault::read_error, false,
         [](Disk&, File& f) -> Result<> {
             std::array<std::byte, 1> into{};
             TRY(f.read_at(0, into));
             return {};
         }},
        {"write", &Faults::write_error, Fault::write_error, true,
         [x](Disk&, File& f) { return f.write_at(9, x); }},
        {"write, durable", &Faults::write_error, Fault::write_error, true,
         [x](Disk&, File& f) { return f.write_at(9, x, Durability::now); }},
        {"sync", &Faults::sync_error, Fault::sync_error, false,
         [](Disk&, File& f) { return f.sync(); }},
        {"size", &Faults::size_error, Fault::size_error, false,
         [](Disk&, File& f) -> Result<> {
             TRY(f.size());
             return {};
         }},
        {"resize", &Faults::size_error, Fault::size_error, true,
         [](Disk&, File& f) { return f.resize(20); }},
        {"open", &Faults::name_error, Fault::name_error, false,
         [](Disk& d, File&) -> Result<> {
             TRY(d.open("f", existing));
             return {};
         }},
        {"create", &Faults::name_error, Fault::name_error, true,
         [](Disk& d, File&) -> Result<> {
             TRY(d.open("new", create_new));
             return {};
         }},
        {"list", &Faults::name_error, Fault::name_error, false,
         [](Disk& d, File&) -> Result<> {
             TRY(d.list(""));
             return {};
         }},
        {"space", &Faults::name_error, Fault::name_error, false,
         [](Disk& d, File&) -> Result<> {
             TRY(d.space());
             return {};
         }},
        {"create_directory", &Faults::name_error, Fault::name_error, true,
         [](Disk& d, File&) { return d.create_directory("e"); }},
        {"rename", &Faults::name_error, Fault::name_error, true,
         [](Disk& d, File&) { return d.rename("f", "h"); }},
        {"remove", &Faults::name_error, Fault::name_error, false,
         [](Disk& d, File&) { return d.remove("d"); }},
        {"sync_directory", &Faults::sync_error, Fault::sync_error, false,
         [](Disk& d, File&) { return d.sync_directory(""); }},
    };
}

// What the call returned, under these faults.
Result<> make_call(Machine& machine, const AnyCall& call, const sim::Faults& faults) {
    Result<> result;
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "old");
        REQUIRE(env.disk.create_directory("d").ok());
        write(*file, 0, "new");
        machine.world.set_faults(faults);
        result = call.make(env.disk, *file);
        machine.world.set_faults({});
    });
    return result;
}

} // namespace

TEST_CASE("a device error can strike any call", "[sim]") {
    for (const AnyCall& call : all_calls()) {
        INFO(call.name);
        sim::Faults faults;
        faults.*call.chance = sim::always;
        Machine machine;
        CHECK(make_call(machine, call, faults).error() == Error::device_failed);
        CHECK(machine.counts().fired(call.fault) == 1);
        CHECK(machine.counts().effective(call.fault) == 1);
        Machine polite;
        CHECK(make_call(polite, call, {}).ok());
    }
}

TEST_CASE("any call that needs space may find none, whatever the file system does with it",
          "[sim]") {
    for (const AnyCall& call : all_calls()) {
        INFO(call.name);
        sim::Faults faults;
        faults.no_space = sim::always;
        Machine machine;
        const Result<> result = make_call(machine, call, faults);
        CHECK(result.ok() == !call.needs_space);
        if (!result.ok()) CHECK(result.error() == Error::out_of_space);
        CHECK(machine.counts().fired(Fault::out_of_space) == (call.needs_space ? 1u : 0u));
    }
}

TEST_CASE("what failed to change a name or a size may have changed it all the same", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        sim::Faults faults;
        faults.name_error = faults.size_error = sim::always;
        for (const AnyCall& call : all_calls()) {
            if (call.fault != Fault::name_error && call.name != "resize") continue;
            Machine machine(seed);
            (void)make_call(machine, call, faults);
            const auto names = machine.disk().list("").value();
            const bool as_before =
                names == std::vector<std::string>{"d", "f"} && machine.content("f").size() == 3;
            found.insert(std::string(call.name) + (as_before ? " before" : " after"));
        }
    }
    CHECK(found == std::set<std::string>{"open before", "create before", "create after",
                                         "list before", "space before", "create_directory before",
                                         "create_directory after", "rename before", "rename after",
                                         "remove before", "remove after", "resize before",
                                         "resize after"});
}

TEST_CASE("a full disk may have taken the beginning of a write, and takes no new names", "[sim]") {
    std::set<std::size_t> sizes;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Machine machine(seed);
        machine.disk().set_quota(10);
        machine.runs([](Environment& env) {
            const auto file = file_in(env, "f");
            CHECK(file->write_at(0, {Bytes::copy_of(std::string(11, 'x'))}).error() ==
                  Error::out_of_space);
            REQUIRE(file->resize(0).ok());
            write(*file, 0, std::string(8, 'y'));
            const auto end = file->write_at(8, {Bytes::copy_of("zzzz")});
            CHECK(end.error() == Error::out_of_space);
            REQUIRE(file->resize(10).ok());
            CHECK(env.disk.open("g", create_new).error() == Error::out_of_space);
            CHECK(env.disk.create_directory("d").error() == Error::out_of_space);
            REQUIRE(env.disk.rename("f", "h").ok());
        });
        const std::string text = machine.content("h");
        REQUIRE(text.size() == 10);
        sizes.insert(static_cast<std::size_t>(std::ranges::count(text, 'z')));
    }
    CHECK(sizes == std::set<std::size_t>{0, 1, 2});
}

// ---- Kills and power cuts ----

TEST_CASE("a durable write whose process is killed is durable, or in the cache alone", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        sim::Faults faults = keeps_none();
        faults.write_time = {1s, 1s, sim::never, 0us};
        Machine machine(seed, faults);
        machine.world.boot(disk_node, [](Environment& env) {
            const auto file = file_in(env, "f");
            REQUIRE(env.disk.sync_directory("").ok());
            (void)file->write_at(0, {Bytes::copy_of("new")}, Durability::now);
        });
        machine.world.run_for(500ms);
        machine.world.kill(disk_node);
        const std::string seen = machine.content("f");
        CHECK(seen == std::string("new").substr(0, seen.size()));
        if (seen == "new") found.insert("seen, has '" + machine.durable("f") + "'");
        if (machine.counts().effective(Fault::killed_in_cache) > 0) {
            CHECK(machine.durable("f").empty());
            machine.cut();
            CHECK(machine.content("f").empty());
        }
    }
    CHECK(found == std::set<std::string>{"seen, has 'new'", "seen, has ''"});
}

TEST_CASE("what the next process read before a sync, a power cut takes back", "[sim]") {
    Machine machine(1, keeps_none());
    machine.runs([](Environment& env) { write(*durable_file(env, "f", "old"), 0, "new"); });
    machine.world.kill(disk_node);
    machine.runs([](Environment& env) { CHECK(read_all(*open_file(env, "f")) == "new"); });
    machine.cut();
    machine.runs([](Environment& env) { CHECK(read_all(*open_file(env, "f")) == "old"); });
}

TEST_CASE("a truncation and what is written after it do not wait for each other", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
        Machine machine(seed, by_unit(1, 1, 0, 0));
        machine.runs([](Environment& env) {
            const auto file = durable_file(env, "f", "old old");
            REQUIRE(file->resize(0).ok());
            write(*file, 0, "new");
        });
        machine.cut();
        const std::string text = machine.content("f");
        if (text.size() == 3 && text != "new")
            found.insert(text == std::string(3, '\0') ? "zeros" : "garbage");
        else
            found.insert(text);
    }
    CHECK(found == std::set<std::string>{"old old", "new old", "", "new", "zeros", "garbage"});
}

TEST_CASE("a shrunk file that was not synced has its old size and bytes, or not", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine(seed);
        machine.runs([](Environment& env) {
            REQUIRE(durable_file(env, "f", "0123456789")->resize(4).ok());
        });
        CHECK(machine.durable("f") == "0123456789");
        machine.cut();
        found.insert(machine.content("f"));
    }
    CHECK(found == std::set<std::string>{"0123456789", "0123"});
}

TEST_CASE("what was never written reads as zeros", "[sim]") {
    Machine machine;
    const std::string hole(9'997, '\0');
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "abc");
        write(*file, 10'000, "end", Durability::now);
        CHECK(read_all(*file) == "abc" + hole + "end");
        REQUIRE(file->resize(20'000).ok());
        CHECK(read_all(*file) == "abc" + hole + "end" + std::string(9'997, '\0'));
    });
    machine.cut();
    CHECK(machine.content("f").substr(0, 10'003) == "abc" + hole + "end");
}

TEST_CASE("a name that is being changed when the power goes may have changed", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed);
        machine.world.boot(disk_node, [&](Environment& env) {
            durable_file(env, "f", "x");
            durable_file(env, "gone", "x");
            sim::Faults slow;
            slow.name_time = {1h, 1h, sim::never, 0us};
            machine.world.set_faults(slow);
            Scope scope(env.fibers);
            scope.spawn("make", [&] { (void)env.disk.open("new", create_new); });
            scope.spawn("rename", [&] { (void)env.disk.rename("f", "g"); });
            scope.spawn("remove", [&] { (void)env.disk.remove("gone"); });
            scope.join();
        });
        machine.world.run_for(1s);
        machine.cut();
        std::string names;
        const auto listed = machine.disk().list("").value();
        for (const std::string& name : listed) names += name + ' ';
        found.insert(names);
    }
    CHECK(found == std::set<std::string>{"f ", "f gone ", "f gone new ", "f new ", "g ", "g gone ",
                                         "g gone new ", "g new "});
}

TEST_CASE("a planned cut deals with each unit as it was told", "[sim]") {
    Machine machine;
    const std::size_t unit = machine.disk().unit_size();
    machine.runs([unit](Environment& env) {
        const auto file = durable_file(env, "f", std::string(5 * unit, '.'));
        write(*file, 0, std::string(5 * unit, 'x'));
    });
    CHECK(machine.disk().unsynced_units() == 5);
    using enum sim::Medium::Fate;
    machine.disk().plan_cut({survives, lost, garbage, torn, survives});
    machine.cut();
    const std::string units = units_of(machine.content("f"), unit);
    CHECK(units.substr(0, 3) == "x.?");
    CHECK(units.back() == 'x');
    CHECK(machine.counts().fired(Fault::torn_unit) == 1);
    CHECK(machine.disk().unsynced_units() == 0);
}

// ---- Lost and misdirected writes ----

namespace {

// Ten durable writes of a unit each, after which none has been forgotten.
void write_ten(Machine& machine, std::size_t unit) {
    machine.disk().remember_writes();
    machine.runs([unit](Environment& env) {
        const auto file = durable_file(env, "f", std::string(10 * unit, '.'));
        for (std::size_t i = 0; i < 10; ++i)
            write(*file, i * unit, std::string(unit, static_cast<char>('0' + i)), Durability::now);
    });
}

} // namespace

TEST_CASE("a lost write leaves the old bytes, and is never the last of its file", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed);
        const std::size_t unit = machine.disk().unit_size();
        write_ten(machine, unit);
        const auto lost = machine.disk().lose_somewhere(any_place);
        REQUIRE(lost);
        CHECK(lost->path == "f");
        CHECK(lost->size == unit);
        const std::string text = machine.durable("f");
        CHECK(text == machine.content("f"));
        std::string expected = "0123456789";
        expected[lost->position / unit] = '.';
        CHECK(units_of(text, unit) == expected);
        found.insert(expected);
        CHECK(machine.counts().fired(Fault::lost_write) == 1);
        machine.world.kill(disk_node);
        machine.runs([](Environment& env) { (void)read_all(*open_file(env, "f")); });
        CHECK(machine.counts().effective(Fault::lost_write) > 0);
    }
    CHECK(found.size() == 9);
    CHECK(!found.contains("012345678."));
}

TEST_CASE("a misdirected write is lost where it belongs, and overwrites another place", "[sim]") {
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed);
        const std::size_t unit = machine.disk().unit_size();
        write_ten(machine, unit);
        const auto hit = machine.disk().misdirect_somewhere(any_place);
        REQUIRE(hit);
        const auto& [lost, to] = *hit;
        std::string expected = "0123456789";
        expected[to.position / unit] = expected[lost.position / unit];
        expected[lost.position / unit] = '.';
        CHECK(units_of(machine.durable("f"), unit) == expected);
        CHECK(machine.content("f") == machine.durable("f"));
        machine.world.kill(disk_node);
        machine.runs([](Environment& env) { (void)read_all(*open_file(env, "f")); });
        CHECK(machine.counts().effective(Fault::lost_write) > 0);
        CHECK(machine.counts().effective(Fault::misdirected_write) > 0);
    }
}

TEST_CASE("only writes that are remembered, still there and allowed to be lost are lost", "[sim]") {
    Machine machine;
    const std::size_t unit = machine.disk().unit_size();
    machine.runs([](Environment& env) {
        const auto file = durable_file(env, "f", "old");
        write(*file, 0, "new", Durability::now);
        write(*file, 3, "more", Durability::now);
    });
    CHECK(!machine.disk().lose_somewhere(any_place)); // Nobody had asked to remember any.
    machine.world.kill(disk_node);
    machine.disk().remember_writes();
    machine.runs([](Environment& env) {
        const auto file = open_file(env, "f");
        write(*file, 0, "NEW", Durability::now);
        write(*file, 0, "over", Durability::now);
        write(*file, 4, "x", Durability::now);
        REQUIRE(env.disk.remove("f").ok());
        REQUIRE(env.disk.sync_directory("").ok());
    });
    CHECK(!machine.disk().lose_somewhere(any_place)); // The file has gone.
    Machine other;
    write_ten(other, unit);
    CHECK(!other.disk().lose_somewhere([](const auto&) { return false; }));
    const auto third = [unit](const sim::Medium::Range& range) {
        return range.position == 3 * unit;
    };
    CHECK(other.disk().lose_somewhere(third)->position == 3 * unit);
    CHECK(!other.disk().lose_somewhere(third)); // It is not there any more.
    CHECK(!other.disk().misdirect_somewhere(third));
    CHECK(other.counts().fired(Fault::lost_write) == 1);
    CHECK(other.counts().fired(Fault::misdirected_write) == 0);
}

TEST_CASE("a misdirected read returns another sector once, and harms nothing", "[sim]") {
    Machine machine;
    std::string sectors;
    for (const char c : {'a', 'b', 'c', 'd'}) sectors += std::string(512, c);
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", sectors);
        machine.disk().misdirect_read("f", 512);
        std::string head(100, '?'); // Does not cover that byte.
        REQUIRE(file->read_at(0, std::as_writable_bytes(std::span(head))).ok());
        CHECK(head == std::string(100, 'a'));
        const std::string read = read_all(*file);
        CHECK(read != sectors);
        CHECK(read.substr(0, 512) == sectors.substr(0, 512));
        CHECK(read[512] != 'b');
        CHECK(read.substr(512, 512) == std::string(512, read[512]));
        CHECK(read.substr(1024) == sectors.substr(1024));
        CHECK(read_all(*file) == sectors);
    });
    CHECK(machine.durable("f") == sectors);
    CHECK(machine.counts().effective(Fault::misdirected_read) == 1);
    CHECK(machine.disk().harms().empty());

    sim::Faults faults;
    faults.misdirected_read = sim::always;
    Machine by_itself(1, faults);
    by_itself.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", sectors);
        for (int i = 0; i < 20; ++i) (void)read_all(*file);
    });
    CHECK(by_itself.counts().effective(Fault::misdirected_read) == 20);
}

// ---- What is written down of it ----

TEST_CASE("all damage is listed, with what would be there without", "[sim]") {
    Machine machine(1, keeps_none());
    const auto unharmed = [&](std::string_view path) {
        const auto file = machine.disk().durable_file(path).value();
        std::string text(machine.disk().unharmed_size(file), '?');
        machine.disk().read_unharmed(file, 0, std::as_writable_bytes(std::span(text)));
        return text;
    };
    machine.runs([&](Environment& env) {
        sim::Medium& disk = machine.disk();
        const auto file = durable_file(env, "f", "abcdef");
        CHECK_FALSE(disk.is_harmed(disk.durable_file("f").value()));
        CHECK(disk.rot("f", 1, std::byte{1}));
        CHECK(machine.durable("f") == "accdef");
        CHECK(unharmed("f") == "abcdef");
        write(*file, 4, "E", Durability::now); // Is there in both.
        CHECK(machine.durable("f") == "accdEf");
        CHECK(unharmed("f") == "abcdEf");
        write(*file, 6, "ghi");
        disk.lie_at_next_sync();
        CHECK(file->sync().ok());
        CHECK(machine.durable("f") == "accdEf");
        CHECK(unharmed("f") == "abcdEfghi");
        CHECK(disk.make_unreadable("f", 0));
        CHECK(disk.is_unreadable(disk.durable_file("f").value(), 5));
        write(*file, 0, "A"); // Waits for a sync that never comes.
    });
    machine.cut();
    CHECK(unharmed("f") == "abcdEfghi");
    machine.disk().lose_all();
    std::vector<Fault> faults;
    for (const sim::Medium::Harm& harm : machine.disk().harms()) faults.push_back(harm.fault);
    CHECK(faults == std::vector{Fault::rot, Fault::late_sync_error, Fault::unreadable_sector,
                                Fault::lost_disk});
    CHECK(machine.disk().harms()[0].should_be.text() == "b");
    CHECK(machine.disk().harms()[1].should_be.text() == "ghi");
}

TEST_CASE("what is written over a damage is none, though it is the same", "[sim]") {
    Machine machine;
    const auto unharmed = [&] {
        const auto file = machine.disk().durable_file("f").value();
        std::string text(machine.disk().unharmed_size(file), '?');
        machine.disk().read_unharmed(file, 0, std::as_writable_bytes(std::span(text)));
        return text;
    };
    const auto is_over = [&] {
        return machine.disk().harms().at(0).written_over == std::vector{true};
    };
    const bool by_cut = GENERATE(false, true);
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "abcdef");
        CHECK(machine.disk().rot("f", 1, std::byte{1}));
        CHECK(machine.durable("f") == "accdef");
        write(*file, 2, "x", Durability::now);
        CHECK_FALSE(is_over());
        CHECK(unharmed() == "abxdef");
        write(*file, 0, "xcy", by_cut ? Durability::later : Durability::now);
    });
    if (by_cut) {
        CHECK_FALSE(is_over());
        machine.disk().plan_cut({sim::Medium::Fate::survives});
        machine.cut();
    }
    CHECK(machine.durable("f") == "xcydef");
    CHECK(unharmed() == "xcydef");
    CHECK(is_over());
}

TEST_CASE("what is behind the end that a power cut leaves was not written", "[sim]") {
    int cut_short = 0;
    for (std::uint64_t seed = 1; seed <= 40; ++seed) {
        Machine machine(seed);
        machine.runs([&](Environment& env) {
            const auto file = durable_file(env, "f", "abc");
            write(*file, 0, std::string(2000, '0'));
            machine.disk().lie_at_next_sync();
            CHECK(file->sync().ok());
            write(*file, 600, "more");
        });
        machine.cut();
        const auto file = machine.disk().durable_file("f").value();
        std::string unharmed(machine.disk().unharmed_size(file), '?');
        machine.disk().read_unharmed(file, 0, std::as_writable_bytes(std::span(unharmed)));
        if (machine.durable("f").size() > 600) continue;
        ++cut_short;
        CHECK(unharmed == std::string(2000, '0'));
        CHECK(machine.disk().harms().back().written_over.empty());
    }
    CHECK(cut_short > 5);
}
