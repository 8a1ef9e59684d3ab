#include "sim-tests/tool/message_text.h"

#include "core/wire/peer.h"
#include "sim-tests/swarm.h"
#include "sim-tests/workload.h"

#include <optional>

namespace pyralog::simtest {

namespace kafka = wire::kafka;

namespace {

constexpr std::size_t messages_max = 8; // Of a packet: more are counted.
constexpr std::size_t peer_body_max = std::size_t{128} << 20;

std::string of(std::int64_t number) { return std::to_string(number); }
std::string of(Position position) { return of(position.index) + "/" + of(position.offset.value); }

struct Words {
    std::string operator()(const wire::VoteRequest& m) const {
        return std::string(m.pre_vote ? "could I lead in" : "vote for me in") + " term " +
               of(m.term.value) + "? my log ends at " + of(m.log_end) + " of term " +
               of(m.log_term.value);
    }
    std::string operator()(const wire::TermRequest&) const { return "term?"; }
    std::string operator()(const wire::TermReply& m) const {
        return "term " + std::to_string(m.term.value) + (m.vouches ? ", vouches" : "");
    }
    std::string operator()(const wire::StandRequest& m) const {
        return "stand for election, term " + of(m.term.value);
    }
    std::string operator()(const wire::HandOver& m) const {
        return "let node " + of(m.to.value) + " lead";
    }
    std::string operator()(const wire::VoteReply& m) const {
        return std::string(m.granted ? "yes" : "no") + (m.pre_vote ? ", if you stood" : "") +
               ", term " + of(m.term.value);
    }
    std::string operator()(const wire::AppendRequest& m) const {
        std::string text = m.entries.empty() ? "heartbeat" : "append " + of(m.first);
        if (!m.entries.empty())
            text += ".." + of(m.first.index + static_cast<std::int64_t>(m.entries.size()));
        else
            text += " at " + of(m.first);
        return text + " term " + of(m.term.value) + " after term " + of(m.previous_term.value) +
               " committed " + of(m.committed);
    }
    std::string operator()(const wire::AppendReply& m) const {
        return std::string(m.accepted ? "durable up to " : "refused, we part before ") +
               of(m.matched) + " term " + of(m.term.value);
    }
    std::string operator()(const wire::ResetRequest& m) const {
        return "begin anew at " + of(m.start.first) + " term " + of(m.term.value) + " after term " +
               of(m.start.before.value) + " committed " + of(m.committed);
    }
    std::string operator()(const wire::Forward& m) const {
        return "please propose #" + of(static_cast<std::int64_t>(m.id));
    }
    std::string operator()(const wire::ForwardReply& m) const {
        return std::string(m.outcome == 0 ? "done" : "failed") + " #" +
               of(static_cast<std::int64_t>(m.id));
    }
    std::string operator()(const wire::Leadership& m) const {
        return std::string(m.leads ? "I lead" : "I lead no more") + " in term " + of(m.term.value);
    }
    std::string operator()(const wire::FramesRequest& m) const {
        return "I have lost " + of(m.first) + ".." + of(m.end);
    }
    std::string operator()(const wire::FramesReply& m) const { return "I have of " + of(m.first); }
    std::string operator()(const wire::CompactedRequest&) const {
        return "how far have you compacted";
    }
    std::string operator()(const wire::CompactedReply& m) const {
        return "compacted before " + of(m.compacted.end);
    }
};

Bytes whole(std::span<const Bytes> bytes) { return joined(BytesChain(bytes.begin(), bytes.end())); }

// Numbers in the byte order of networks.
std::optional<std::int64_t> number_at(const Bytes& bytes, std::size_t at, std::size_t size) {
    if (at + size > bytes.size()) return {};
    std::uint64_t value = 0;
    for (const std::byte b : bytes.view().subspan(at, size))
        value = value << 8 | std::to_integer<std::uint64_t>(b);
    const std::size_t unused = 64 - 8 * size;
    return static_cast<std::int64_t>(value << unused) >> unused;
}

} // namespace

MessageText peer_text(std::span<const Bytes> bytes) {
    const Bytes all = whole(bytes);
    if (all.size() < wire::PeerHeader::size) return {};
    const auto header = wire::peer_header(all.view().first(wire::PeerHeader::size), peer_body_max);
    if (!header.ok() || all.size() != wire::PeerHeader::size + header.value().body_size) return {};
    const Bytes body = all.slice(wire::PeerHeader::size, header.value().body_size);
    const auto packet = wire::packet_from(header.value(), body);
    if (!packet.ok()) {
        const auto hello = wire::hello_from(header.value(), body);
        if (!hello.ok()) return {};
        return {"hello from " + of(hello.value().node.value), {}};
    }
    MessageText found;
    std::size_t count = 0;
    for (const wire::PeerMessage& message : packet.value().messages) {
        found.groups.insert(message.group);
        if (++count > messages_max) continue;
        if (count > 1) found.text += "; ";
        found.text += "g" + of(message.group.value) + " " + std::visit(Words(), message.body);
    }
    if (count > messages_max)
        found.text += "; and " + of(static_cast<std::int64_t>(count - messages_max)) + " more";
    if (count == 0) found.text = "I am alive";
    return found;
}

std::string KafkaTexts::request(std::uint64_t stream, std::span<const Bytes> bytes) {
    const Bytes all = whole(bytes);
    const auto key = number_at(all, 4, 2);
    const auto correlation = number_at(all, 8, 4);
    if (!key || !correlation) return {};
    const kafka::Api* api = kafka::find_api(static_cast<kafka::ApiKey>(*key));
    if (!api) return {};
    std::string text(api->name);
    asked_[{stream, static_cast<std::int32_t>(*correlation)}] = text;
    return text + "?";
}

std::string KafkaTexts::answer(std::uint64_t stream, std::span<const Bytes> bytes) {
    const auto correlation = number_at(whole(bytes), 4, 4);
    if (!correlation) return {};
    const auto asked = asked_.find({stream, static_cast<std::int32_t>(*correlation)});
    if (asked == asked_.end()) return {};
    std::string text = asked->second + " answer";
    asked_.erase(asked);
    return text;
}

MessageText SentTexts::of(const sim::TraceEvent& event) {
    if (event.kind != sim::TraceKind::sent || event.bytes.empty()) return {};
    if (event.port != kafka_address_of(NodeId(1)).port) return peer_text(event.bytes);
    if (event.node >= first_client) return {kafka_.request(event.stream, event.bytes), {}};
    return {kafka_.answer(event.stream, event.bytes), {}};
}

} // namespace pyralog::simtest
