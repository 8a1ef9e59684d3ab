#include "io/sim/test_machine.h"

#include <catch2/catch.hpp>

#include <set>

using namespace pyralog;
using namespace pyralog::sim_test;
using sim::Fault;

TEST_CASE("a killed process leaves what it wrote in the page cache", "[sim]") {
    Machine machine(1, keeps_none());
    machine.runs([](Environment& env) {
        const auto file = durable_file(env, "f", "old");
        write(*file, 0, "new");
    });
    machine.world.kill(disk_node);
    CHECK(machine.content("f") == "new");
    CHECK(machine.durable("f") == "old");
    machine.cut(); // The page cache was still all that had it.
    CHECK(machine.content("f") == "old");
}

TEST_CASE("a power cut takes what was not synced, and only that", "[sim]") {
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        Machine machine(seed);
        machine.runs([](Environment& env) {
            const auto file = durable_file(env, "f", std::string(10'000, 'a'));
            write(*file, 5'000, "synced");
            REQUIRE(file->sync().ok());
            write(*file, 8'000, std::string(1'000, 'b'));
        });
        machine.cut();
        const std::string found = machine.content("f");
        REQUIRE(found == machine.durable("f"));
        REQUIRE(found.size() == 10'000);
        REQUIRE(found.substr(0, 8'000) ==
                std::string(5'000, 'a') + "synced" + std::string(2'994, 'a'));
        REQUIRE(found.substr(9'000) == std::string(1'000, 'a'));
    }
}

TEST_CASE("a power cut keeps all, none, or each unit by itself", "[sim]") {
    const auto survivors = [](const sim::Faults& faults) {
        std::set<std::string> found;
        for (std::uint64_t seed = 0; seed < 200; ++seed) {
            Machine machine(seed, faults);
            const std::size_t unit = machine.disk().unit_size();
            machine.runs([unit](Environment& env) {
                const auto file = durable_file(env, "f", std::string(3 * unit, '.'));
                write(*file, 0, std::string(2 * unit, 'x'));
                write(*file, 2 * unit, std::string(unit, 'y'));
            });
            machine.cut();
            std::string units;
            for (std::size_t i = 0; i < 3; ++i) {
                const std::string bytes = machine.content("f").substr(i * unit, unit);
                const bool whole = bytes == std::string(unit, bytes[0]);
                units += whole ? bytes[0] : '?';
            }
            found.insert(units);
        }
        return found;
    };
    using Set = std::set<std::string>;
    CHECK(survivors(keeps_all()) == Set{"xxy"});
    CHECK(survivors(keeps_none()) == Set{"..."});
    CHECK(survivors(by_unit(1, 1, 0, 0)) ==
          Set{"...", "..y", ".x.", ".xy", "x..", "x.y", "xx.", "xxy"});
    CHECK(survivors(by_unit(0, 0, 1, 0)).contains("???"));
    CHECK(survivors(by_unit(0, 0, 0, 1)) == Set{"???"});
}

TEST_CASE("a torn unit is new up to a byte and old behind it, or the other way round", "[sim]") {
    bool head = false, tail = false;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed, by_unit(0, 0, 1, 0));
        machine.runs([](Environment& env) {
            const auto file = durable_file(env, "f", std::string(512, '.'));
            write(*file, 0, std::string(512, 'x'));
        });
        machine.cut();
        const std::string found = machine.content("f");
        const auto x = static_cast<std::size_t>(std::ranges::count(found, 'x'));
        REQUIRE((found == std::string(x, 'x') + std::string(512 - x, '.') ||
                 found == std::string(512 - x, '.') + std::string(x, 'x')));
        head = head || (x > 0 && found.front() == 'x');
        tail = tail || (x > 0 && found.back() == 'x');
        CHECK(machine.counts().effective(Fault::torn_unit) == 1);
        CHECK(machine.counts().effective(Fault::power_cut) == 1);
    }
    CHECK(head);
    CHECK(tail);
}

TEST_CASE("garbage and loss are counted where they hurt", "[sim]") {
    Machine machine(1, by_unit(0, 0, 0, 1));
    machine.runs([](Environment& env) {
        write(*durable_file(env, "f", std::string(512, '.')), 0, std::string(512, 'x'));
    });
    machine.cut();
    CHECK(machine.counts().effective(Fault::garbage_unit) == 1);

    Machine lost(1, by_unit(0, 1, 0, 0));
    lost.runs([](Environment& env) {
        const auto file = durable_file(env, "f", std::string(512, '.'));
        write(*file, 0, std::string(512, '.')); // The same bytes: nobody can tell that it was lost.
    });
    lost.cut();
    CHECK(lost.counts().fired(Fault::lost_unit) == 1);
    CHECK(lost.counts().effective(Fault::lost_unit) == 0);
    CHECK(lost.counts().effective(Fault::power_cut) == 0);
}

TEST_CASE("the size of a file and its data do not wait for each other", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        Machine machine(seed, by_unit(1, 1, 0, 0));
        machine.runs([](Environment& env) { write(*durable_file(env, "f", "old "), 4, "new"); });
        machine.cut();
        const std::string content = machine.content("f");
        REQUIRE((content.size() == 4 || content.size() == 7));
        const std::string tail = content.substr(4);
        if (tail.empty())
            found.insert("no size");
        else if (tail == "new")
            found.insert("both");
        else
            found.insert(tail == std::string(3, '\0') ? "zeros" : "garbage");
    }
    CHECK(found == std::set<std::string>{"no size", "both", "zeros", "garbage"});
}

