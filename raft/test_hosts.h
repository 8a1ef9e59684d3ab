// raft/test_hosts.h
//
// For tests: Hosts with everything below them, one for each node of a simulated world, and what a
// test wants of them.
#pragma once

#include "io/sim/world.h"
#include "raft/config.h"
#include "raft/host.h"

#include <algorithm>
#include <array>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

namespace pyralog::raft::host_test {

inline constexpr GroupId group_one{1};
inline constexpr GroupId group_two{2};
inline constexpr std::uint16_t peer_port = 9093;
inline constexpr Duration patience = 30s; // Of a test: for what must come sooner or later.

inline Address address_of(NodeId node) { return {"node" + std::to_string(node.value), peer_port}; }

inline wire::RecordBatch batch_of(std::string_view value) {
    wire::RecordBatchBuilder builder;
    builder.add({}, value);
    return std::get<wire::RecordBatch>(wire::RecordBatch::parse(builder.build()));
}

// The value of a counter or gauge.
inline std::int64_t metric(const Environment& env, std::string_view name) {
    const std::string text = env.metrics.expose();
    const std::string start = "\n" + std::string(name) + ' ';
    const auto at = text.find(start);
    return at == std::string::npos ? -1 : std::stoll(text.substr(at + start.size()));
}

// Claims a place and waits until it is settled, for so long; the first offset.
inline Result<Offset> produce(Environment& env, Host& host, std::string_view value,
                              GroupId id = group_one, Duration within = 5s) {
    const GroupRef group = host.find(id);
    if (!group) return Error::not_found;
    const Deadline deadline(env.fibers, env.clock.now() + within);
    const Group::Proposal proposal = TRY(group->propose(batch_of(value)));
    TRY(group->settle(proposal));
    return proposal.place.first.offset;
}

// One Host for each node. What a test wants of one it does in a fiber of that node.
class Hosts {
public:
    using Body = std::function<Result<Offset>(Environment&, Host&)>;
    using Answer = std::optional<Result<Offset>>;

    explicit Hosts(int size, std::uint64_t seed = 1) : world(seed) {
        for (int id = 1; id <= size; ++id) nodes.push_back(NodeId(id));
        groups = {member_of(group_one)};
        journal.file_bytes = 1_MiB; // Quickly made.
    }

    Host::Member member_of(GroupId group) const { return {group, {nodes, {}, {}}}; }

    void start(NodeId node) {
        world.boot(node, sim::World::Main([this, node](Environment& env) -> Result<> {
                       wire::Hello hello;
                       hello.cluster = clusters.contains(node) ? clusters[node] : "test";
                       hello.node = node;
                       hello.incarnation = env.random.next();
                       std::vector<Transport::Peer> peers;
                       for (const NodeId other : nodes)
                           if (other != node) peers.push_back({other, address_of(other)});
                       Host host(env, {raft, journal, log, peer}, hello, std::move(peers));
                       TRY(env.kv.open());
                       TRY(host.open(groups, untold));
                       auto listener = TRY(env.network.listen(address_of(node)));
                       Scope scope(env.fibers);
                       const Alive alive(*this, node, {&host, &scope});
                       return host.run(nodes.size() > 1 ? std::move(listener) : nullptr);
                   }));
    }
    // An empty disk in place of the one that this node has had. It is down.
    void replace_disk(NodeId node) {
        world.disk(node).replace();
        world.facts(node).replace();
    }
    // What the last one to be told counts as abstaining, and whose disk it has given up so often.
    std::int64_t given_up(NodeId node) {
        return metric(world.environment(node), "pyralog_disk_given_up_total");
    }
    void start_all() {
        for (const NodeId node : nodes) start(node);
    }

    // Goes on until `done` or for too long.
    bool until(const std::function<bool()>& done, Duration within = patience) {
        return world.run_until(world.now() + within, done);
    }

    // Begins something on a node; what comes of it will be in the answer.
    const Answer& begin(NodeId node, Body body) {
        Answer& answer = answers_.emplace_back();
        const auto [host, scope] = alive_.at(node);
        scope->spawn("test", [&env = world.environment(node), &host = *host, &answer, body] {
            answer = body(env, host);
        });
        return answer;
    }
    Result<Offset> on(NodeId node, Body body) {
        const Answer& answer = begin(node, std::move(body));
        const bool over = until([&] { return answer.has_value() || !world.running(node); });
        return over ? answer.value_or(Error::cancelled) : Error::unavailable;
    }
    Result<Offset> produce(NodeId node, std::string_view value, GroupId group = group_one) {
        return on(node, [value = std::string(value), group](Environment& env, Host& host) {
            return host_test::produce(env, host, value, group);
        });
    }

    bool up(NodeId node) const { return alive_.contains(node); }
    Host& host(NodeId node) { return *alive_.at(node).host; }
    const Group& group(NodeId node, GroupId id = group_one) { return *host(node).groups().at(id); }

    // Who leads and knows what is committed, once somebody does that is none of `others`.
    NodeId leader(std::vector<NodeId> others = {}, GroupId id = group_one) {
        NodeId found;
        const bool led = until([&] {
            for (const auto& [node, alive] : alive_) {
                const bool other = std::find(others.begin(), others.end(), node) != others.end();
                const auto& here = alive.host->groups();
                if (!other && here.contains(id) && here.at(id)->serves()) found = node;
            }
            return found != NodeId();
        });
        CHECK(led);
        return found;
    }
    std::vector<NodeId> all_but(NodeId node) const {
        std::vector<NodeId> others = nodes;
        std::erase(others, node);
        return others;
    }

    // What is committed on a node, record by record.
    std::vector<std::string> values(NodeId node, GroupId id = group_one) {
        std::vector<std::string> values;
        const Result<Offset> read = on(node, [&](Environment&, Host& host) -> Result<Offset> {
            const GroupRef group = host.find(id);
            Offset next = group->log().log_start().offset;
            while (next < group->committed().offset) {
                Bytes rest = joined(TRY(group->read(next, 1_MiB)));
                while (!rest.empty()) {
                    auto taken = wire::RecordBatch::take_first(rest);
                    const auto* batch = std::get_if<wire::RecordBatch>(&taken);
                    if (batch == nullptr) return Error::corrupt;
                    for (const wire::Record& record : TRY(wire::records_of(*batch)))
                        values.emplace_back(record.value->text());
                    next = batch->end();
                }
            }
            return next;
        });
        CHECK(read.ok());
        return values;
    }

    RaftConfig raft;
    JournalConfig journal;
    LogConfig log;
    TransportConfig peer;
    std::vector<NodeId> nodes;
    std::vector<Host::Member> groups;       // That a node is told of when it starts.
    GroupId untold = Host::none_untold;     // Of the next node that is started.
    std::map<NodeId, std::string> clusters; // Of nodes that belong to another one.

private:
    struct Running {
        Host* host;
        Scope* scope; // Ends before the Host does.
    };
    struct Alive {
        Alive(Hosts& h, NodeId n, Running running) : hosts(h), node(n) {
            hosts.alive_[node] = running;
        }
        ~Alive() { hosts.alive_.erase(node); }
        Hosts& hosts;
        NodeId node;
    };

    std::deque<Answer> answers_;
    std::map<NodeId, Running> alive_;

public:
    sim::World world; // Ends first: its fibers still write to the above.
};

inline Hosts::Body trim_at(std::int64_t offset) {
    return
        [offset](Environment&, Host& host) { return host.find(group_one)->trim(Offset(offset)); };
}

using Strings = std::vector<std::string>;

} // namespace pyralog::raft::host_test
