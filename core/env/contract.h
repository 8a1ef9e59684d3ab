// core/env/contract.h
//
// What the seam promises, as tests that run against both worlds. A promise that only the simulator
// keeps fails on Linux, and the other way round; so neither world can drift away from the code that
// was tested on the other.
//
// A world is tested through a Subject: one node, which can be started again and again on the same
// data directory.
//
//     struct Subject {
//         void run(const std::function<void(Environment&)>& node); // A life of the node, to its
//         end. std::string host();           // A name under which this node can listen and be
//         reached.
//     };
//
// The test file of a world has one TEST_CASE for each function here:
//
//     TEST_CASE("the disk keeps its contract", "[sim]") { contract::disk<Subject>(); }
//
// Only what a world shows while the power stays on can be tested in both: what a power cut may do
// is tested in io/sim alone. To be included last, since CHECK means Catch's from here on.
#pragma once

#include "core/env/environment.h"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace pyralog::contract {

// Sleeps for a while. Whether it was the whole while is the caller's to ask of the clock.
inline Result<> pause(Environment& env, Duration time) {
    return env.fibers.sleep_until(env.clock.now() + time);
}

// `size` bytes that differ from place to place, and by `salt`.
inline Bytes pattern(std::size_t size, unsigned salt) {
    Buffer buffer(size);
    for (std::size_t i = 0; i < size; ++i)
        buffer.view()[i] = static_cast<std::byte>((i * 31 + i / 251 + salt * 97) & 0xff);
    return std::move(buffer).freeze();
}

inline bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
    return std::ranges::equal(a, b);
}

inline std::unique_ptr<File> opened(Environment& env, std::string_view path, Disk::Open how,
                                    Disk::Access access = Disk::Access::buffered) {
    auto file = env.disk.open(path, how, access);
    REQUIRE(file.ok());
    return std::move(file).value();
}

// All that a file holds, as text.
inline std::string content(File& file) {
    const auto size = file.size();
    REQUIRE(size.ok());
    Buffer buffer(static_cast<std::size_t>(size.value()) + 1); // One more, to see that it ends.
    const auto count = file.read_at(0, buffer.view());
    REQUIRE(count.ok());
    CHECK(count.value() == size.value());
    return std::string(std::move(buffer).freeze(count.value()).text());
}

inline void write(File& file, std::uint64_t position, std::string_view text,
                  Durability durability = Durability::later) {
    REQUIRE(file.write_at(position, {Bytes::copy_of(text)}, durability).ok());
}

template <class T>
bool fails_with(const Result<T>& result, Error error) {
    return !result.ok() && result.error() == error;
}

// ---- Time ----

template <class Subject>
void clock() {
    Subject subject;
    SECTION("a sleep ends when its time has come, and not before") {
        subject.run([](Environment& env) {
            const Time before = env.clock.now();
            REQUIRE(pause(env, 20ms).ok());
            CHECK(env.clock.now() >= before + 20ms);
            CHECK(env.clock.now() < before + 20s);
        });
    }
    SECTION("a sleep until a time that has passed ends") {
        subject.run([](Environment& env) {
            CHECK(env.fibers.sleep_until(env.clock.now() - 1ms).ok());
            CHECK(env.fibers.sleep_until(env.clock.now()).ok());
        });
    }
    SECTION("a deadline ends a sleep, and an inner sleep that is shorter is left alone") {
        subject.run([](Environment& env) {
            const Deadline deadline(env.fibers, env.clock.now() + 30ms);
            CHECK(pause(env, 5ms).ok());
            CHECK(fails_with(pause(env, 1h), Error::timed_out));
            CHECK(fails_with(pause(env, 1h), Error::timed_out));
        });
    }
    SECTION("cancelling a scope ends the sleeps in it at once") {
        subject.run([](Environment& env) {
            const Time before = env.clock.now();
            Result<> ended;
            {
                Scope scope(env.fibers);
                scope.spawn("sleeper", [&] { ended = pause(env, 1h); });
                REQUIRE(pause(env, 1ms).ok());
            }
            CHECK(fails_with(ended, Error::cancelled));
            CHECK(env.clock.now() < before + 10s);
        });
    }
    SECTION("time does not go back from one wait to the next, and people can read the wall clock") {
        subject.run([](Environment& env) {
            Time last = env.clock.now();
            for (int i = 0; i < 20; ++i) {
                REQUIRE(pause(env, std::chrono::microseconds(100 * i)).ok());
                CHECK(env.clock.now() >= last);
                last = env.clock.now();
            }
            CHECK(env.clock.wall().unix_ms > 1'500'000'000'000);
        });
    }
    SECTION("a time is counted from the boot of the node, which was not long ago") {
        subject.run([](Environment& env) {
            CHECK(env.clock.now() >= Time{});
            CHECK(env.clock.now() < Time(1h));
        });
    }
}