TEST_CASE("a sync covers the writes that had returned before it was called, and no other",
          "[sim]") {
    sim::Faults faults = keeps_none();
    faults.write_time = {10ms, 10ms, sim::never, 0us};
    faults.sync_time = {50ms, 50ms, sim::never, 0us};
    Machine machine(1, faults);
    machine.runs([](Environment& env) {
        const auto file = durable_file(env, "f", "....");
        write(*file, 0, "a"); // Has returned.
        Scope scope(env.fibers);
        scope.spawn("in flight", [&] { write(*file, 1, "b"); });
        scope.spawn("sync", [&] { REQUIRE(file->sync().ok()); });
        scope.spawn("during", [&] {
            REQUIRE(env.fibers.sleep_until(env.clock.now() + 20ms).ok());
            write(*file, 2, "c");
        });
        scope.join();
    });
    CHECK(machine.content("f") == "abc.");
    CHECK(machine.durable("f") == "a...");
    machine.cut();
    CHECK(machine.content("f") == "a...");
}

TEST_CASE("a sync that has not returned has promised nothing", "[sim]") {
    sim::Faults faults = keeps_none();
    faults.sync_time = {1h, 1h, sim::never, 0us};
    Machine machine(1, faults);
    machine.world.boot(disk_node, [](Environment& env) {
        const auto file = file_in(env, "f");
        write(*file, 0, "x");
        (void)file->sync();
    });
    machine.world.run_for(1s);
    CHECK(machine.content("f") == "x");
    machine.cut();
    CHECK(machine.content("f") == "(none)");
}

TEST_CASE("a write in flight can be on the medium in part when the power goes", "[sim]") {
    sim::Faults faults = by_unit(1, 1, 0, 0);
    faults.write_time = {1s, 1s, sim::never, 0us};
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed, faults);
        const std::size_t unit = machine.disk().unit_size();
        machine.world.boot(disk_node, [unit](Environment& env) {
            const auto file = durable_file(env, "f", std::string(2 * unit, '.'));
            (void)file->write_at(0, {Bytes::copy_of(std::string(2 * unit, 'x'))});
        });
        machine.world.run_for(1500ms);
        REQUIRE(machine.content("f") == std::string(2 * unit, '.'));
        machine.cut();
        const std::string content = machine.content("f");
        found.insert({content[0], content[unit]});
    }
    CHECK(found == std::set<std::string>{"..", ".x", "x.", "xx"});
}

TEST_CASE("Durability::now makes its own bytes durable and nothing else", "[sim]") {
    Machine machine(1, keeps_none());
    machine.runs([](Environment& env) {
        const auto file = durable_file(env, "f", "..........");
        write(*file, 0, "lost");
        write(*file, 6, "kept", Durability::now);
        write(*file, 20, "far", Durability::now);
    });
    machine.cut();
    CHECK(machine.content("f") == "......kept" + std::string(10, '\0') + "far");
}

