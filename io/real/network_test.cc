#include "io/real/test_node.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::real;

namespace {

struct Pair {
    std::unique_ptr<Stream> client, server;
};

Pair connected(Environment& env, const std::string& listen_on, const std::string& connect_to) {
    Pair pair;
    auto listener = env.network.listen({listen_on, 0});
    REQUIRE(listener.ok());
    Scope scope(env.fibers);
    scope.spawn("connect", [&] {
        auto stream = env.network.connect({connect_to, listener.value()->address().port});
        if (stream.ok()) pair.client = std::move(stream).value();
    });
    const Deadline deadline(env.fibers, env.clock.now() + 5s);
    auto accepted = listener.value()->accept();
    scope.join();
    if (accepted.ok()) pair.server = std::move(accepted).value();
    return pair;
}

std::string read_text(Stream& stream, std::size_t size) {
    Buffer into(size);
    REQUIRE(read_exactly(stream, into.view()).ok());
    return std::string(std::move(into).freeze().text());
}

} // namespace

TEST_CASE("a name is looked up, and one that does not exist is nobody's address", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        const Pair pair = connected(env, "localhost", "localhost");
        REQUIRE(pair.client);
        REQUIRE(pair.server);
        CHECK(pair.client->peer().host == "localhost");
        CHECK(env.network.connect({"no-such-host.invalid", 1}).error() == Error::disconnected);
    });
}

TEST_CASE("a lookup does not hold up who is cancelled", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        Scope scope(env.fibers);
        Result<> ended;
        scope.spawn("connect", [&] {
            auto stream = env.network.connect({"localhost", 1});
            if (!stream.ok()) ended = stream.error();
        });
        env.fibers.yield();
        scope.cancel();
        scope.join();
        CHECK(ended.error() == Error::cancelled);
    });
}

TEST_CASE("streams run over IPv6 too", "[real]") {
    TestNode node;
    node.config.log_level = Level(int(Level::error) + 1);
    node.run([](Environment& env) {
        if (!env.network.listen({"::1", 0}).ok()) {
            WARN("no IPv6 here");
            return;
        }
        const Pair pair = connected(env, "::1", "::1");
        REQUIRE(pair.server);
        CHECK(pair.server->peer().host == "::1");
    });
}

TEST_CASE("a read that is cancelled leaves the write beside it alone", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        const Pair pair = connected(env, "127.0.0.1", "127.0.0.1");
        constexpr std::size_t size = 20'000'000; // More than the sockets hold.
        Scope scope(env.fibers);
        Result<> written = Error::unavailable;
        scope.spawn("write", [&] {
            Buffer zeros(size);
            std::ranges::fill(zeros.view(), std::byte{7});
            written = pair.client->write({std::move(zeros).freeze()});
        });
        Result<> read;
        {
            Scope reading(env.fibers);
            reading.spawn("read", [&] {
                std::array<std::byte, 1> into{};
                const auto count = pair.client->read_some(into);
                if (!count.ok()) read = count.error();
            });
            REQUIRE(env.fibers.sleep_until(env.clock.now() + 5ms).ok());
        }
        CHECK(read.error() == Error::cancelled);
        CHECK(written.error() == Error::unavailable); // Still at it.
        CHECK(read_text(*pair.server, size) == std::string(size, '\7'));
        scope.join();
        CHECK(written.ok());
    });
}

TEST_CASE("a gather write of very many pieces, some empty, arrives whole", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        const Pair pair = connected(env, "127.0.0.1", "127.0.0.1");
        BytesChain chain;
        for (int i = 0; i < 5000; ++i)
            chain.push_back(Bytes::copy_of(std::string(std::size_t(i % 4), 'a' + char(i % 26))));
        const Bytes whole = joined(chain);
        Scope scope(env.fibers);
        scope.spawn("write", [&] { REQUIRE(pair.client->write(chain).ok()); });
        CHECK(read_text(*pair.server, whole.size()) == whole.text());
        scope.join();
    });
}

TEST_CASE("who never waits for its socket still lets others run", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        const Pair pair = connected(env, "127.0.0.1", "127.0.0.1");
        REQUIRE(pair.client->write({Bytes::copy_of(std::string(1000, 'x'))}).ok());
        REQUIRE(read_text(*pair.server, 1) == "x");
        bool has_run = false;
        Scope scope(env.fibers);
        scope.spawn("other", [&] { has_run = true; });
        for (int i = 0; i < 100; ++i) REQUIRE(read_text(*pair.server, 1) == "x");
        CHECK(has_run);
    });
}

TEST_CASE("in a cancelled scope no stream gives what it has", "[real]") {
    TestNode node;
    node.run([](Environment& env) {
        const Pair pair = connected(env, "127.0.0.1", "127.0.0.1");
        REQUIRE(pair.client->write({Bytes::copy_of("waiting")}).ok());
        Scope scope(env.fibers);
        scope.cancel();
        scope.spawn("cancelled", [&] {
            std::array<std::byte, 8> into{};
            CHECK(pair.server->read_some(into).error() == Error::cancelled);
            CHECK(pair.server->write({Bytes::copy_of("x")}).error() == Error::cancelled);
            CHECK(env.network.connect({"127.0.0.1", 1}).error() == Error::cancelled);
            CHECK(env.network.listen({"127.0.0.1", 0}).error() == Error::cancelled);
        });
        scope.join();
        CHECK(read_text(*pair.server, 7) == "waiting");
    });
}
