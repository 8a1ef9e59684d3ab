// server/dispatch.h
//
// Which APIs there are, in which versions, and who answers them. The only such list: what
// ApiVersions announces is made from it, so what we announce is what we serve.
#pragma once

#include "core/wire/kafka/api.h"
#include "server/node.h"

#include <concepts>
#include <memory>
#include <span>
#include <vector>

namespace pyralog::server {

// The frame of an answer, empty if there is to be none, and what the connection has to know of it.
struct Answered {
    Answered() = default;
    Answered(BytesChain f) : frame(std::move(f)) {}
    BytesChain frame;
    std::vector<wire::kafka::ErrorCode> errors;
    Duration throttle{}; // As Started::mute().
};

// A request that has begun. Requests of a connection begin in the order in which they come, and
// are finished in that order; between the two, many are under way.
class Started {
public:
    virtual ~Started() = default;
    // Waits for what there is to wait for. An error ends the connection.
    virtual Result<Answered> finish() = 0;
    // Nothing more is heard of the client for so long, from now on.
    virtual Duration mute() const { return {}; }
};

template <class Function>
class StartedWith : public Started {
public:
    explicit StartedWith(Function finish) : finish_(std::move(finish)) {}
    Result<Answered> finish() override { return finish_(); }

private:
    Function finish_;
};

template <std::invocable Function>
std::unique_ptr<Started> started(Function finish) {
    return std::make_unique<StartedWith<Function>>(std::move(finish));
}

// What the frame of a request says it asks for; perhaps nothing that there is.
wire::kafka::ApiKey api_of(const Bytes& frame);

// Begins what the frame asks for, which has come from `client`. Does not wait. An error ends the
// connection: Kafka has no answer to a request that cannot be read.
Result<std::unique_ptr<Started>> start(Node& node, Bytes frame, std::string client);

// One API, as it is served.
struct Served {
    wire::kafka::ApiKey key;
    std::int16_t version_min;
    std::int16_t version_max;
    std::int16_t announced_min; // May be lower than what is answered: see dispatch.cc.
    Result<std::unique_ptr<Started>> (*start)(Node&, wire::kafka::RequestParts);
};
std::span<const Served> served_apis();

} // namespace pyralog::server
