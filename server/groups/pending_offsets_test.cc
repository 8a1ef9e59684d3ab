// Offsets that are part of transactions: what counts when, and what is done to the stored facts.
#include "server/groups/pending_offsets.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::server;

namespace {

using Key = PendingOffsetTable::Key;

// A table, and what comes of all that it is told, as the KvStore would have it.
struct Table {
    PendingOffsetTable table;
    std::map<std::string, std::string> facts;
    std::map<Key, PendingOffset> stored;

    template <class Input>
    void take(const Input& input) {
        PendingOffsetTable::Changes changes;
        input(changes);
        for (const auto& [key, value] : changes.facts)
            if (value)
                facts[key] = *value;
            else
                facts.erase(key);
        for (const auto& [key, value] : changes.pending)
            if (value)
                stored[key] = *value;
            else
                stored.erase(key);
        // What is stored is what is known: a replica that starts again knows no less.
        REQUIRE(stored.size() == table.all().size());
        for (const auto& [key, value] : table.all()) {
            REQUIRE(stored.contains(key));
            CHECK(stored.at(key).place == value.place);
            CHECK(stored.at(key).value == value.value);
        }
    }
    void plain(const std::string& key, std::optional<std::string> value, std::int64_t place) {
        take([&](auto& changes) { table.plain(key, value, Offset(place), changes); });
    }
    void part(std::int64_t producer, const std::string& key, std::optional<std::string> value,
              std::int64_t place) {
        take([&](auto& changes) { table.part(producer, key, value, Offset(place), changes); });
    }
    void end(std::int64_t producer, bool commits) {
        take([&](auto& changes) { table.end(producer, commits, changes); });
    }
    void settle(const PendingOffsetTable::Counts& counts) {
        take([&](auto& changes) { table.settle(counts, changes); });
    }
};

} // namespace

TEST_CASE("an offset of a transaction counts once that commits, and not before",
          "[groups][transactions]") {
    const bool commits = GENERATE(true, false);
    Table table;
    table.plain("key", "1", 0);
    table.part(7, "key", "2", 1);
    CHECK(table.facts["key"] == "1");
    table.end(8, true); // Another's.
    CHECK(table.facts["key"] == "1");
    table.end(7, commits);
    CHECK(table.facts["key"] == (commits ? "2" : "1"));
    CHECK(table.table.all().empty());
}

TEST_CASE("of one transaction the last offset of each key counts", "[groups][transactions]") {
    Table table;
    table.part(7, "key", "1", 0);
    table.part(7, "other", "5", 1);
    table.part(7, "key", "2", 2);
    table.end(7, true);
    CHECK(table.facts == std::map<std::string, std::string>{{"key", "2"}, {"other", "5"}});
}

TEST_CASE("an offset counts for its place in the log, whenever its transaction commits",
          "[groups][transactions]") {
    const bool older_first = GENERATE(true, false);
    Table table;
    table.part(7, "key", "1", 0);
    table.part(8, "key", "2", 1);
    table.end(older_first ? 7 : 8, true);
    CHECK(table.facts["key"] == (older_first ? "1" : "2"));
    table.end(older_first ? 8 : 7, true);
    CHECK(table.facts["key"] == "2");
}

TEST_CASE("what is written behind an offset of a transaction stays", "[groups][transactions]") {
    Table table;
    table.part(7, "key", "1", 0);
    table.part(7, "other", "1", 1);
    table.plain("key", "2", 2);
    CHECK(table.table.all().size() == 1);
    table.end(7, true);
    CHECK(table.facts == std::map<std::string, std::string>{{"key", "2"}, {"other", "1"}});
}

TEST_CASE("a transaction may have an offset forgotten", "[groups][transactions]") {
    const bool commits = GENERATE(true, false);
    Table table;
    table.plain("key", "1", 0);
    table.part(7, "key", std::nullopt, 1);
    CHECK(table.facts.contains("key"));
    table.end(7, commits);
    CHECK(table.facts.contains("key") == !commits);
}

TEST_CASE("what is stored of it goes on where it was", "[groups][transactions]") {
    Table before;
    before.part(7, "key", "1", 3);
    before.part(8, "key", std::nullopt, 5);
    Table table;
    table.stored = before.stored;
    table.facts = before.facts;
    for (const auto& [key, value] : before.stored) table.table.restore(key, value);
    table.plain("key", "0", 4); // Behind the one, before the other.
    CHECK(table.table.all().size() == 1);
    table.end(8, true);
    CHECK_FALSE(table.facts.contains("key"));
}

TEST_CASE("where a marker was compacted away the partition's producers tell",
          "[groups][transactions]") {
    Table table;
    table.part(8, "key", "1", 0);
    table.part(7, "key", "2", 1);
    table.part(9, "key", "3", 2);
    table.part(10, "other", "4", 3);
    table.settle([](std::int64_t producer, Offset place) -> std::optional<bool> {
        if (producer == 10) return {}; // It is open.
        return producer == 9 ? false : place < Offset(2);
    });
    // In the order of the log, whatever that of the producers is.
    CHECK(table.facts == std::map<std::string, std::string>{{"key", "2"}});
    REQUIRE(table.table.all().size() == 1);
    CHECK(table.table.all().begin()->first == Key{10, "other"});
}
