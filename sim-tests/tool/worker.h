// sim-tests/tool/worker.h
//
// Runs in processes of their own: one that crashes, or never ends, takes nobody with it, and is
// known by its seed. A worker is a fork of this process that does something, writes what comes of
// it into a pipe, and ends; it dies with us, and Ctrl-C is for us alone.
#pragma once

#include "sim-tests/tool/report.h"

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pyralog::simtest {

// A run that takes longer than this, in real time, hangs.
constexpr std::chrono::seconds run_time_max{300};

Duration real_now();

class Worker {
public:
    // What it does: writes with write_all() to `fd`, and says in `progress` where it is.
    using Body = std::function<void(int fd, Progress& progress)>;

    explicit Worker(const Body& body);
    ~Worker(); // Kills it.
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;

    int fd() const { return fd_; }
    Duration began() const { return began_; }
    // It has got somewhere, for so much CPU time.
    void begins_anew(Duration cpu) {
        began_ = real_now();
        cpu_told_ += cpu;
    }

    // The next whole line that it has sent, if there is one.
    std::optional<std::string> take_line();
    // Exactly that many bytes, after waiting for them. False: it ended before.
    bool read_exactly(std::span<std::byte> bytes);
    // More of what it sends. False: it has ended.
    bool read_more();

    // It has ended and not said why, or has to be ended because it hangs: what it was doing then.
    SeedReport post_mortem(bool hangs);

private:
    int pid_ = -1;
    int fd_ = -1;
    Progress* progress_ = nullptr; // In memory that both see.
    std::string unread_;
    Duration began_{0};
    Duration cpu_told_{0};
};

// In a worker. Ends the process if nobody listens any more.
void write_all(int fd, std::string_view text);

// One run, in this process.
struct RunHere {
    std::uint64_t seed = 0;
    std::string bug = {};
    std::string trace_path = {}; // Lines go there, if it is not empty.
    // Fills the heap with holes first, so that addresses come in another order than in the run
    // before: what depends on them shows. Another number, other holes; none for zero.
    int perturbed = 0;
    std::optional<bool> engine = {}; // Instead of what the plan says.
    PlanEdits edits = {};
    sim::ChoiceOptions choices = {}; // If they are not in the RunOptions.
};
SeedReport run_here(const RunHere& what, Progress* progress, RunOptions options = {});

// One run, in a worker.
SeedReport run_apart(const RunHere& what);
inline SeedReport run_apart(std::uint64_t seed, const std::string& bug,
                            const std::string& trace_path) {
    return run_apart({seed, bug, trace_path, false, {}});
}

} // namespace pyralog::simtest