TEST_CASE("an older write that waits for its sync does not come back over a newer one", "[sim]") {
    Machine machine(1, keeps_none());
    machine.runs([](Environment& env) {
        const auto file = durable_file(env, "f", "..........");
        write(*file, 0, "oldoldold");
        write(*file, 3, "NEW", Durability::now);
    });
    CHECK(machine.durable("f") == "...NEW....");
    CHECK(machine.content("f") == "oldNEWold.");
    machine.world.kill(disk_node);
    machine.runs([](Environment& env) {
        REQUIRE(std::move(env.disk.open("f", existing)).value()->sync().ok());
    });
    CHECK(machine.durable("f") == "oldNEWold.");
}

TEST_CASE("after a sync the medium holds what readers see, whatever was done", "[sim]") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        Machine machine(seed);
        Random random(seed);
        machine.runs([&random](Environment& env) {
            const auto file = file_in(env, "f");
            REQUIRE(env.disk.sync_directory("").ok());
            for (int i = 0; i < 30; ++i) {
                const std::uint64_t position = random.below(9'000);
                const auto size = static_cast<std::size_t>(random.below(3'000));
                const std::string text(size, static_cast<char>('a' + i % 26));
                switch (random.below(5)) {
                case 0: REQUIRE(file->resize(position).ok()); break;
                case 1: write(*file, position, text, Durability::now); break;
                case 2: REQUIRE(file->sync().ok()); break;
                default: write(*file, position, text); break;
                }
            }
            REQUIRE(file->sync().ok());
        });
        REQUIRE(machine.content("f") == machine.durable("f"));
    }
}

// Without tears and garbage, each byte after a cut is one that it had at the last sync or since.
TEST_CASE("no byte appears after a power cut that was not written there", "[sim]") {
    for (std::uint64_t seed = 0; seed < 300; ++seed) {
        Machine machine(seed, by_unit(3, 2, 0, 0));
        Random random(seed);
        constexpr std::size_t size = 6'000;
        std::vector<std::set<char>> allowed(size, {'.'});
        machine.runs([&](Environment& env) {
            const auto file = durable_file(env, "f", std::string(size, '.'));
            std::string now(size, '.');
            for (int i = 0; i < 20; ++i) {
                const auto first = static_cast<std::size_t>(random.below(size));
                const auto count = static_cast<std::size_t>(random.below(size - first) + 1);
                const char letter = static_cast<char>('a' + i);
                const std::uint64_t what = random.below(6);
                const bool at_once = what == 0;
                write(*file, first, std::string(count, letter),
                      at_once ? Durability::now : Durability::later);
                now.replace(first, count, count, letter);
                for (std::size_t k = first; k < first + count; ++k) {
                    if (at_once) allowed[k].clear();
                    allowed[k].insert(letter);
                }
                if (what != 1) continue;
                REQUIRE(file->sync().ok());
                for (std::size_t k = 0; k < size; ++k) allowed[k] = {now[k]};
            }
        });
        machine.cut();
        const std::string found = machine.content("f");
        REQUIRE(found.size() == size);
        for (std::size_t k = 0; k < size; ++k) REQUIRE(allowed[k].contains(found[k]));
    }
}

TEST_CASE("the oldest of very many un-synced changes reach the medium by themselves", "[sim]") {
    Machine machine(1, keeps_none());
    constexpr std::size_t writes = 2 * sim::Medium::unsynced_max;
    machine.runs([](Environment& env) {
        const auto file = durable_file(env, "f", "");
        for (std::size_t i = 0; i < writes; ++i) write(*file, i, "x");
    });
    machine.cut();
    CHECK(machine.content("f").size() >= writes - sim::Medium::unsynced_max);
    CHECK(machine.content("f").size() < writes);
}

// ---- Names ----

TEST_CASE("a file whose name was not synced may be gone, though its data were", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine(seed);
        machine.runs([](Environment& env) {
            const auto file = file_in(env, "f");
            write(*file, 0, "data");
            REQUIRE(file->sync().ok());
        });
        machine.cut();
        found.insert(machine.content("f"));
        if (machine.content("f") == "(none)")
            CHECK(machine.counts().effective(Fault::lost_name) == 1);
    }
    CHECK(found == std::set<std::string>{"(none)", "data"});
}

