#include "server/admin/relay.h"

#include "core/base/config.h"

namespace pyralog::server {

namespace {

using Lane = raft::Transport::Lane;

// Of no partition and not the controller's: who hears it knows that it is for us.
constexpr GroupId relay_group{-1};

// A status, a space, and the body.
Bytes encode(const HttpResponse& response) {
    return Bytes::copy_of(std::to_string(response.status) + ' ' + response.body);
}

Result<HttpResponse> decode(const Bytes& bytes) {
    const std::string_view text = bytes.text();
    const auto space = text.find(' ');
    const auto status = parse_integer(text.substr(0, space));
    if (space == std::string_view::npos || !status || *status < 200 || *status > 599)
        return Error::malformed;
    return HttpResponse{
        static_cast<int>(*status), "application/json", std::string(text.substr(space + 1)), {}};
}

} // namespace

Result<> Relay::run(const Answer& answer) {
    Scope scope(env_.fibers);
    answer_ = &answer;
    running_ = &scope;
    host_.on_other(relay_group, [this](NodeId from, wire::PeerMessage message) {
        receive(from, std::move(message));
    });
    Condition never(env_.fibers);
    const Result<> ended = never.wait([] { return false; });
    host_.on_other(relay_group, {});
    running_ = nullptr;
    return ended;
}

Result<HttpResponse> Relay::ask(NodeId node, const HttpRequest& request) {
    if (asked_.size() >= asked_max) return Error::unavailable;
    const std::uint64_t id = ++last_asked_;
    Asked asked(env_.fibers);
    asked.node = node;
    asked_[id] = &asked;
    const std::string target = request.path + '?' + request.query;
    host_.transport().send(node, {relay_group, wire::Forward{id, Bytes::copy_of(target)}, {}});
    const Deadline deadline(env_.fibers, env_.clock.now() + patience);
    const Result<> waited = asked.answered.wait();
    asked_.erase(id);
    TRY(waited);
    return decode(asked.reply->answer);
}

void Relay::receive(NodeId from, wire::PeerMessage message) {
    if (const auto* question = std::get_if<wire::Forward>(&message.body)) {
        tell(from, *question);
    } else if (auto* reply = std::get_if<wire::ForwardReply>(&message.body)) {
        const auto found = asked_.find(reply->id);
        if (found == asked_.end() || found->second->node != from) return; // Too late.
        found->second->reply = std::move(*reply);
        found->second->answered.set();
    }
}

void Relay::tell(NodeId to, const wire::Forward& question) {
    const std::string_view target = question.command.text();
    if (!running_ || answering_ >= answering_max || target.size() > request_bytes_max) return;
    ++answering_;
    const std::string_view path = target.substr(0, target.find('?'));
    HttpRequest request{"GET", std::string(path),
                        std::string(target.substr(std::min(target.size(), path.size() + 1)))};
    running_->spawn("relay", [this, to, id = question.id, request = std::move(request)] {
        HttpResponse response = (*answer_)(request);
        if (response.body.size() > answer_bytes_max)
            response = {503, {}, "{\"error\":\"the answer of that node is too long\"}\n", {}};
        // Behind the entries: it is large, and can wait.
        host_.transport().send(to, {relay_group, wire::ForwardReply{id, 0, encode(response)}, {}},
                               Lane::entries);
        --answering_;
    });
}

} // namespace pyralog::server