// ---- Files ----

template <class Subject>
void file() {
    using enum Disk::Open;
    Subject subject;
    SECTION("a file holds what was written to it, in pieces and over one another") {
        subject.run([](Environment& env) {
            const auto file = opened(env, "f", create_new);
            CHECK(content(*file).empty());
            REQUIRE(
                file->write_at(0, {Bytes::copy_of("one "), Bytes(), Bytes::copy_of("two")}).ok());
            write(*file, 7, " three");
            write(*file, 4, "TWO");
            CHECK(content(*file) == "one TWO three");
            REQUIRE(file->write_at(3, {}).ok());
            CHECK(content(*file) == "one TWO three");
        });
    }
    SECTION("a read ends where the file ends") {
        subject.run([](Environment& env) {
            const auto file = opened(env, "f", create_new);
            write(*file, 0, "abcdef");
            std::array<std::byte, 4> into{};
            CHECK(file->read_at(1, into).value() == 4);
            CHECK(into[0] == std::byte{'b'});
            CHECK(file->read_at(4, into).value() == 2);
            CHECK(into[0] == std::byte{'e'});
            CHECK(file->read_at(6, into).value() == 0);
            CHECK(file->read_at(1000, into).value() == 0);
            CHECK(file->read_at(0, std::span<std::byte>()).value() == 0);
        });
    }
    SECTION("what lies between the end and a write behind it is zero") {
        subject.run([](Environment& env) {
            const auto file = opened(env, "f", create_new);
            write(*file, 0, "ab");
            write(*file, 10'000, "cd");
            CHECK(content(*file) == "ab" + std::string(9'998, '\0') + "cd");
        });
    }
    SECTION("resize grows with zeros, and cuts") {
        subject.run([](Environment& env) {
            const auto file = opened(env, "f", create_new);
            write(*file, 0, "abcdef");
            REQUIRE(file->resize(3).ok());
            CHECK(content(*file) == "abc");
            REQUIRE(file->resize(6).ok());
            CHECK(content(*file) == std::string("abc\0\0\0", 6));
            CHECK(file->size().value() == 6);
            REQUIRE(file->sync().ok());
            CHECK(content(*file) == std::string("abc\0\0\0", 6));
        });
    }
    SECTION("a file is there in the next life of the node") {
        subject.run([](Environment& env) {
            const auto file = opened(env, "f", create_new);
            write(*file, 0, "synced ");
            REQUIRE(file->sync().ok());
            write(*file, 7, "durable ", Durability::now);
            write(*file, 15, "in the page cache");
        });
        subject.run([](Environment& env) {
            CHECK(content(*opened(env, "f", existing)) == "synced durable in the page cache");
        });
    }
    SECTION("large writes and reads are whole") {
        subject.run([](Environment& env) {
            const auto file = opened(env, "f", create_new);
            BytesChain chain;
            for (unsigned i = 0; i < 300; ++i) chain.push_back(pattern(7'001, i));
            REQUIRE(file->write_at(123, chain, Durability::now).ok());
            const Bytes whole = joined(chain);
            Buffer into(whole.size());
            REQUIRE(file->read_at(123, into.view()).value() == whole.size());
            CHECK(same(into.view(), whole.view()));
        });
    }
    SECTION("aligned access reads and writes whole blocks") {
        subject.run([](Environment& env) {
            constexpr std::size_t block = Buffer::disk_alignment;
            const auto file = opened(env, "f", create_new, Disk::Access::aligned);
            const Bytes one = pattern(2 * block, 1);
            const Bytes two = pattern(block, 2);
            REQUIRE(file->resize(8 * block).ok());
            REQUIRE(file->write_at(block, {one, two}, Durability::now).ok());
            Buffer into(4 * block);
            REQUIRE(file->read_at(block, into.view()).value() == 4 * block);
            CHECK(same(into.view().first(2 * block), one.view()));
            CHECK(same(into.view().subspan(2 * block, block), two.view()));
            CHECK(into.view()[3 * block] == std::byte{0});
            REQUIRE(file->sync().ok());
            const auto other = opened(env, "f", existing);
            CHECK(content(*other).substr(block, 2 * block) == one.text());
        });
    }
    SECTION("two handles of a file see one file, also from two fibers at once") {
        subject.run([](Environment& env) {
            const auto one = opened(env, "f", create_new);
            const auto two = opened(env, "f", existing);
            write(*one, 0, std::string(64, '.'));
            {
                Scope scope(env.fibers);
                for (std::size_t i = 0; i < 8; ++i)
                    scope.spawn("writer", [&, i] {
                        write(i % 2 == 0 ? *one : *two, i * 8, "writer " + std::to_string(i));
                        REQUIRE((i % 2 == 0 ? *one : *two).sync().ok());
                    });
                scope.join();
            }
            std::string expected;
            for (int i = 0; i < 8; ++i) expected += "writer " + std::to_string(i);
            CHECK(content(*one) == expected);
            CHECK(content(*two) == expected);
        });
    }
    SECTION("a write whose fiber is cancelled meanwhile has been carried out when it returns") {
        subject.run([](Environment& env) {
            const auto file = opened(env, "f", create_new);
            write(*file, 0, std::string(100'000, '.'));
            bool returned = false;
            {
                Scope scope(env.fibers);
                scope.spawn("writer", [&] {
                    (void)file->write_at(0,
                                         {pattern(100'000, 1)}); // Its bytes are asked for below.
                    returned = true;
                });
                env.fibers.yield(); // The write may have begun.
            }
            CHECK(returned);
            CHECK((content(*file) == pattern(100'000, 1).text() ||
                   content(*file) == std::string(100'000, '.')));
            const std::string once = content(*file);
            REQUIRE(pause(env, 20ms).ok());
            CHECK(content(*file) == once); // Nothing of it was still on its way.
        });
    }
}

// ---- Names ----

template <class Subject>
void disk() {
    using enum Disk::Open;
    Subject subject;
    using Names = std::vector<std::string>;
    SECTION("a name is there or it is not") {
        subject.run([](Environment& env) {
            CHECK(fails_with(env.disk.open("f", existing), Error::not_found));
            opened(env, "f", create_new);
            CHECK(fails_with(env.disk.open("f", create_new), Error::already_exists));
            opened(env, "f", existing);
            CHECK(fails_with(env.disk.open("none/f", create_new), Error::not_found));
            CHECK(fails_with(env.disk.open("none/f", existing), Error::not_found));
            CHECK(fails_with(env.disk.list("none"), Error::not_found));
            CHECK(fails_with(env.disk.sync_directory("none"), Error::not_found));
        });
    }
    SECTION("how much room there is can be asked for") {
        subject.run([](Environment& env) {
            const auto file = opened(env, "f", create_new);
            write(*file, 0, std::string(1'000'000, 'x'));
            REQUIRE(file->sync().ok());
            const Disk::Space space = env.disk.space().value();
            CHECK(space.total >= 1'000'000); // Others may use it meanwhile: no more can be said.
            CHECK(space.free < space.total);
        });
    }
    SECTION("directories hold names, and list them sorted") {
        subject.run([](Environment& env) {
            REQUIRE(env.disk.create_directory("d").ok());
            CHECK(fails_with(env.disk.create_directory("d"), Error::already_exists));
            CHECK(fails_with(env.disk.create_directory("none/d"), Error::not_found));
            REQUIRE(env.disk.create_directory("d/sub").ok());
            for (const char* name : {"d/b", "d/a", "d/sub/deep", "d/a10", "d/a9"})
                opened(env, name, create_new);
            CHECK(env.disk.list("d").value() == Names{"a", "a10", "a9", "b", "sub"});
            CHECK(env.disk.list("d/sub").value() == Names{"deep"});
            const Names top = env.disk.list("").value();
            CHECK(std::ranges::count(top, "d") == 1);
            REQUIRE(env.disk.sync_directory("d").ok());
            REQUIRE(env.disk.sync_directory("").ok());
        });
        subject.run([](Environment& env) {
            CHECK(env.disk.list("d").value() == Names{"a", "a10", "a9", "b", "sub"});
        });
    }
    SECTION("rename moves a name and replaces what was there") {
        subject.run([](Environment& env) {
            REQUIRE(env.disk.create_directory("d").ok());
            write(*opened(env, "old", create_new), 0, "old");
            write(*opened(env, "new", create_new), 0, "new");
            REQUIRE(env.disk.rename("new", "old").ok());
            CHECK(content(*opened(env, "old", existing)) == "new");
            CHECK(fails_with(env.disk.open("new", existing), Error::not_found));
            REQUIRE(env.disk.rename("old", "d/moved").ok());
            CHECK(content(*opened(env, "d/moved", existing)) == "new");
            CHECK(fails_with(env.disk.rename("old", "other"), Error::not_found));
            CHECK(fails_with(env.disk.rename("d/moved", "none/x"), Error::not_found));
        });
    }
    SECTION("remove takes away a file, or an empty directory and no other") {
        subject.run([](Environment& env) {
            REQUIRE(env.disk.create_directory("d").ok());
            opened(env, "d/f", create_new);
            CHECK(!env.disk.remove("d").ok());
            CHECK(env.disk.list("d").value() == Names{"f"});
            REQUIRE(env.disk.remove("d/f").ok());
            CHECK(fails_with(env.disk.remove("d/f"), Error::not_found));
            REQUIRE(env.disk.remove("d").ok());
            CHECK(fails_with(env.disk.list("d"), Error::not_found));
        });
    }
    SECTION("a name that was removed can be created anew, and is empty then") {
        subject.run([](Environment& env) {
            write(*opened(env, "f", create_new), 0, "before");
            REQUIRE(env.disk.remove("f").ok());
            CHECK(content(*opened(env, "f", create_new)).empty());
        });
    }
}

// ---- Streams ----

// Two ends of one connection of the node with itself.
struct Pair {
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> client, server;
};

inline Pair connected(Environment& env, const std::string& host) {
    Pair pair;
    auto listener = env.network.listen({host, 0});
    REQUIRE(listener.ok());
    pair.listener = std::move(listener).value();
    CHECK(pair.listener->address().port != 0);
    Scope scope(env.fibers);
    scope.spawn("connect", [&] {
        auto stream = env.network.connect({host, pair.listener->address().port});
        REQUIRE(stream.ok());
        pair.client = std::move(stream).value();
    });
    auto accepted = pair.listener->accept();
    REQUIRE(accepted.ok());
    pair.server = std::move(accepted).value();
    scope.join();
    return pair;
}

inline Bytes received(Stream& stream, std::size_t size) {
    Buffer buffer(size);
    REQUIRE(read_exactly(stream, buffer.view()).ok());
    return std::move(buffer).freeze();
}

// The stream ends, and nothing more comes before that.
inline void ends(Environment& env, Stream& stream) {
    const Deadline deadline(env.fibers, env.clock.now() + 10s);
    std::array<std::byte, 16> into{};
    const auto count = stream.read_some(into);
    CHECK((count.ok() ? count.value() == 0 : count.error() == Error::disconnected));
}

template <class Subject>
void stream() {
    Subject subject;
    SECTION("bytes arrive whole and in order, both ways") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            CHECK(!pair.client->peer().host.empty());
            CHECK(!pair.server->peer().host.empty());
            CHECK(pair.client->peer().port == pair.listener->address().port);
            REQUIRE(pair.client->write({Bytes::copy_of("ping "), Bytes::copy_of("one")}).ok());
            CHECK(received(*pair.server, 8).text() == "ping one");
            REQUIRE(pair.server->write({Bytes::copy_of("pong")}).ok());
            CHECK(received(*pair.client, 4).text() == "pong");
            CHECK(pair.client->write({}).ok());
        });
    }
    SECTION("much more than a stream holds passes, both ways at once") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            constexpr std::size_t size = 3'000'000;
            Scope scope(env.fibers);
            for (Stream* end : {pair.client.get(), pair.server.get()}) {
                scope.spawn("write", [end] {
                    for (unsigned i = 0; i < 3; ++i)
                        REQUIRE(end->write({pattern(size / 6, i), pattern(size / 6, i + 3)}).ok());
                });
                scope.spawn("read", [end] {
                    for (unsigned i = 0; i < 3; ++i) {
                        CHECK(same(received(*end, size / 6).view(), pattern(size / 6, i).view()));
                        CHECK(
                            same(received(*end, size / 6).view(), pattern(size / 6, i + 3).view()));
                    }
                });
            }
            scope.join();
        });
    }
    SECTION("a write to a peer that does not read waits") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            const Deadline deadline(env.fibers, env.clock.now() + 200ms);
            const BytesChain chain(64, pattern(1_MiB, 1));
            CHECK(fails_with(pair.client->write(chain), Error::timed_out));
        });
    }
    SECTION("a read that timed out takes nothing from the stream") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            std::array<std::byte, 16> into{};
            {
                const Deadline deadline(env.fibers, env.clock.now() + 10ms);
                CHECK(fails_with(pair.server->read_some(into), Error::timed_out));
            }
            REQUIRE(pair.client->write({Bytes::copy_of("late")}).ok());
            CHECK(received(*pair.server, 4).text() == "late");
        });
    }
    SECTION("cancelling ends a read") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            Result<std::size_t> ended = std::size_t{0};
            {
                Scope scope(env.fibers);
                scope.spawn("read", [&] {
                    std::array<std::byte, 16> into{};
                    ended = pair.server->read_some(into);
                });
                REQUIRE(pause(env, 5ms).ok());
            }
            CHECK(fails_with(ended, Error::cancelled));
        });
    }
    SECTION("who closes after the last byte was read ends the stream of the other") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            REQUIRE(pair.client->write({Bytes::copy_of("last words")}).ok());
            CHECK(received(*pair.server, 10).text() == "last words");
            pair.client.reset();
            ends(env, *pair.server);
        });
    }
    SECTION("bytes that were written before a close arrive before the end") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            REQUIRE(pair.client->write({Bytes::copy_of("last words")}).ok());
            REQUIRE(pause(env, 200ms).ok());
            pair.client.reset();
            CHECK(received(*pair.server, 10).text() == "last words");
            ends(env, *pair.server);
        });
    }
    SECTION("writing to a peer that has closed fails before long") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            pair.server.reset();
            Result<> ended;
            for (int i = 0; i < 200 && ended.ok(); ++i) {
                ended = pair.client->write({pattern(100, 1)});
                REQUIRE(pause(env, 5ms).ok());
            }
            CHECK(fails_with(ended, Error::disconnected));
        });
    }
}

