// A node's recovery, ended at every completion of its disk, twice in a row.
#include "core/log/file_names.h"
#include "core/log/test_node.h"
#include "io/sim/crash_points.h"

#include <algorithm>

#include <catch2/catch.hpp>

using namespace pyralog;
using namespace pyralog::log_test;
using sim::Crash;
using sim::sanitized;

namespace {

// So small that a file takes a handful of rounds, and a segment a handful of entries.
Settings tiny_files() {
    Settings settings = Settings::small();
    settings.journal.file_bytes = 16_KiB;
    settings.journal.journal_bytes_max = 64_KiB;
    settings.journal.round_bytes_max = 32_KiB;
    settings.log.segment_bytes = 4_KiB;
    settings.log.segment_flush_bytes = 1_KiB;
    settings.log.cache_bytes = 0;
    settings.log.node_cache_bytes = 0;
    return settings;
}

// Where all goes past the journal that can, and much cannot: a segment has room for a few.
Settings tiny_files_and_bulk() {
    Settings settings = tiny_files();
    settings.journal.bulk_min_bytes = 1;
    return settings;
}

// The same, but a single entry is not worth it.
Settings tiny_files_and_large_bulk() {
    Settings settings = tiny_files_and_bulk();
    settings.journal.bulk_min_bytes = 1200;
    settings.log.segment_bytes = 16_KiB;
    return settings;
}

constexpr int subject_group = 1;
constexpr std::size_t crash_bytes = 900;

// Knows what was asked of the node and what it has promised, over all its lives.
class LogSubject final : public sim::CrashSubject {
public:
    using Scenario = std::function<Result<>(LogSubject&, Life&)>;

    LogSubject(std::uint64_t seed, Scenario scenario, const Settings& settings = tiny_files())
        : node_(seed, settings), scenario_(std::move(scenario)) {}

    sim::World& world() override { return node_.world; }
    NodeId node() const override { return TestNode::id; }

    void boot(std::size_t life) override {
        term_ = Term(static_cast<std::int64_t>(life) + 1);
        node_.boot([this, life](Life& l) -> Result<> {
            TRY(compare(l));
            if (life == 0) return scenario_(*this, l);
            // It is of use again, and goes on from what it has found.
            TRY(append(l));
            vote(l);
            TRY(sync(l));
            TRY(l.writer.flush());
            return nothing_old(l);
        });
    }

    std::string judge() override {
        if (!node_.opened.ok()) return "open: " + std::string(to_string(node_.opened.error()));
        const Result<> end = node_.world.exit_status(node()).value_or(Result<>(Error::cancelled));
        if (trouble_.empty() && !end.ok()) return "end: " + std::string(to_string(end.error()));
        return trouble_;
    }

    // ---- For scenarios ----

    Result<> append(Life& life) {
        const auto index = static_cast<std::size_t>(TRY(life.log(subject_group))->end().index);
        if (index == terms_.size()) terms_.emplace_back();
        terms_[index].push_back(term_);
        return life.append(subject_group, term_, crash_bytes);
    }
    void vote(Life& life) {
        voted_ = Term(voted_.value + 1);
        life.vote(subject_group, voted_, "somebody");
    }
    Result<> sync(Life& life) {
        const auto entries = static_cast<std::size_t>(TRY(life.log(subject_group))->end().index);
        const Term voted = voted_;
        const std::int64_t start = starts_.back();
        TRY(life.journal.sync());
        promised_ = std::max(promised_, entries);
        for (std::size_t i = 0; i < entries; ++i) terms_[i] = {terms_[i].back()};
        promised_vote_ = std::max(promised_vote_, voted);
        promised_start_ = std::max(promised_start_, start);
        return {};
    }
    // So many of the last ones, by a leader of the next term.
    Result<> cut(Life& life, std::int64_t count) {
        Log& log = *TRY(life.log(subject_group));
        const std::int64_t index = log.end().index - count;
        log.cut({index, Offset(index)});
        promised_ = std::min(promised_, static_cast<std::size_t>(index));
        term_ = term_.next();
        return {};
    }
    Result<> commit_all(Life& life) {
        Log& log = *TRY(life.log(subject_group));
        log.set_committed(log.end());
        return {};
    }
    // At an index at which an entry begins that is committed, or behind the last one.
    Result<> trim(Life& life, std::int64_t index) {
        Log& log = *TRY(life.log(subject_group));
        starts_.push_back(index);
        log.trim({{index, Offset(index)}, Offset(index)});
        return {};
    }
    // So far behind the end, all that is there being committed.
    Result<> begin_anew(Life& life, std::int64_t gap) {
        Log& log = *TRY(life.log(subject_group));
        const std::int64_t index = log.end().index + gap;
        starts_.push_back(index);
        log.reset({{index, Offset(index)}, term_, Offset(index)});
        terms_.resize(static_cast<std::size_t>(index), {term_});
        return {};
    }
    static Result<> pass(Life& life, Duration time) {
        return life.env.fibers.sleep_until(life.env.clock.now() + time);
    }

private:
    Result<> wrong(std::string what) {
        trouble_ = std::move(what);
        return Error::malformed;
    }

