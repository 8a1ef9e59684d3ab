// server/tracing/test_collector.h
//
// For tests: somebody in a simulated world whom traces are sent to, and who does with each request
// what the test has told him.
#pragma once

#include "io/sim/world.h"
#include "server/config.h"

#include <deque>
#include <string>
#include <vector>

namespace pyralog::server {

class TestCollector {
public:
    static constexpr NodeId node{500};
    static HttpEndpoint endpoint() { return {{"node500", 4318}, "/v1/traces"}; }

    // What is to be said to one request; nothing: it takes it.
    struct Answer {
        std::string text;      // As it is.
        bool hangs_up = false; // Behind it.
        Duration delay{};      // Before it.
    };
    static std::string http(int status, const std::string& more = {},
                            const std::string& body = {}) {
        return "HTTP/1.1 " + std::to_string(status) + " So\r\n" + more +
               "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    }
    std::deque<Answer> answers;     // To the next ones.
    bool is_silent = false;         // It reads, and says nothing.
    std::vector<std::string> taken; // Bodies that were answered with 200.
    std::vector<Duration> asked;    // When, of the world.
    std::vector<std::string> heads;
    int connections = 0;

    void boot(sim::World& world) {
        world.boot(node, [this, &world](Environment& env) -> Result<> {
            const auto listener = TRY(env.network.listen(endpoint().address));
            Scope scope(env.fibers);
            for (;;) {
                auto stream = TRY(listener->accept());
                ++connections;
                scope.spawn("collector", [this, &world, &env, held = std::move(stream)] {
                    (void)serve(world, env, *held); // Whoever is served may leave.
                });
            }
        });
    }

private:
    Result<> serve(sim::World& world, Environment& env, Stream& stream) {
        std::string bytes;
        for (;;) {
            const std::string body = TRY(read(stream, bytes));
            asked.push_back(world.now());
            if (is_silent) TRY(env.fibers.sleep_until(Time::max()));
            Answer answer{http(200, {}, "{}"), false, {}};
            const bool is_told = !answers.empty();
            if (is_told) {
                answer = answers.front();
                answers.pop_front();
            }
            TRY(env.fibers.sleep_until(env.clock.now() + answer.delay));
            if (answer.text.starts_with("HTTP/1.1 200")) taken.push_back(body);
            if (!answer.text.empty()) TRY(stream.write({Bytes::copy_of(answer.text)}));
            if (answer.hangs_up) return {};
        }
    }

    Result<std::string> read(Stream& stream, std::string& bytes) {
        std::array<std::byte, 4096> piece;
        for (;;) {
            const auto head = bytes.find("\r\n\r\n");
            const auto length = bytes.find("Content-Length: ");
            if (head != std::string::npos && length < head) {
                const std::size_t size = std::stoul(bytes.substr(length + 16));
                if (bytes.size() >= head + 4 + size) {
                    heads.push_back(bytes.substr(0, head));
                    std::string body = bytes.substr(head + 4, size);
                    bytes.erase(0, head + 4 + size);
                    return body;
                }
            }
            const std::size_t count = TRY(stream.read_some(piece));
            if (count == 0) return Error::disconnected;
            bytes.append(reinterpret_cast<const char*>(piece.data()), count);
        }
    }
};

inline std::size_t count_spans(const std::string& body) {
    std::size_t count = 0;
    for (auto at = body.find("\"spanId\""); at != std::string::npos;
         at = body.find("\"spanId\"", at + 1))
        ++count;
    return count;
}

} // namespace pyralog::server