template <class Subject>
void network() {
    Subject subject;
    SECTION("a port has one listener at a time") {
        subject.run([&](Environment& env) {
            auto first = env.network.listen({subject.host(), 0});
            REQUIRE(first.ok());
            const Address address = first.value()->address();
            CHECK(address.port != 0);
            CHECK(fails_with(env.network.listen(address), Error::already_exists));
            first.value().reset();
            CHECK(env.network.listen(address).ok());
        });
    }
    SECTION("where nobody listens, connecting fails") {
        subject.run([&](Environment& env) {
            auto listener = env.network.listen({subject.host(), 0});
            REQUIRE(listener.ok());
            const Address address = listener.value()->address();
            listener.value().reset();
            const Deadline deadline(env.fibers, env.clock.now() + 10s);
            CHECK(fails_with(env.network.connect(address), Error::disconnected));
        });
    }
    SECTION("an accept ends with its deadline or its scope, and the listener lives on") {
        subject.run([&](Environment& env) {
            auto listener = env.network.listen({subject.host(), 0});
            REQUIRE(listener.ok());
            {
                const Deadline deadline(env.fibers, env.clock.now() + 10ms);
                CHECK(fails_with(listener.value()->accept(), Error::timed_out));
            }
            {
                Scope scope(env.fibers);
                scope.spawn("accept", [&] {
                    CHECK(fails_with(listener.value()->accept(), Error::cancelled));
                });
                REQUIRE(pause(env, 5ms).ok());
            }
            Scope scope(env.fibers);
            scope.spawn("connect", [&] {
                auto stream = env.network.connect(listener.value()->address());
                REQUIRE(stream.ok());
                REQUIRE(stream.value()->write({Bytes::copy_of("x")}).ok());
                REQUIRE(pause(env, 200ms).ok());
            });
            auto stream = listener.value()->accept();
            REQUIRE(stream.ok());
            CHECK(received(*stream.value(), 1).text() == "x");
            scope.join();
        });
    }
    SECTION("accepted streams outlive their listener") {
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            pair.listener.reset();
            REQUIRE(pair.client->write({Bytes::copy_of("still here")}).ok());
            CHECK(received(*pair.server, 10).text() == "still here");
        });
    }
    SECTION("many clients at once each have a stream of their own") {
        subject.run([&](Environment& env) {
            constexpr int clients = 20;
            auto listener = env.network.listen({subject.host(), 0});
            REQUIRE(listener.ok());
            Scope scope(env.fibers);
            scope.spawn("server", [&] {
                for (int i = 0; i < clients; ++i) {
                    auto stream = listener.value()->accept();
                    REQUIRE(stream.ok());
                    scope.spawn("echo", [kept = std::move(stream).value()] {
                        const Bytes said = received(*kept, 100);
                        REQUIRE(kept->write({said}).ok());
                        std::array<std::byte, 1> into{};
                        (void)kept->read_some(into); // Until the client has gone.
                    });
                }
            });
            for (unsigned i = 0; i < clients; ++i)
                scope.spawn("client", [&, i] {
                    auto stream = env.network.connect(listener.value()->address());
                    REQUIRE(stream.ok());
                    REQUIRE(stream.value()->write({pattern(100, i)}).ok());
                    CHECK(same(received(*stream.value(), 100).view(), pattern(100, i).view()));
                });
            scope.join();
        });
    }
    SECTION("a node can listen on its old port in its next life") {
        std::uint16_t port = 0;
        subject.run([&](Environment& env) {
            Pair pair = connected(env, subject.host());
            port = pair.listener->address().port;
        });
        subject.run([&](Environment& env) {
            auto listener = env.network.listen({subject.host(), port});
            REQUIRE(listener.ok());
            CHECK(listener.value()->address().port == port);
        });
    }
}