    // What is there now must be there from now on, whatever happens.
    Result<> compare(Life& life) {
        Log& log = *TRY(life.log(subject_group));
        const std::int64_t start = log.start().index;
        if (start < promised_start_) return wrong("the log begins before where it was trimmed");
        if (std::ranges::find(starts_, start) == starts_.end())
            return wrong("the log begins where nobody has trimmed it");
        std::size_t found = static_cast<std::size_t>(start);
        if (start > 0 && log.terms().before(start) != terms_[found - 1].back())
            return wrong("the term before the start is forgotten");
        if (log.log_start().offset != Offset(start))
            return wrong("which record is the first is forgotten");
        for (Position at = log.start(); at != log.end(); ++found) {
            const auto frames = TRY(log.read_frames(at, log.end(), 1));
            if (frames.empty()) return wrong("an entry cannot be read");
            if (found == terms_.size()) return wrong("an entry was never appended");
            const Term term = frames[0].term;
            const wire::Frame expected = Life::entry(at, subject_group, term, crash_bytes);
            if (frames[0].first != at ||
                std::ranges::find(terms_[found], term) == terms_[found].end() ||
                joined(frames[0].payload).text() != joined(expected.payload).text())
                return wrong("an entry is not what was appended");
            terms_[found] = {term};
            term_ = std::max(term_, term);
            at = frames[0].end();
        }
        if (found < promised_)
            return wrong("found " + std::to_string(found) + " entries of " +
                         std::to_string(promised_) + " that were durable");
        const Term voted = life.voted(subject_group);
        if (voted < promised_vote_) return wrong("a vote is forgotten");
        if (voted > voted_) return wrong("a vote was never given");
        terms_.resize(found);
        starts_ = {start};
        promised_start_ = start;
        promised_ = found;
        voted_ = promised_vote_ = voted;
        return {};
    }

    // What lies before the start of the log is removed at last.
    Result<> nothing_old(Life& life) {
        const auto names = life.env.disk.list("groups/" + std::to_string(subject_group));
        if (!names.ok() && names.error() == Error::not_found) return {};
        TRY(names);
        for (std::size_t i = 1; i < names.value().size(); ++i)
            if (*segment_first_index(names.value()[i]) <= starts_.front())
                return wrong("what was trimmed is still there");
        return {};
    }