TEST_CASE("a synced name stays, and a synced removal too", "[sim]") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine(seed);
        machine.runs([](Environment& env) {
            durable_file(env, "gone", "x");
            durable_file(env, "old", "moved");
            REQUIRE(env.disk.create_directory("d").ok());
            REQUIRE(env.disk.remove("gone").ok());
            REQUIRE(env.disk.rename("old", "new").ok());
            REQUIRE(env.disk.sync_directory("").ok());
            file_in(env, "d/f");
            REQUIRE(env.disk.sync_directory("d").ok());
        });
        CHECK(machine.disk().durable_list("") == std::vector<std::string>{"d", "new"});
        machine.cut();
        CHECK(machine.disk().list("") == std::vector<std::string>{"d", "new"});
        CHECK(machine.disk().list("d") == std::vector<std::string>{"f"});
        CHECK(machine.content("new") == "moved");
    }
}

TEST_CASE("a rename that was not synced happened or did not, and loses neither file", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed);
        machine.runs([](Environment& env) {
            durable_file(env, "current", "old");
            durable_file(env, "next", "new");
            REQUIRE(env.disk.rename("next", "current").ok());
            write(*file_in(env, "next"), 0, "later", Durability::now);
        });
        machine.cut();
        found.insert(machine.content("current") + ' ' + machine.content("next"));
    }
    CHECK(found == std::set<std::string>{"old new", "new (none)", "new later"});
}

TEST_CASE("a removal that was not synced may be undone", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine(seed);
        machine.runs([](Environment& env) {
            durable_file(env, "f", "old");
            REQUIRE(env.disk.remove("f").ok());
        });
        CHECK(machine.content("f") == "(none)");
        machine.cut();
        found.insert(machine.content("f"));
    }
    CHECK(found == std::set<std::string>{"(none)", "old"});
}

TEST_CASE("a directory that was not synced takes with it what was synced in it", "[sim]") {
    std::set<bool> found;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine(seed);
        machine.runs([](Environment& env) {
            REQUIRE(env.disk.create_directory("d").ok());
            write(*file_in(env, "d/f"), 0, "x", Durability::now);
            REQUIRE(env.disk.sync_directory("d").ok());
        });
        CHECK(!machine.disk().durable_content("d/f"));
        machine.cut();
        found.insert(machine.content("d/f") == "x");
        CHECK(machine.disk().list("d").has_value() == (machine.content("d/f") == "x"));
    }
    CHECK(found == std::set<bool>{false, true});
}

// ---- Devices that fail ----

TEST_CASE("a sync that fails leaves some changes un-durable, and a second try can lie", "[sim]") {
    std::set<std::string> found;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Machine machine(seed, keeps_none());
        machine.disk().hang_until(0s);
        machine.runs([&](Environment& env) {
            const auto file = durable_file(env, "f", "old");
            write(*file, 0, "new");
            machine.disk().fail_next_sync();
            CHECK(file->sync().error() == Error::device_failed);
            std::array<std::byte, 3> into{};
            REQUIRE(file->read_at(0, into).ok());
            const bool sees_new = into[0] == std::byte{'n'};
            REQUIRE(file->sync().ok());
            found.insert(std::string(sees_new ? "sees new, " : "sees old, ") + "has " +
                         machine.durable("f"));
        });
        CHECK(machine.counts().effective(Fault::sync_error) == 1);
    }
    CHECK(found ==
          std::set<std::string>{"sees new, has new", "sees new, has old", "sees old, has old"});
}

