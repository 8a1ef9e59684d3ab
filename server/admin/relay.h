// server/admin/relay.h
//
// What another node says of itself: a page of its side door, asked for over the stream between the
// two, so that one console shows the whole cluster, and only one door has to be open. Only what is
// read can be asked for in this way.
//
// A node that does not know of this does not answer, and who asks has only so much patience.
#pragma once

#include "raft/host.h"
#include "server/admin/http.h"

#include <functional>
#include <map>

namespace pyralog::server {

class Relay {
public:
    using Answer = std::function<HttpResponse(const HttpRequest&)>;

    static constexpr Duration patience = 2s;
    static constexpr std::size_t asked_max = 64;
    static constexpr std::size_t answering_max = 8;
    static constexpr std::size_t request_bytes_max = 8 * 1024;
    // One that is larger would keep entries waiting on a slow link.
    static constexpr std::size_t answer_bytes_max = 4 * 1024 * 1024;

    // `answer` says what this node tells others. Both outlive this.
    Relay(Environment& env, raft::Host& host) : env_(env), host_(host) {}

    // Answers others until cancelled.
    Result<> run(const Answer& answer);

    // Waits. Error::timed_out, or Error::unavailable if too many ask already.
    Result<HttpResponse> ask(NodeId node, const HttpRequest& request);

private:
    struct Asked {
        explicit Asked(Scheduler& fibers) : answered(fibers) {}
        Signal answered;
        std::optional<wire::ForwardReply> reply;
        NodeId node;
    };

    void receive(NodeId from, wire::PeerMessage message);
    void tell(NodeId to, const wire::Forward& question);

    Environment& env_;
    raft::Host& host_;
    const Answer* answer_ = nullptr; // While run() runs, as the next.
    Scope* running_ = nullptr;
    std::size_t answering_ = 0;
    std::map<std::uint64_t, Asked*> asked_;
    std::uint64_t last_asked_ = 0;
};

} // namespace pyralog::server