    TestNode node_;
    Scenario scenario_;
    Term term_;
    // Of the entries that were appended and may be there; more than one of what was cut.
    std::vector<std::vector<Term>> terms_;
    std::size_t promised_ = 0;
    Term voted_, promised_vote_;
    std::vector<std::int64_t> starts_{0}; // Where the log may begin: the last one was asked last.
    std::int64_t promised_start_ = 0;
    std::string trouble_;
};

// At every completion, and then at every completion of the recovery. The second crash is the one
// that finds what is only in the cache, or only half made.
void crash_everywhere(const LogSubject::Scenario& scenario,
                      const Settings& settings = tiny_files()) {
    const std::vector<std::vector<Crash>> pairs[] = {
        {{Crash::kill}, {Crash::kill}},          {{Crash::kill}, {Crash::keeps_none}},
        {{Crash::keeps_none}, {Crash::by_unit}}, {{Crash::by_unit}, {Crash::keeps_none}},
        {{Crash::by_unit, Crash::keeps_all}},
    };
    std::uint64_t seed = 0;
    for (const auto& ways : pairs) {
        sim::CrashPlan plan;
        plan.make = [&, seed = ++seed] {
            return std::make_unique<LogSubject>(seed, scenario, settings);
        };
        plan.ways = ways;
        const sim::CrashReport report = for_each_crash_point(plan);
        CHECK(report.trouble == "");
        CHECK(report.points[0] > 30);
        if (ways.size() > 1) CHECK(report.points[1] > 1000);
    }
}

// Fills files, so that the journal rolls into a new one, and then into one that was used before.
Result<> roll_journal(LogSubject& subject, Life& life) {
    for (int i = 0; i < 6; ++i) {
        TRY(subject.append(life));
        if (i % 2 == 0) subject.vote(life);
        TRY(subject.sync(life));
        TRY(subject.commit_all(life));
        if (i % 3 == 2) TRY(life.writer.flush());
    }
    return {};
}

// Moves entries to segments, of which each is soon full and sealed.
Result<> roll_segments(LogSubject& subject, Life& life) {
    for (int i = 0; i < 3; ++i) {
        for (int k = 0; k < 3; ++k) TRY(subject.append(life));
        TRY(subject.sync(life));
        TRY(subject.commit_all(life));
        TRY(life.writer.flush());
    }
    return {};
}

// Writes seals, and a file whose marks are all that is left of those before it.
Result<> seal_and_mark(LogSubject& subject, Life& life) {
    subject.vote(life);
    TRY(subject.append(life));
    TRY(subject.sync(life));
    TRY(LogSubject::pass(life, 20ms));
    TRY(subject.commit_all(life));
    TRY(life.writer.flush());
    for (int i = 0; i < 3; ++i) {
        TRY(subject.append(life));
        TRY(subject.sync(life));
        TRY(LogSubject::pass(life, 20ms));
    }
    return {};
}

// Removes segments, and passes over entries that were to be moved to one.
Result<> trim(LogSubject& subject, Life& life) {
    for (int i = 0; i < 3; ++i) {
        for (int k = 0; k < 4; ++k) TRY(subject.append(life));
        TRY(subject.sync(life));
        TRY(subject.commit_all(life));
        if (i < 2) TRY(life.writer.flush());
        TRY(subject.trim(life, 4 * i + (i < 2 ? 3 : 4)));
        TRY(subject.sync(life));
        TRY(life.writer.flush());
    }
    return {};
}

// Forgets all there is, half of it in segments, and goes on elsewhere.
Result<> begin_anew(LogSubject& subject, Life& life) {
    for (int k = 0; k < 5; ++k) TRY(subject.append(life));
    TRY(subject.sync(life));
    TRY(subject.commit_all(life));
    TRY(life.writer.flush());
    for (int k = 0; k < 2; ++k) TRY(subject.append(life));
    TRY(subject.sync(life));
    TRY(subject.commit_all(life));
    TRY(subject.begin_anew(life, 5));
    TRY(subject.append(life));
    TRY(subject.sync(life));
    TRY(subject.commit_all(life));
    return life.writer.flush();
}

// What is past the journal in each of its states: cut and written over, moved, cut behind that.
Result<> write_and_cut(LogSubject& subject, Life& life) {
    for (int i = 0; i < 2; ++i) {
        for (int k = 0; k < 3; ++k) TRY(subject.append(life));
        TRY(subject.sync(life));
        TRY(subject.cut(life, 2));
        for (int k = 0; k < 2; ++k) TRY(subject.append(life));
        TRY(subject.sync(life)); // By the journal: the cut was not durable before.
        TRY(subject.cut(life, 1));
        TRY(subject.sync(life));
        TRY(subject.append(life));
        TRY(subject.append(life));
        TRY(subject.sync(life));
        TRY(subject.commit_all(life));
        TRY(life.writer.flush());
        TRY(subject.append(life));
        if (i == 0) TRY(subject.sync(life));
        TRY(subject.cut(life, 1));
    }
    return subject.sync(life);
}

} // namespace

