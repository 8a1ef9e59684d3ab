// core/log/test_node.h
//
// For tests: a node that has nothing but a journal, logs and a segment writer, in a simulated
// world. Its disk outlives its lives. What a life does is a function that runs in its main fiber.
#pragma once

#include "core/log/journal.h"
#include "core/log/log.h"
#include "core/log/read_ahead.h"
#include "core/log/segment_writer.h"
#include "core/log/survey.h"
#include "io/sim/world.h"

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace pyralog::log_test {

struct Settings {
    JournalConfig journal;
    LogConfig log;
    std::uint64_t identity = 4711;

    // So small that a test of a few hundred entries rolls everything there is.
    static Settings small() {
        Settings settings;
        settings.journal.file_bytes = 48_KiB;
        settings.journal.journal_bytes_max = 256_KiB;
        settings.journal.round_bytes_max = 8_KiB;
        settings.log.segment_bytes = 24_KiB;
        settings.log.segment_flush_bytes = 4_KiB;
        settings.log.cache_bytes = 2_KiB;
        settings.log.node_cache_bytes = 16_KiB;
        return settings;
    }
};

// One process: everything open, and running.
class Life {
public:
    Life(Environment& e, const Settings& settings)
        : env(e), journal(e, "journal", settings.journal, settings.identity),
          ahead(e, settings.log),
          budget(e.metrics, settings.log.node_cache_bytes,
                 static_cast<std::size_t>(settings.log.open_segments_max), &ahead),
          writer(e, journal, settings.log), settings_(settings) {}
    ~Life() {
        for (auto& [group, log] : logs) writer.remove(*log);
    }

    Result<> open() {
        for (const GroupId group : TRY(Log::list(env))) TRY(open_log(group));
        TRY(journal.open([this](const wire::Frame& frame) -> Result<> {
            ++replayed;
            if (!logs.contains(frame.group)) TRY(open_log(frame.group));
            return logs.at(frame.group)->replay(frame);
        }));
        for (auto& [group, log] : logs) TRY(log->finish_replay());
        for (auto& [group, log] : logs) writer.add(*log);
        return {};
    }

    // The log of a group, made if there is none.
    Result<Log*> log(int number) {
        const GroupId group(number);
        if (!logs.contains(group)) {
            TRY(open_log(group));
            TRY(logs.at(group)->finish_replay());
            writer.add(*logs.at(group));
        }
        return logs.at(group).get();
    }

    // One entry with that many bytes, which depend on where it stands.
    Result<> append(int number, Term term, std::size_t bytes, std::int32_t records = 1) {
        Log& to = *TRY(log(number));
        to.append(entry(to.end(), number, term, bytes, records));
        return {};
    }
    static wire::Frame entry(Position first, int number, Term term, std::size_t bytes,
                             std::int32_t records = 1) {
        wire::Frame frame;
        frame.kind = records > 0 ? wire::Frame::Kind::records : wire::Frame::Kind::term_start;
        frame.group = GroupId(number);
        frame.term = term;
        frame.first = first;
        frame.records = records;
        std::string text(bytes, '\0');
        std::uint64_t x = static_cast<std::uint64_t>(first.index * 1000 + number * 100) +
                          static_cast<std::uint64_t>(term.value);
        for (char& c : text) {
            x = x * 6364136223846793005u + 1442695040888963407u;
            c = static_cast<char>(x >> 56);
        }
        if (!text.empty()) frame.payload = {Bytes::copy_of(text)};
        return frame;
    }
    void vote(int number, Term term, std::string_view candidate) {
        wire::Frame frame;
        frame.kind = wire::Frame::Kind::vote;
        frame.group = GroupId(number);
        frame.term = term;
        frame.payload = {Bytes::copy_of(candidate)};
        journal.append(frame);
    }
    Term voted(int number) const {
        const auto vote = journal.vote(GroupId(number));
        return vote ? vote->term : Term();
    }

    Environment& env;
    Journal journal;
    ReadAhead ahead;
    TailBudget budget;
    SegmentWriter writer;
    std::map<GroupId, std::unique_ptr<Log>> logs;
    std::uint64_t replayed = 0;

private:
    Result<> open_log(GroupId group) {
        logs.emplace(group, TRY(Log::open(env, journal, budget, settings_.log, group)));
        return {};
    }
    Settings settings_;
};

class TestNode {
public:
    static constexpr NodeId id{1};
    using Script = std::function<Result<>(Life&)>;

    explicit TestNode(std::uint64_t seed = 1, Settings s = Settings::small(),
                      const sim::Faults& faults = {})
        : world(seed, faults), settings(std::move(s)) {}

    // Opens, and runs the script. Does not go on by itself: see finish() and steps().
    void boot(Script script) {
        opened = Error::cancelled;
        world.boot(id, [this, script = std::move(script)](Environment& env) -> Result<> {
            Life life(env, settings);
            opened = life.open();
            TRY(opened);
            Result<> failed; // Of the fibers of the node.
            Scope scope(env.fibers);
            scope.spawn("journal", [&] { failed = life.journal.run(); });
            scope.spawn("segments", [&] { (void)life.writer.run(); });
            scope.spawn("read ahead", [&] { (void)life.ahead.run(); });
            return script(life);
        });
    }

    // Until the script has ended. What main has returned: what open() or the script has.
    Result<> finish() {
        const Duration limit = world.now() + std::chrono::hours(1);
        if (!world.run_until(limit, [&] { return !world.running(id); })) return Error::timed_out;
        return world.exit_status(id).value_or(Result<>(Error::unavailable));
    }
    // A whole life.
    Result<> live(Script script) {
        boot(std::move(script));
        return finish();
    }
    // False if the script has ended before.
    bool steps(std::uint64_t count) {
        while (count-- > 0) {
            if (!world.running(id)) return false;
            world.step();
        }
        return world.running(id);
    }
    void cut_power() { world.cut_power(id); }

    sim::Medium& disk() { return world.disk(id); }
    // Newest last.
    std::vector<std::string> journal_files() {
        std::vector<std::string> files;
        const auto names = disk().list("journal").value_or(std::vector<std::string>());
        for (const std::string& name : names)
            if (name.ends_with(".log")) files.push_back("journal/" + name);
        return files;
    }

    sim::World world;
    Settings settings;
    Result<> opened;
};

// Something done to the disk itself, with the node off.
inline void with_disk(TestNode& node, const std::function<Result<>(Disk&)>& deed) {
    node.world.boot(TestNode::id, [&](Environment& env) { return deed(env.disk); });
    CHECK(node.finish().ok());
}

inline Result<> pass(Life& life, Duration time) {
    return life.env.fibers.sleep_until(life.env.clock.now() + time);
}

// What somebody says of the node's disk who only looks at it, while it does not run.
inline Survey look(TestNode& node) {
    Survey found;
    node.world.boot(TestNode::id, [&](Environment& env) -> Result<> {
        found = TRY(survey(env, "journal"));
        return {};
    });
    CHECK(node.finish().ok());
    return found;
}

} // namespace pyralog::log_test
