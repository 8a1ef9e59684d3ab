// raft/toy_group.h
//
// For tests: a group of Consensus objects without I/O. The network is a vector of packets, which
// the test delivers, drops, repeats and reorders; a disk is a log and a vote, and what waits for it
// is a queue. Every entry carries a number in place of a payload. After every input all invariants
// are looked at; the first violation is kept in `violation`.
#pragma once

#include "raft/invariants.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace pyralog::raft {

class ToyGroup {
public:
    struct Logged {
        Position first;
        Entry entry;
        std::int64_t payload = 0; // Zero in the first entry of a term.

        Position end() const { return first.after(entry.records); }
        bool operator==(const Logged&) const = default;
    };
    struct Packet {
        NodeId from, to;
        Message message;
        std::vector<std::int64_t> payloads;
        int disk = 0, to_disk = 0; // Of the sender, and the one that it means.
    };
    // A log, or its end: it may have been trimmed.
    struct ToyLog {
        LogStart start;
        std::vector<Logged> entries;

        Position end() const { return entries.empty() ? start.first : entries.back().end(); }
        const Logged* at(std::int64_t index) const {
            if (index < start.first.index || index >= end().index) return nullptr;
            return &entries[static_cast<std::size_t>(index - start.first.index)];
        }
        void trim(const LogStart& to) {
            entries.erase(entries.begin(),
                          entries.begin() +
                              static_cast<std::ptrdiff_t>(to.first.index - start.first.index));
            start = to;
        }
        bool operator==(const ToyLog&) const = default;
    };
    struct Trimmed {
        LogStart start;
    };
    // An effect of `persist`, with what the Group would know beside it, or what its Log adds.
    using Step = std::variant<Vote, Logged, Cut, Reset, Trimmed>;
    struct Unsaved {
        std::vector<Step> steps;
        std::vector<Envelope> send;
        std::uint64_t ticket = 0;
    };
    struct Disk {
        Vote vote;
        ToyLog log;
        Position committed; // A hint, as the segments are one.
    };
    struct Replica {
        std::unique_ptr<Consensus> consensus; // Null while it is down.
        Time now;
        Disk disk;
        ToyLog log; // As the Group would read it: durable or not.
        std::deque<Unsaved> unsaved;
        Position committed;
        std::uint64_t barriers_passed = 0;
        int disk_number = 0;
        ToyLog gone; // What was on the disk that it has lost.
        std::map<NodeId, int>
            met; // Of each other the last disk: what comes from another is dropped.
    };

    static constexpr std::size_t packets_max = 400;

    ToyGroup(int size, const RaftConfig& config, std::uint64_t seed)
        : config(config), random(seed), agreement(members_of(size)), members_(members_of(size)) {
        for (const NodeId node : members_.voters) replicas[node];
    }

    // --- The life of a replica.

    void start(NodeId node) {
        Replica& r = replicas.at(node);
        r.log = r.disk.log;
        r.committed = r.disk.committed;
        TermTable terms(r.log.start.first, r.log.start.before);
        for (const Logged& logged : r.log.entries) terms.append(logged.entry.term, logged.first);
        const Random dice = random.fork("replica" + std::to_string(++starts_));
        r.consensus =
            std::make_unique<Consensus>(config, node, members_, r.disk.vote, r.disk.committed,
                                        r.log.end(), std::move(terms), dice, r.now);
        note(agreement.observe_started(*r.consensus));
    }
    void start_all() {
        for (auto& [node, replica] : replicas)
            if (!replica.consensus) start(node);
    }

    // Of what waits for the disk, the first `steps_kept` steps reach it all the same.
    void crash(NodeId node, std::size_t steps_kept = 0) {
        Replica& r = replicas.at(node);
        for (const Unsaved& unsaved : r.unsaved)
            for (const Step& step : unsaved.steps)
                if (steps_kept > 0) {
                    --steps_kept;
                    write(r.disk, step);
                }
        r.unsaved.clear();
        r.barriers_passed = 0;
        r.consensus.reset();
    }
    // Its disk is gone, and with it all but `kept` entries that were committed. The node is down.
    void lose_disk(NodeId node, std::size_t kept = 0) {
        Replica& r = replicas.at(node);
        CHECK(!r.consensus);
        Disk disk;
        const Disk old = std::exchange(r.disk, Disk());
        if (!old.vote.is_unknown) r.gone = old.log;
        if (kept > 0) disk.log.start = old.log.start;
        for (const Logged& entry : old.log.entries)
            if (kept > 0 && entry.first.index < old.committed.index &&
                disk.log.entries.size() < kept)
                disk.log.entries.push_back(entry);
        disk.committed = disk.log.end();
        disk.vote.term =
            disk.log.entries.empty() ? disk.log.start.before : disk.log.entries.back().entry.term;
        disk.vote.is_unknown = true;
        r.disk = std::move(disk);
        ++r.disk_number;
        agreement.gave_up(node);
    }
    // Knows all that it has promised.
    bool counts(NodeId node) const { return !replicas.at(node).disk.vote.is_unknown; }
    bool is_up(NodeId node) const { return replicas.at(node).consensus != nullptr; }
    Consensus& operator[](NodeId node) { return *replicas.at(node).consensus; }

