#include "sim-tests/tool/replay.h"

#include <algorithm>
#include <charconv>
#include <memory>

#include <poll.h>

namespace pyralog::simtest {

namespace {

// What a worker is to do, beyond the file.
struct Task {
    ReplayLimits limits;
    bool record_always = false;
    std::optional<std::uint64_t> last_event; // Ends there.
};

void send(int fd, const Replayed& replayed) {
    std::string text = to_json(replayed.report) + '\n';
    for (const sim::FaultEvent& fault : replayed.faults)
        text += std::to_string(fault.at.count()) + ' ' + std::to_string(fault.number) + ' ' +
                fault.stream + '\t' + fault.what + '\n';
    for (const auto& [name, choices] : replayed.list.streams)
        text += sim::to_string(name, choices) + '\n';
    write_all(fd, text + "end\n");
}

void play(const ChoicesFile& file, const Task& task, int fd, Progress& progress) {
    Replayed replayed;
    RunOptions options;
    options.choices = file.options();
    options.choices.recorded = true;
    options.after_step = [&](sim::World& world) {
        if (task.last_event && world.steps() >= *task.last_event) return false;
        return !task.limits.simulated || world.now() <= *task.limits.simulated;
    };
    options.at_end = [&](sim::World& world) {
        replayed.list = world.choices().recorded();
        replayed.faults = world.choices().faults();
    };
    replayed.report = task.limits.play(file, &progress, options);
    if (replayed.report.exit_code == exit_pass && !task.record_always) replayed.list = {};
    send(fd, replayed);
}

sim::FaultEvent fault_from(std::string_view line) {
    sim::FaultEvent fault;
    std::int64_t at = 0;
    const char* const end = line.data() + line.size();
    const char* next = std::from_chars(line.data(), end, at).ptr;
    next = std::from_chars(next + 1, end, fault.number).ptr;
    fault.at = Duration(at);
    const std::string_view rest(next + 1, end);
    const std::size_t tab = rest.find('\t');
    fault.stream = rest.substr(0, tab);
    fault.what = rest.substr(tab + 1);
    return fault;
}

// One worker and what it has told so far.
struct Player {
    Player(const ChoicesFile& f, const Task& task, std::size_t n)
        : number(n), file(f),
          worker([&f, task](int fd, Progress& progress) { play(f, task, fd, progress); }) {}

    // Whole lines that are there. True: it is done.
    bool take_lines() {
        while (auto line = worker.take_line()) {
            if (*line == "end") return true;
            if (!reported) {
                std::string problem;
                const auto report = seed_report_from(*line, problem);
                CHECK(report.has_value());
                replayed.report = *report;
                reported = true;
            } else if (line->starts_with("stream ")) {
                CHECK(sim::parse_stream(*line, replayed.list).empty());
            } else {
                replayed.faults.push_back(fault_from(*line));
            }
        }
        return false;
    }

    std::size_t number;
    const ChoicesFile& file;
    Worker worker;
    Replayed replayed;
    bool reported = false;
};

Replayed play_to_end(const ChoicesFile& file, const Task& task) {
    Player player(file, task, 0);
    for (;;) {
        if (player.take_lines()) return std::move(player.replayed);
        pollfd polled{player.worker.fd(), POLLIN, 0};
        poll(&polled, 1, 200);
        if (polled.revents != 0 && !player.worker.read_more()) {
            if (player.take_lines()) return std::move(player.replayed);
            player.replayed.report = player.worker.post_mortem(false);
            return std::move(player.replayed);
        }
        if (polled.revents == 0 && real_now() - player.worker.began() > task.limits.real) {
            player.replayed.report = player.worker.post_mortem(true);
            return std::move(player.replayed);
        }
    }
}

// A dead process tells nothing: what it drew is what it draws until the step before.
void record_crash(const ChoicesFile& file, const ReplayLimits& limits, Replayed& replayed) {
    if (replayed.report.oracle != "crash") return;
    const Replayed before = play_to_end(file, {limits, true, replayed.report.event});
    replayed.list = before.list;
    replayed.faults = before.faults;
}

// Several at once.
class Pool {
public:
    Pool(std::span<const ChoicesFile> files, int jobs, const ReplayLimits& limits,
         const std::function<bool(const Replayed&)>& enough)
        : files_(files), jobs_(static_cast<std::size_t>(jobs)), limits_(limits), enough_(enough),
          results_(files.size()) {}

    std::vector<std::optional<Replayed>> run() {
        end_ = files_.size();
        for (;;) {
            std::erase_if(players_, [this](const auto& player) { return player->number >= end_; });
            while (next_ < end_ && players_.size() < jobs_) {
                players_.push_back(
                    std::make_unique<Player>(files_[next_], Task{limits_, false, {}}, next_));
                ++next_;
            }
            if (players_.empty()) break;
            wait();
        }
        return std::move(results_);
    }

private:
    void wait() {
        std::vector<pollfd> polled;
        for (const auto& player : players_) polled.push_back({player->worker.fd(), POLLIN, 0});
        poll(polled.data(), polled.size(), 200);
        for (std::size_t i = polled.size(); i-- > 0;) {
            Player& player = *players_[i];
            bool ended = false;
            if (polled[i].revents != 0) {
                ended = !player.worker.read_more();
                if (player.take_lines()) {
                    done(i);
                    continue;
                }
            }
            const bool hangs = !ended && real_now() - player.worker.began() > limits_.real;
            if (!ended && !hangs) continue;
            player.replayed.report = player.worker.post_mortem(hangs);
            record_crash(player.file, limits_, player.replayed);
            done(i);
        }
    }

    void done(std::size_t i) {
        const std::size_t number = players_[i]->number;
        if (enough_ && enough_(players_[i]->replayed)) end_ = std::min(end_, number + 1);
        results_[number] = std::move(players_[i]->replayed);
        players_.erase(players_.begin() + static_cast<std::ptrdiff_t>(i));
    }

    const std::span<const ChoicesFile> files_;
    const std::size_t jobs_;
    const ReplayLimits limits_;
    const std::function<bool(const Replayed&)>& enough_;
    std::vector<std::optional<Replayed>> results_;
    std::vector<std::unique_ptr<Player>> players_;
    std::size_t next_ = 0, end_ = 0;
};

} // namespace

SeedReport play_cluster(const ChoicesFile& file, Progress* progress, RunOptions options) {
    return run_here({.seed = file.seed, .bug = file.bug, .edits = file.edits}, progress,
                    std::move(options));
}

Replayed replay(const ChoicesFile& file, const ReplayLimits& limits) {
    Replayed replayed = play_to_end(file, {limits, false, {}});
    record_crash(file, limits, replayed);
    return replayed;
}

std::vector<std::optional<Replayed>>
replay_all(std::span<const ChoicesFile> files, int jobs, const ReplayLimits& limits,
           const std::function<bool(const Replayed&)>& enough) {
    return Pool(files, jobs, limits, enough).run();
}

Replayed record(const ChoicesFile& file, const PlayHere& play) {
    const ReplayLimits limits{{}, run_time_max, play};
    Replayed replayed = play_to_end(file, {limits, true, {}});
    record_crash(file, limits, replayed);
    return replayed;
}

} // namespace pyralog::simtest