TEST_CASE("a crash at any point of writing past the journal, and of the recovery, loses nothing",
          "[log][crash][bulk]") {
    crash_everywhere(write_and_cut, tiny_files_and_large_bulk());
    crash_everywhere(write_and_cut, tiny_files_and_bulk());
    crash_everywhere(roll_journal, tiny_files_and_bulk());
    crash_everywhere(roll_segments, tiny_files_and_bulk());
    crash_everywhere(trim, tiny_files_and_bulk());
    crash_everywhere(begin_anew, tiny_files_and_bulk());
}

TEST_CASE("a crash at any point of rolling the journal, and of the recovery, loses nothing",
          "[log][crash]") {
    crash_everywhere(roll_journal);
}

TEST_CASE("a crash at any point of rolling segments, and of the recovery, loses nothing",
          "[log][crash]") {
    crash_everywhere(roll_segments);
}

TEST_CASE("a crash at any point of sealing and marking, and of the recovery, loses nothing",
          "[log][crash]") {
    crash_everywhere(seal_and_mark);
}

TEST_CASE("a crash at any point of trimming, and of the recovery, loses nothing else",
          "[log][crash]") {
    crash_everywhere(trim);
}

TEST_CASE("a crash at any point of beginning a log anew, and of the recovery, loses nothing else",
          "[log][crash]") {
    crash_everywhere(begin_anew);
}

// ---- Reads that return another sector ----

namespace {

// Lives once, and then again with a read of this place gone wrong, or with none. What is wrong.
std::string misread(const LogSubject::Scenario& scenario, std::string_view path,
                    std::uint64_t position, std::uint64_t& effective,
                    const std::function<void(const sim::Medium&)>& look = {}) {
    LogSubject subject(1, scenario);
    sim::World& world = subject.world();
    const auto live = [&](std::size_t life) {
        subject.boot(life);
        const Duration limit = world.now() + std::chrono::hours(1);
        return world.run_until(limit, [&] { return !world.running(TestNode::id); });
    };
    if (!live(0)) return "hangs";
    world.cut_power(TestNode::id);
    sim::Medium& disk = world.disk(TestNode::id);
    if (look) look(disk);
    if (!path.empty()) disk.misdirect_read(path, position);
    if (!live(1)) return "hangs";
    effective += world.counts().effective(sim::Fault::misdirected_read);
    return subject.judge();
}

void misread_everything(const LogSubject::Scenario& scenario) {
    constexpr std::uint64_t sector = sim::Medium::sector_size;
    std::vector<std::pair<std::string, std::uint64_t>> files;
    std::uint64_t effective = 0;
    CHECK(misread(scenario, {}, 0, effective, [&](const sim::Medium& disk) {
              for (const auto& [inode, path] : disk.durable_files())
                  files.emplace_back(path, disk.durable_size(inode));
          }).empty());
    for (const auto& [path, size] : files) {
        for (std::uint64_t at = 0; at < size; at += sector) {
            const std::string trouble = misread(scenario, path, at, effective);
            if (!trouble.empty()) FAIL(trouble << ", after a read of " << path << " at " << at);
        }
    }
    CHECK(effective > 40);
}

} // namespace

TEST_CASE("a wrong sector read once, at any place of the disk, loses nothing", "[log][crash]") {
    misread_everything(roll_journal);
    misread_everything(roll_segments);
    misread_everything(trim);
}

