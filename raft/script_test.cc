// Conversations as text: raft/scripts/*.txt. Lines that begin with "> " are commands, "#" begins a
// comment, and the rest is what the replicas wanted done, as it should be. UPDATE=1 in the
// environment rewrites that part; the difference is then for a reviewer to judge.
//
//     nodes 3 [pre_vote=no] [window=4] [entries=1024]
//     log 2 1 1 4            replica 2 has entries of these terms, one record each
//     vote 2 7 [3]           and has promised that much
//     start [2]              (all)          crash 2 [kept]   steps that reach the disk all the same
//     timeout 2              its deadline passes                elapse 2 150ms
//     propose 2 [records]                   barrier 2           transfer 2 3
//     deliver 2>3 [count]                   lose 2>3
//     sync 2 [count]         so many batches of effects are on its disk; without: all
//     settle                 messages and disks, until nothing moves
//     cut-off 2   deaf 2   heal
//     logs                   everybody's log, "|" after what is committed
#include "core/testing/places.h"
#include "raft/toy_group.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::raft;

namespace {

std::string text(std::int64_t number) { return std::to_string(number); }
std::string text(NodeId node) { return text(std::int64_t(node.value)); }
std::string text(Term term) { return text(std::int64_t(term.value)); }
std::string text(Position p) { return text(p.index) + '/' + text(p.offset.value); }

struct Say {
    std::string operator()(const wire::VoteRequest& m) const {
        return std::string(m.pre_vote ? "would vote" : "vote") + "? term=" + text(m.term) +
               " log_term=" + text(m.log_term) + " log_end=" + text(m.log_end) +
               (m.invited ? " invited" : "");
    }
    std::string operator()(const wire::VoteReply& m) const {
        return std::string(m.granted ? "yes" : "no") + (m.pre_vote ? ", would" : "") +
               " term=" + text(m.term);
    }
    std::string operator()(const wire::AppendRequest& m) const {
        return "append term=" + text(m.term) + " first=" + text(m.first) +
               " after_term=" + text(m.previous_term) + " committed=" + text(m.committed) +
               (m.context ? " context=" + text(std::int64_t(m.context)) : "") +
               (m.search ? " search=" + text(std::int64_t(m.search)) : "");
    }
    std::string operator()(const wire::AppendReply& m) const {
        return std::string(m.accepted ? "accepted" : "rejected") + " term=" + text(m.term) +
               " matched=" + text(m.matched) + " matched_term=" + text(m.matched_term) +
               (m.context ? " context=" + text(std::int64_t(m.context)) : "") +
               (m.search ? " search=" + text(std::int64_t(m.search)) : "");
    }
    std::string operator()(const wire::ResetRequest& m) const {
        return "reset term=" + text(m.term) + " start=" + text(m.start.first) +
               " after_term=" + text(m.start.before) + " committed=" + text(m.committed) +
               (m.context ? " context=" + text(std::int64_t(m.context)) : "") +
               (m.search ? " search=" + text(std::int64_t(m.search)) : "");
    }
    std::string operator()(const wire::StandRequest& m) const {
        return "stand term=" + text(m.term);
    }
    std::string operator()(const wire::TermRequest&) const { return "term?"; }
    std::string operator()(const wire::TermReply& m) const {
        return "term=" + text(m.term) + (m.vouches ? " vouches" : "");
    }
    std::string operator()(const Vote& v) const {
        return "vote term=" + text(v.term) + (v.candidate ? " for=" + text(*v.candidate) : "") +
               (v.is_unknown ? " unknown" : "");
    }
    std::string operator()(const Append& a) const {
        return "entry " + text(a.first) + " term=" + text(a.entry.term) +
               " records=" + text(std::int64_t(a.entry.records));
    }
    std::string operator()(const Cut& c) const { return "cut " + text(c.end); }
    std::string operator()(const Reset& r) const {
        return "reset " + text(r.start.first) + " after_term=" + text(r.start.before);
    }
};

class Conversation {
public:
    void run(const std::string& line) {
        std::istringstream words(line);
        std::string command;
        words >> command;
        if (command == "nodes") return make(words);
        if (command == "log") return set_log(words);
        if (command == "vote") return set_vote(words);
        if (command == "settle") return group_->settle();
        if (command == "heal") return group_->heal();
        if (command == "logs") return show_logs();
        if (command == "deliver" || command == "lose") return on_link(command, words);
        std::int32_t number = 0;
        if (!(words >> number)) {
            REQUIRE(command == "start");
            return group_->start_all();
        }
        at_node(command, NodeId(number), words);
    }
    std::string take_said() { return std::exchange(said_, {}); }

private:
    void line(const std::string& what) { said_ += "  " + what + '\n'; }