    // --- Inputs.

    void elapse(NodeId node, Duration time) {
        Replica& r = replicas.at(node);
        r.now += time;
        if (!r.consensus || r.now < r.consensus->deadline()) return;
        r.consensus->tick(r.now);
        carry_out(node, nullptr, 0);
    }
    void tick_at_deadline(NodeId node) {
        Replica& r = replicas.at(node);
        if (!r.consensus || r.consensus->deadline() == Time::max()) return;
        r.now = std::max(r.now, r.consensus->deadline());
        elapse(node, Duration(0));
    }
    Result<Range> propose(NodeId node, std::int32_t records) {
        Replica& r = replicas.at(node);
        const Result<Range> place = r.consensus->propose(r.now, records);
        carry_out(node, nullptr, place.ok() ? ++last_payload_ : 0);
        return place;
    }
    // All before this index is to go, once a majority has heard of it.
    Result<Range> propose_trim(NodeId node, std::int64_t index) {
        Replica& r = replicas.at(node);
        const Result<Range> place = r.consensus->propose(r.now, 0);
        carry_out(node, nullptr, place.ok() ? -index : 0);
        return place;
    }
    Result<> transfer(NodeId node, NodeId to) {
        Replica& r = replicas.at(node);
        const Result<> begun = r.consensus->transfer(r.now, to);
        carry_out(node, nullptr, 0);
        return begun;
    }
    Result<std::uint64_t> barrier(NodeId node) {
        Replica& r = replicas.at(node);
        const Result<std::uint64_t> asked = r.consensus->barrier(r.now);
        carry_out(node, nullptr, 0);
        return asked;
    }

    // The disk has finished the first `count` batches of effects.
    void sync(NodeId node, std::size_t count) {
        Replica& r = replicas.at(node);
        for (; count > 0 && !r.unsaved.empty(); --count) {
            const Unsaved saved = std::move(r.unsaved.front());
            r.unsaved.pop_front();
            for (const Step& step : saved.steps) write(r.disk, step);
            for (const Envelope& envelope : saved.send) post(node, envelope.to, envelope.message);
            r.consensus->persisted(saved.ticket);
            // Of this log, not of one that has been overruled but is still on the disk.
            r.disk.committed =
                std::max(r.disk.log.start.first, std::min(r.committed, r.consensus->durable_end()));
            carry_out(node, nullptr, 0);
        }
    }
    void sync_all() {
        for (auto& [node, replica] : replicas)
            while (!replica.unsaved.empty()) sync(node, 1);
    }

    // --- The network.

    void deliver(std::size_t at, bool keep = false) {
        const Packet packet = network.at(at);
        if (!keep) network.erase(network.begin() + static_cast<std::ptrdiff_t>(at));
        if (!is_up(packet.to) || blocked.contains({packet.from, packet.to})) return;
        Replica& r = replicas.at(packet.to);
        int& met = r.met[packet.from];
        if (packet.disk < met || packet.to_disk != r.disk_number) return;
        met = packet.disk;
        r.consensus->receive(r.now, packet.from, packet.message);
        carry_out(packet.to, &packet, 0);
    }
    // The oldest on a link that moves.
    void deliver_oldest() {
        for (std::size_t at = 0; at < network.size(); ++at)
            if (!clogged.contains({network[at].from, network[at].to})) return deliver(at);
    }
    void deliver_all() {
        for (std::size_t count = network.size(); count > 0; --count) deliver_oldest();
    }
    void heal() {
        blocked.clear();
        clogged.clear();
    }
    void clog_all_of(NodeId node) {
        for (const auto& [other, replica] : replicas) {
            clogged.insert({node, other});
            clogged.insert({other, node});
        }
    }
    void make_deaf(NodeId node) {
        for (const auto& [other, replica] : replicas) blocked.insert({other, node});
    }
    void cut_off(NodeId node) {
        for (const auto& [other, replica] : replicas) {
            blocked.insert({node, other});
            blocked.insert({other, node});
        }
    }