TEST_CASE("calls fail as often as the faults say", "[sim]") {
    sim::Faults faults;
    faults.read_error = {100'000};
    faults.write_error = {200'000};
    faults.sync_error = {300'000};
    Machine machine(1, faults);
    int reads = 0, writes = 0, syncs = 0;
    machine.runs([&](Environment& env) {
        const auto file = file_in(env, "f");
        std::array<std::byte, 1> into{};
        for (int i = 0; i < 1000; ++i) {
            writes += !file->write_at(0, {Bytes::copy_of("x")}).ok();
            syncs += !file->sync().ok();
            reads += !file->read_at(0, into).ok();
        }
    });
    CHECK(std::abs(reads - 100) < 50);
    CHECK(std::abs(writes - 200) < 60);
    CHECK(std::abs(syncs - 300) < 70);
    CHECK(machine.counts().fired(Fault::read_error) == static_cast<std::uint64_t>(reads));
    CHECK(machine.counts().fired(Fault::write_error) == static_cast<std::uint64_t>(writes));
    CHECK(machine.counts().fired(Fault::sync_error) == static_cast<std::uint64_t>(syncs));
    CHECK(machine.counts().effective(Fault::sync_error) > 0);
}

TEST_CASE("of a write that failed a prefix may be there", "[sim]") {
    std::set<std::size_t> sizes;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Machine machine(seed);
        machine.disk().fail_next_write();
        machine.runs([](Environment& env) {
            const auto file = file_in(env, "f");
            CHECK(file->write_at(0, {Bytes::copy_of("abcd")}).error() == Error::device_failed);
        });
        sizes.insert(machine.content("f").size());
        CHECK(machine.content("f") == std::string("abcd").substr(0, machine.content("f").size()));
    }
    CHECK(sizes == std::set<std::size_t>{0, 1, 2, 3, 4});
}

TEST_CASE("a full disk refuses to grow, and has room again when something is removed", "[sim]") {
    Machine machine;
    machine.disk().set_quota(10'000);
    machine.runs([](Environment& env) {
        const auto first = file_in(env, "first");
        const auto second = file_in(env, "second");
        write(*first, 0, std::string(9'000, 'x'));
        CHECK(second->write_at(0, {Bytes::copy_of(std::string(1'001, 'y'))}).error() ==
              Error::out_of_space);
        CHECK(second->size().value() <= 1'000); // Some of it may be there all the same.
        REQUIRE(second->resize(0).ok());
        CHECK(second->resize(1'001).error() == Error::out_of_space);
        write(*second, 0, std::string(1'000, 'y'));
        write(*first, 0, std::string(9'000, 'z')); // In place.
        REQUIRE(env.disk.remove("first").ok());
        write(*second, 0, std::string(9'000, 'y'));
    });
    CHECK(machine.counts().effective(Fault::out_of_space) == 2);
}

TEST_CASE("a disk tells how much room there is", "[sim]") {
    Machine machine;
    machine.runs([&](Environment& env) {
        CHECK(env.disk.space().value().total == sim::Medium::plenty);
        machine.disk().set_quota(10'000);
        CHECK(env.disk.space().value().total == 10'000);
        CHECK(env.disk.space().value().free == 10'000);
        const auto file = file_in(env, "f");
        write(*file, 0, std::string(4'000, 'x'));
        CHECK(env.disk.space().value().free == 6'000);
        machine.disk().set_quota(3'000);
        CHECK(env.disk.space().value().free == 0);
        REQUIRE(file->resize(0).ok());
        CHECK(env.disk.space().value().free == 3'000);
    });
}

TEST_CASE("a process that has as many files open as it may opens no other", "[sim]") {
    Machine machine;
    machine.disk().limit_open_files(2);
    machine.runs([&](Environment& env) {
        auto first = file_in(env, "first");
        const auto second = file_in(env, "second");
        CHECK(machine.disk().open_files() == 2);
        CHECK(env.disk.open("third", create_new).error() == Error::unavailable);
        CHECK(env.disk.open("first", existing).error() == Error::unavailable);
        CHECK(env.disk.list("").value() == std::vector<std::string>{"first", "second"});
        first.reset();
        CHECK(env.disk.open("third", create_new).ok());
        machine.disk().limit_open_files({});
        CHECK(env.disk.open("first", existing).ok());
    });
    CHECK(machine.disk().refused_opens() == 2);
    CHECK(machine.counts().effective(Fault::too_many_files) == 2);
    machine.world.kill(disk_node);
    CHECK(machine.disk().open_files() == 0); // They were the process's.
}

TEST_CASE("a sector that cannot be read stays so until it is written", "[sim]") {
    Machine machine;
    machine.runs([](Environment& env) { durable_file(env, "f", std::string(2'000, 'x')); });
    machine.cut();
    REQUIRE(machine.disk().make_unreadable("f", 700));
    CHECK(!machine.disk().make_unreadable("f", 2'000));
    machine.runs([](Environment& env) {
        auto file = std::move(env.disk.open("f", existing)).value();
        std::array<std::byte, 512> into{};
        CHECK(file->read_at(0, into).ok());
        CHECK(file->read_at(1, into).error() == Error::corrupt);
        CHECK(file->read_at(1'024, into).ok());
        write(*file, 600, "y");
        CHECK(file->read_at(1, into).ok());
    });
    CHECK(machine.counts().effective(Fault::unreadable_sector) == 1);
}

TEST_CASE("sectors become unreadable, and bits flip, as often as the faults say", "[sim]") {
    sim::Faults faults;
    faults.unreadable_sector = {1'000};
    faults.read_rot = {2'000};
    Machine machine(1, faults);
    int corrupt = 0;
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", std::string(100'000, 'x'));
        std::array<std::byte, 100> into{};
        for (std::uint64_t i = 0; i < 5'000; ++i)
            corrupt += !file->read_at((i * 997) % 99'000, into).ok();
    });
    CHECK(corrupt > 0);
    CHECK(machine.counts().effective(Fault::unreadable_sector) ==
          static_cast<std::uint64_t>(corrupt));
    CHECK(machine.counts().effective(Fault::rot) > 0);
    CHECK(machine.durable("f") != std::string(100'000, 'x'));
}

TEST_CASE("rot flips bits on the medium and in what readers see", "[sim]") {
    Machine machine;
    machine.runs([](Environment& env) {
        const auto file = durable_file(env, "f", "abc");
        write(*file, 2, "C"); // Still on its way to the medium.
    });
    REQUIRE(machine.disk().rot("f", 1, std::byte{1}));
    REQUIRE(machine.disk().rot("f", 2, std::byte{1}));
    CHECK(!machine.disk().rot("f", 3, std::byte{1}));
    CHECK(!machine.disk().rot("none", 0, std::byte{1}));
    CHECK(machine.durable("f") == "acb");
    CHECK(machine.content("f") == "acC");
    const auto place = machine.disk().rot_somewhere("");
    REQUIRE(place);
    CHECK(place->path == "f");
    CHECK(machine.durable("f") != "acb");
    CHECK(machine.counts().fired(Fault::rot) == 3);
}

TEST_CASE("a device that hangs answers when it comes back", "[sim]") {
    Machine machine;
    Duration took{};
    machine.runs([&](Environment& env) {
        const auto file = file_in(env, "f");
        machine.disk().hang_until(5s);
        const Time before = env.clock.now();
        write(*file, 0, "x");
        took = env.clock.now() - before;
    });
    CHECK(took > 4s);
    CHECK(machine.counts().effective(Fault::hung_disk) == 1);
}

TEST_CASE("a slow call takes its time", "[sim]") {
    sim::Faults faults;
    faults.slow_disk = {100'000};
    faults.slow_disk_time = {20ms, 20ms, sim::never, 0us};
    Machine machine(1, faults);
    int slow = 0;
    machine.runs([&](Environment& env) {
        const auto file = file_in(env, "f");
        for (int i = 0; i < 100; ++i) {
            const Time before = env.clock.now();
            write(*file, 0, "x");
            slow += env.clock.now() - before >= 20ms;
        }
    });
    CHECK(slow > 0);
    CHECK(slow < 50);
    CHECK(machine.counts().fired(Fault::slow_disk) >= static_cast<std::uint64_t>(slow));
}

// ---- Oracles ----

TEST_CASE("the generation tells when something durable has changed", "[sim]") {
    Machine machine;
    std::vector<std::uint64_t> seen;
    const auto look = [&] { seen.push_back(machine.disk().generation()); };
    machine.runs([&](Environment& env) {
        const auto file = durable_file(env, "f", "x");
        look();
        write(*file, 0, "y");
        look();
        CHECK(machine.disk().has_unsynced());
        REQUIRE(file->sync().ok());
        look();
        CHECK(!machine.disk().has_unsynced());
        REQUIRE(file->sync().ok());
        look();
        file_in(env, "g");
        look();
        REQUIRE(env.disk.sync_directory("").ok());
        look();
    });
    REQUIRE(seen.size() == 6);
    CHECK(seen[0] == seen[1]);
    CHECK(seen[1] < seen[2]);
    CHECK(seen[2] == seen[3]);
    CHECK(seen[3] == seen[4]);
    CHECK(seen[4] < seen[5]);
    CHECK(machine.disk().generation("f").has_value());
    CHECK(!machine.disk().generation("none"));
}
