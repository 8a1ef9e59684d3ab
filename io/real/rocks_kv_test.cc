#include "io/real/test_node.h"

#include <filesystem>
#include <fstream>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::real;
using Batch = KvStore::Batch;

namespace {

std::string key_of(int number) {
    const std::string digits = std::to_string(number);
    return "key" + std::string(6 - digits.size(), '0') + digits;
}

} // namespace

TEST_CASE("a scan of many pieces sees what was committed before it, and nothing else", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        REQUIRE(env.kv.open().ok());
        constexpr int count = 3000;
        Batch batch;
        for (int i = 0; i < count; ++i) batch.put(key_of(i), std::string(300, 'v'));
        REQUIRE(env.kv.commit(std::move(batch)).ok());
        Scope scope(env.fibers);
        bool is_changed = false;
        int seen = 0;
        REQUIRE(env.kv
                    .scan("key",
                          [&](std::string_view key, std::string_view value) {
                              if (seen++ == 0)
                                  scope.spawn("change", [&] {
                                      Batch more;
                                      more.put(key_of(count + 1), "new").remove(key_of(count - 1));
                                      REQUIRE(env.kv.commit(std::move(more)).ok());
                                      is_changed = true;
                                  });
                              CHECK(key == key_of(seen - 1));
                              CHECK(value.size() == 300);
                              return true;
                          })
                    .ok());
        CHECK(seen == count);
        scope.join();
        CHECK(is_changed);
        CHECK(!env.kv.get(key_of(count - 1)).value());
    });
}

TEST_CASE("a commit that has begun is carried out although its fiber is cancelled", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        REQUIRE(env.kv.open().ok());
        std::vector<std::string> committed;
        {
            Scope scope(env.fibers);
            // The first one writes, the others wait for the next write; then all are cancelled.
            for (int i = 0; i < 5; ++i)
                scope.spawn("commit", [&, i] {
                    REQUIRE(env.kv.commit(Batch().put(key_of(i), "x")).ok());
                    committed.push_back(key_of(i));
                });
            env.fibers.yield();
            scope.cancel();
            scope.spawn("late", [&] {
                CHECK(env.kv.commit(Batch().put("late", "x")).error() == Error::cancelled);
            });
        }
        CHECK(committed.size() == 5);
        for (const std::string& key : committed) CHECK(env.kv.get(key).value() == "x");
        CHECK(!env.kv.get("late").value());
    });
}

TEST_CASE("a store that cannot be read is corrupt", "[real]") {
    TestNode node;
    node.config.log_level = Level(int(Level::error) + 1);
    node.run([](Environment& env) {
        REQUIRE(env.kv.open().ok());
        REQUIRE(env.kv.commit(Batch().put("a", "b")).ok());
    });
    std::ofstream(node.directory() + "/kv/CURRENT") << "rubbish";
    node.run([](Environment& env) { CHECK(env.kv.open().error() == Error::corrupt); });
}

TEST_CASE("a torn end of the store's log costs nothing that was acknowledged", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        REQUIRE(env.kv.open().ok());
        REQUIRE(env.kv.commit(Batch().put("acknowledged", "yes")).ok());
        REQUIRE(env.kv.commit(Batch().put("torn", std::string(1000, 'x'))).ok());
    });
    for (const auto& entry : std::filesystem::directory_iterator(node.directory() + "/kv"))
        if (entry.path().extension() == ".log")
            std::filesystem::resize_file(entry.path(), entry.file_size() - 500);
    node.run([](Environment& env) {
        REQUIRE(env.kv.open().ok());
        CHECK(env.kv.get("acknowledged").value() == "yes");
        CHECK(!env.kv.get("torn").value());
    });
}

TEST_CASE("damage before the end of the store's log is not taken for its end", "[real]") {
    TestNode node;
    node.config.log_level = Level(int(Level::error) + 1);
    node.run([](Environment& env) {
        REQUIRE(env.kv.open().ok());
        for (int i = 0; i < 10; ++i)
            REQUIRE(env.kv.commit(Batch().put(key_of(i), std::string(100, 'x'))).ok());
    });
    for (const auto& entry : std::filesystem::directory_iterator(node.directory() + "/kv")) {
        if (entry.path().extension() != ".log") continue;
        std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(300);
        file.put('!');
    }
    node.run([](Environment& env) { CHECK(env.kv.open().error() == Error::corrupt); });
}