    // Messages and disks, until nothing moves. Time stands still.
    void settle() {
        for (int round = 0; round < 1000 && !is_quiet(); ++round) {
            deliver_all();
            sync_all();
        }
    }
    // All clocks go on, the i-th at (100 + skew * i) percent; everybody keeps up.
    void run_for(Duration time, int skew_percent = 0) {
        const Duration step = config.heartbeat_interval / 3;
        for (Duration passed{}; passed < time; passed += step) {
            for (auto& [node, replica] : replicas)
                elapse(node, step + step * (skew_percent * node.value) / 100);
            settle();
        }
    }
    bool is_quiet() const {
        return network.empty() && std::all_of(replicas.begin(), replicas.end(), [](const auto& r) {
                   return r.second.unsaved.empty();
               });
    }

    // --- Questions.

    // Of the highest term.
    std::optional<NodeId> leader() const {
        std::optional<NodeId> found;
        Term highest;
        for (const auto& [node, r] : replicas) {
            if (!r.consensus || r.consensus->role() != Role::leader) continue;
            if (r.consensus->term() <= highest) continue;
            found = node;
            highest = r.consensus->term();
        }
        return found;
    }
    const Members& members() const { return members_; }

    const RaftConfig config;
    Random random;
    Agreement agreement;
    std::map<NodeId, Replica> replicas;
    std::vector<Packet> network;
    std::set<std::pair<NodeId, NodeId>> blocked; // What is delivered there is lost.
    std::set<std::pair<NodeId, NodeId>> clogged; // Nothing moves, and nothing is lost.
    std::optional<Violation> violation;
    std::function<void(NodeId, const Effects&)> listener; // Hears what each replica wants done.

private:
    static Members members_of(int size) {
        Members members;
        for (int i = 1; i <= size; ++i) members.voters.push_back(NodeId(i));
        return members;
    }
    static void write(Disk& disk, const Step& step) {
        if (const auto* vote = std::get_if<Vote>(&step)) disk.vote = *vote;
        write(disk.log, step);
        disk.committed = std::max(disk.committed, disk.log.start.first);
    }
    static void write(ToyLog& log, const Step& step) {
        if (const auto* appended = std::get_if<Logged>(&step)) {
            CHECK(appended->first == log.end());
            log.entries.push_back(*appended);
        } else if (const auto* cut = std::get_if<Cut>(&step)) {
            while (!log.entries.empty() && log.entries.back().first.index >= cut->end.index)
                log.entries.pop_back();
            CHECK(log.end() == cut->end);
        } else if (const auto* reset = std::get_if<Reset>(&step)) {
            CHECK(reset->start.first.index > log.end().index);
            log = {reset->start, {}};
        } else if (const auto* trimmed = std::get_if<Trimmed>(&step)) {
            log.trim(trimmed->start);
        }
    }