    void make(std::istringstream& words) {
        int size = 0;
        words >> size;
        RaftConfig config;
        for (std::string option; words >> option;) {
            const auto value = option.substr(option.find('=') + 1);
            if (option.starts_with("pre_vote=")) config.pre_vote = value == "yes";
            if (option.starts_with("window=")) config.appends_in_flight_max = std::stoi(value);
            if (option.starts_with("entries=")) config.append_entries_max = std::stoi(value);
        }
        group_ = std::make_unique<ToyGroup>(size, config, 1);
        seen_.clear();
        group_->listener = [this](NodeId node, const Effects& e) { hear(node, e); };
    }
    void set_log(std::istringstream& words) {
        std::int32_t node = 0;
        words >> node;
        ToyGroup::Disk& disk = group_->replicas.at(NodeId(node)).disk;
        for (int term = 0; words >> term;) {
            disk.log.entries.push_back(
                {disk.log.end(),
                 {.term = Term(term), .records = 1, .members = {}},
                 static_cast<std::int64_t>(disk.log.entries.size()) * 1000 + term});
            disk.vote.term = Term(term);
        }
    }
    void set_vote(std::istringstream& words) {
        std::int32_t node = 0, term = 0, candidate = 0;
        words >> node >> term;
        Vote& vote = group_->replicas.at(NodeId(node)).disk.vote;
        vote.term = Term(term);
        if (words >> candidate) vote.candidate = NodeId(candidate);
    }
    void on_link(const std::string& command, std::istringstream& words) {
        std::int32_t from = 0, to = 0;
        char arrow = 0;
        std::size_t count = 1;
        REQUIRE((words >> from >> arrow >> to));
        if (command == "lose") count = SIZE_MAX;
        words >> count;
        for (std::size_t at = 0; at < group_->network.size() && count > 0;) {
            const ToyGroup::Packet& packet = group_->network[at];
            if (packet.from != NodeId(from) || packet.to != NodeId(to)) {
                ++at;
                continue;
            }
            --count;
            if (command == "deliver")
                group_->deliver(at);
            else
                group_->network.erase(group_->network.begin() + static_cast<std::ptrdiff_t>(at));
        }
    }
    void at_node(const std::string& command, NodeId node, std::istringstream& words) {
        std::int64_t number = -1;
        words >> number;
        const bool given = number >= 0;
        if (command == "start") return group_->start(node);
        if (command == "crash") return group_->crash(node, given ? std::size_t(number) : 0);
        if (command == "timeout") return group_->tick_at_deadline(node);
        if (command == "elapse") return group_->elapse(node, std::chrono::milliseconds(number));
        if (command == "sync") return group_->sync(node, given ? std::size_t(number) : SIZE_MAX);
        if (command == "cut-off") return group_->cut_off(node);
        if (command == "deaf") return group_->make_deaf(node);
        if (command == "propose") {
            const auto place = group_->propose(node, given ? std::int32_t(number) : 1);
            return line(text(node) + (place.ok() ? " takes " + text(place.value().first)
                                                 : " " + std::string(to_string(place.error()))));
        }
        if (command == "transfer") {
            const auto begun = group_->transfer(node, NodeId(std::int32_t(number)));
            return begun.ok() ? void()
                              : line(text(node) + ' ' + std::string(to_string(begun.error())));
        }
        REQUIRE(command == "barrier");
        const auto asked = group_->barrier(node);
        line(text(node) + (asked.ok() ? " barrier " + text(std::int64_t(asked.value()))
                                      : " " + std::string(to_string(asked.error()))));
    }

    void hear(NodeId node, const Effects& effects) {
        const std::string who = text(node) + ' ';
        const Consensus& replica = (*group_)[node];
        Seen& seen = seen_[node];
        if (seen.role != replica.role() || seen.term != replica.term())
            line(who + std::string(to_string(replica.role())) + " term=" + text(replica.term()));
        for (const auto& step : effects.persist) line(who + "saves " + std::visit(Say(), step));
        const auto envelopes = [&](const std::vector<Envelope>& all, const char* when) {
            for (const Envelope& e : all)
                line(who + "-> " + text(e.to) + when + std::visit(Say(), e.message));
        };
        envelopes(effects.send, "  ");
        for (const Entries& e : effects.replicate)
            line(who + "-> " + text(e.to) + "  entries: " + Say()(e.request));
        envelopes(effects.send_when_durable, "  when durable: ");
        if (seen.committed != effects.committed) line(who + "committed " + text(effects.committed));
        if (seen.barriers < effects.barriers_passed)
            line(who + "barriers passed " + text(std::int64_t(effects.barriers_passed)));
        seen = {replica.role(), replica.term(), effects.committed, effects.barriers_passed};
    }
    void show_logs() {
        for (const auto& [node, replica] : group_->replicas) {
            std::string log;
            const auto& entries = (replica.consensus ? replica.log : replica.disk.log).entries;
            for (std::size_t i = 0; i < entries.size(); ++i) {
                log += ' ' + text(entries[i].entry.term);
                if (static_cast<std::int64_t>(i) + 1 == replica.committed.index) log += " |";
            }
            line(text(node) + (replica.consensus ? ":" : " down:") + log);
        }
    }

    struct Seen {
        Role role = Role::follower;
        Term term;
        Position committed;
        std::uint64_t barriers = 0;
    };
    std::unique_ptr<ToyGroup> group_;
    std::map<NodeId, Seen> seen_;
    std::string said_;

public:
    const std::optional<Violation>& violation() const { return group_->violation; }
};

// The script as it should read, given what the replicas say now.
std::string replayed(std::istream& script) {
    Conversation conversation;
    std::string result;
    for (std::string line; std::getline(script, line);) {
        const bool is_command = line.starts_with("> ");
        if (!is_command && !line.empty() && !line.starts_with("#")) continue;
        result += line + '\n';
        if (is_command) {
            conversation.run(line.substr(2));
            result += conversation.take_said();
        }
    }
    REQUIRE_FALSE(conversation.violation());
    return result;
}

} // namespace

TEST_CASE("every script is answered as it is written", "[raft]") {
    std::vector<std::filesystem::path> paths;
    for (const auto& file :
         std::filesystem::directory_iterator(testing::source_dir() + "/raft/scripts"))
        if (file.path().extension() == ".txt") paths.push_back(file.path());
    std::sort(paths.begin(), paths.end());
    REQUIRE(paths.size() >= 8);
    for (const auto& path : paths) {
        INFO(path.filename().string() << " (UPDATE=1 rewrites it)");
        std::ifstream in(path);
        std::stringstream expected;
        expected << in.rdbuf();
        const std::string actual = replayed(expected);
        if (std::getenv("UPDATE"))
            std::ofstream(path) << actual;
        else
            CHECK(actual == expected.str());
    }
}