// ---- The round that was being written ----

namespace {

using Fate = sim::Medium::Fate;

// Cuts the power while the last round is in flight, so that its units fare like this; then lives
// once more, loses all that it did not sync, and lives again. Empty, or what is wrong.
std::string cut_last_round(std::uint64_t seed, std::size_t entries, std::vector<Fate> fates) {
    bool in_flight = false;
    const auto scenario = [&](LogSubject& s, Life& life) -> Result<> {
        TRY(s.append(life));
        TRY(s.sync(life));
        TRY(LogSubject::pass(life, 5ms));
        for (std::size_t i = 0; i < entries; ++i) TRY(s.append(life));
        in_flight = true;
        return s.sync(life);
    };
    Settings settings = tiny_files();
    settings.journal.file_bytes = 96_KiB; // A round takes a quarter at most.
    LogSubject subject(seed, scenario, settings);
    sim::World& world = subject.world();
    subject.boot(0);
    while (!in_flight || world.disk(TestNode::id).unsynced_units() == 0) world.step();
    if (world.disk(TestNode::id).unsynced_units() != fates.size())
        return "another round, of " + std::to_string(world.disk(TestNode::id).unsynced_units());
    world.disk(TestNode::id).plan_cut(std::move(fates));
    world.cut_power(TestNode::id);
    for (std::size_t life = 1; life <= 2; ++life) {
        subject.boot(life);
        const Duration limit = world.now() + std::chrono::hours(1);
        if (!world.run_until(limit, [&] { return !world.running(TestNode::id); })) return "hangs";
        if (const std::string trouble = subject.judge(); !trouble.empty()) return trouble;
        world.cut_power(TestNode::id);
    }
    return {};
}

// All ways to give each of `units` units one of these fates.
void for_each_lattice(std::size_t units, std::span<const Fate> fates,
                      const std::function<void(std::vector<Fate>)>& visit) {
    std::vector<std::size_t> digits(units, 0);
    for (;;) {
        std::vector<Fate> chosen;
        for (const std::size_t digit : digits) chosen.push_back(fates[digit]);
        visit(std::move(chosen));
        std::size_t at = 0;
        while (at < units && ++digits[at] == fates.size()) digits[at++] = 0;
        if (at == units) return;
    }
}

std::uint64_t seed_with_unit(std::size_t unit) {
    for (std::uint64_t seed = 1;; ++seed) {
        sim::World world(seed);
        world.add_host(TestNode::id, "node1");
        if (world.disk(TestNode::id).unit_size() == unit) return seed;
    }
}

} // namespace

TEST_CASE("whatever becomes of each sector of the last round, the journal opens without harm",
          "[log][crash]") {
    constexpr std::array all{Fate::survives, Fate::lost, Fate::torn};
    const std::span fates = std::span(all).first(sanitized ? 2 : 3);
    const std::uint64_t seed = seed_with_unit(512);
    std::uint64_t runs = 0;
    for_each_lattice(8, fates, [&](std::vector<Fate> chosen) {
        ++runs;
        const std::string trouble = cut_last_round(seed, 2, std::move(chosen));
        if (!trouble.empty()) FAIL(trouble);
    });
    CHECK(runs == (sanitized ? 256 : 6561));
}

TEST_CASE("whatever becomes of each page of the last round, the journal opens without harm",
          "[log][crash]") {
    constexpr std::array all{Fate::survives, Fate::lost, Fate::torn, Fate::garbage};
    const std::span fates = std::span(all).first(sanitized ? 2 : 4);
    const std::uint64_t seed = seed_with_unit(4096);
    std::uint64_t runs = 0;
    for_each_lattice(5, fates, [&](std::vector<Fate> chosen) {
        ++runs;
        const std::string trouble = cut_last_round(seed, 18, std::move(chosen));
        if (!trouble.empty()) FAIL(trouble);
    });
    CHECK(runs == (sanitized ? 32 : 1024));
}