    // What a Group does with Effects. Appended entries get the payloads that came with the packet.
    void carry_out(NodeId node, const Packet* packet, std::int64_t proposed) {
        Replica& r = replicas.at(node);
        for (;;) {
            Effects effects = r.consensus->take_effects();
            if (listener) listener(node, effects);
            note(agreement.observe(*r.consensus));
            if (violation) return; // Nothing below is meant for a world in which this can be.
            Unsaved unsaved{
                .steps = {}, .send = effects.send_when_durable, .ticket = effects.ticket};
            for (const auto& step : effects.persist) {
                unsaved.steps.push_back(with_payload(step, packet, proposed));
                write(r.log, unsaved.steps.back());
            }
            for (const Envelope& envelope : effects.send) post(node, envelope.to, envelope.message);
            for (const Entries& wanted : effects.replicate) replicate(node, wanted);
            const std::optional<LogStart> start = check_payloads(r, effects.committed);
            if (start) {
                r.consensus->trimmed(start->first);
                unsaved.steps.push_back(Trimmed{*start});
                write(r.log, unsaved.steps.back());
            }
            if (effects.needs_disk() || start) r.unsaved.push_back(std::move(unsaved));
            r.barriers_passed = effects.barriers_passed;
            if (effects.replicate.empty() && !start) break;
        }
    }
    static Step with_payload(const std::variant<Vote, Append, Cut, Reset>& step,
                             const Packet* packet, std::int64_t proposed) {
        if (const auto* vote = std::get_if<Vote>(&step)) return *vote;
        if (const auto* cut = std::get_if<Cut>(&step)) return *cut;
        if (const auto* reset = std::get_if<Reset>(&step)) return *reset;
        const auto& append = std::get<Append>(step);
        std::int64_t payload = proposed;
        if (packet) {
            const auto* request = std::get_if<wire::AppendRequest>(&packet->message);
            if (request)
                payload = packet->payloads.at(
                    static_cast<std::size_t>(append.first.index - request->first.index));
        }
        return Logged{append.first, append.entry, payload};
    }
    void replicate(NodeId from, const Entries& wanted) {
        Replica& r = replicas.at(from);
        wire::AppendRequest request = wanted.request;
        std::vector<std::int64_t> payloads;
        Position end = request.first;
        if (request.first.index < r.log.start.first.index)
            return fail("log matching", "wanted what was trimmed");
        for (const Logged* next = r.log.at(end.index);
             next && request.entries.size() < std::size_t(config.append_entries_max);
             next = r.log.at(end.index)) {
            if (next->first != end) return fail("log matching", "wanted from a wrong place");
            request.entries.push_back(next->entry);
            payloads.push_back(next->payload);
            end = next->end();
        }
        post(from, wanted.to, std::move(request), std::move(payloads));
        r.consensus->sent(wanted.to, end);
    }
    void post(NodeId from, NodeId to, Message message, std::vector<std::int64_t> payloads = {}) {
        if (network.size() >= packets_max) network.erase(network.begin());
        const Replica& sender = replicas.at(from);
        const auto met = sender.met.find(to);
        network.push_back({from, to, std::move(message), std::move(payloads), sender.disk_number,
                           met == sender.met.end() ? 0 : met->second});
    }

    void note(const std::optional<Violation>& found) {
        if (found && !violation) violation = found;
    }
    void fail(std::string_view invariant, std::string detail) {
        note(Violation{invariant, std::move(detail)});
    }
    // What is committed is the same everywhere, to the payload; and what is missing was trimmed by
    // an entry that is committed. The start that is to follow from what is committed, if any.
    std::optional<LogStart> check_payloads(Replica& r, Position committed) {
        if (committed.index > r.log.end().index) {
            fail("committed is in the log", "toy");
            return {};
        }
        const std::int64_t start = r.log.start.first.index;
        if (start > 0 && !agreed_starts_.contains(start))
            fail("a log begins where all agree", "toy: start=" + std::to_string(start));
        std::int64_t trim = start;
        for (std::int64_t i = std::max(start, r.committed.index); i < committed.index; ++i) {
            const Logged& entry = *r.log.at(i);
            if (i == static_cast<std::int64_t>(history_.size())) {
                history_.push_back(entry);
                if (entry.payload < 0) agreed_starts_.insert(-entry.payload);
                check_on_majority_of_disks(i);
            }
            if (i > static_cast<std::int64_t>(history_.size()) || history_at(i) != entry) {
                fail("state machine safety", "index=" + std::to_string(i));
                return {};
            }
            trim = std::max(trim, -entry.payload);
        }
        r.committed = std::max(r.committed, committed);
        if (trim == start) return {};
        const Position first = history_at(trim - 1).end();
        return LogStart{first, history_at(trim - 1).entry.term, first.offset};
    }
    const Logged& history_at(std::int64_t index) const {
        return history_[static_cast<std::size_t>(index)];
    }
    // And it is on the disks themselves, whatever the replicas believe of theirs.
    void check_on_majority_of_disks(std::int64_t index) {
        std::size_t count = 0;
        for (const auto& [node, r] : replicas) {
            const auto has_it = [&](const ToyLog& log) {
                const Logged* const there = log.at(index);
                return index < log.start.first.index || (there && *there == history_at(index));
            };
            if (r.disk.vote.is_unknown ? has_it(r.gone) : has_it(r.disk.log)) ++count;
        }
        if (count <= replicas.size() / 2)
            fail("committed is durable on a majority", "index=" + std::to_string(index));
    }

    const Members members_;
    std::vector<Logged> history_;
    std::set<std::int64_t> agreed_starts_;
    std::int64_t last_payload_ = 0;
    int starts_ = 0;
};

} // namespace pyralog::raft