// ---- Small facts ----

using Facts = std::vector<std::pair<std::string, std::string>>;

inline Facts facts(Environment& env, std::string_view prefix, std::size_t at_most = SIZE_MAX) {
    Facts found;
    REQUIRE(env.kv
                .scan(prefix,
                      [&](std::string_view key, std::string_view value) {
                          found.emplace_back(key, value);
                          return found.size() < at_most;
                      })
                .ok());
    return found;
}

template <class Subject>
void kv_store() {
    Subject subject;
    using Batch = KvStore::Batch;
    SECTION("a batch is there as a whole, and a later change counts") {
        subject.run([](Environment& env) {
            REQUIRE(env.kv.open().ok());
            CHECK(!env.kv.get("a").value());
            REQUIRE(env.kv.commit(Batch().put("a", "1").put("b", "2").put("a", "3")).ok());
            REQUIRE(env.kv.commit(Batch().put("c", "").remove("b").remove("none")).ok());
            CHECK(env.kv.get("a").value() == "3");
            CHECK(!env.kv.get("b").value());
            CHECK(env.kv.get("c").value() == "");
            REQUIRE(env.kv.commit(Batch()).ok());
        });
    }
    SECTION("a scan goes in the order of the bytes, through one prefix, until it is told to stop") {
        subject.run([](Environment& env) {
            REQUIRE(env.kv.open().ok());
            REQUIRE(env.kv
                        .commit(Batch()
                                    .put("p\xff", "4")
                                    .put(std::string_view("p\0x", 3), "1")
                                    .put("p", "0")
                                    .put("pa", "2")
                                    .put("p\x7f", "3")
                                    .put("q", "no")
                                    .put("o", "no"))
                        .ok());
            CHECK(facts(env, "p") == Facts{{"p", "0"},
                                           {std::string("p\0x", 3), "1"},
                                           {"pa", "2"},
                                           {"p\x7f", "3"},
                                           {"p\xff", "4"}});
            CHECK(facts(env, "p", 2).size() == 2);
            CHECK(facts(env, "none").empty());
            CHECK(facts(env, "p\xff") == Facts{{"p\xff", "4"}});
            CHECK(facts(env, "").size() == 7);
        });
    }
    SECTION("what was committed is there in the next life of the node") {
        subject.run([](Environment& env) {
            REQUIRE(env.kv.open().ok());
            REQUIRE(env.kv.commit(Batch().put("kept", std::string(10'000, 'x'))).ok());
            REQUIRE(env.kv.commit(Batch().put("gone", "y")).ok());
            REQUIRE(env.kv.commit(Batch().remove("gone")).ok());
        });
        subject.run([](Environment& env) {
            REQUIRE(env.kv.open().ok());
            CHECK(env.kv.get("kept").value() == std::string(10'000, 'x'));
            CHECK(!env.kv.get("gone").value());
        });
    }
    SECTION("commits from many fibers at once are all there") {
        subject.run([](Environment& env) {
            REQUIRE(env.kv.open().ok());
            Scope scope(env.fibers);
            for (int i = 0; i < 30; ++i)
                scope.spawn("commit", [&env, i] {
                    const std::string number = std::to_string(i);
                    REQUIRE(env.kv.commit(Batch().put("key" + number, number)).ok());
                    CHECK(env.kv.get("key" + number).value() == number);
                });
            scope.join();
            CHECK(facts(env, "key").size() == 30);
        });
    }
}

// ---- What a node counts and tells ----

template <class Subject>
void environment() {
    Subject subject;
    SECTION("a node ends when its function returns, and its dice, counters and log work") {
        bool ran = false;
        subject.run([&](Environment& env) {
            Metrics::Counter counter(env.metrics, "pyralog_contract_total", "A test's.");
            counter.add(3);
            CHECK(env.metrics.total("pyralog_contract_total") == 3);
            CHECK(env.random.below(10) < 10);
            env.log.info("contract", {{"counter", counter.value()}});
            ran = true;
        });
        CHECK(ran);
    }
    SECTION("each life begins with new counters") {
        for (int life = 0; life < 2; ++life)
            subject.run([](Environment& env) {
                CHECK(env.metrics.total("pyralog_contract_total") == 0);
                Metrics::Counter counter(env.metrics, "pyralog_contract_total", "A test's.");
                counter.add();
            });
    }
}

} // namespace pyralog::contract
