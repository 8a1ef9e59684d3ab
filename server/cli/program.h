// server/cli/program.h
//
// All that can be set about the process: the node, and the world that it runs in. And the road to
// it, from what the user has said to a config that makes sense, or a line for each mistake.
#pragma once

#include "io/real/config.h"
#include "server/cli/command_line.h"
#include "server/cli/data_dir.h"
#include "server/config.h"

namespace pyralog::cli {

// Exit codes of all commands.
constexpr int exit_failed = 1;  // The world is not as it would have to be.
constexpr int exit_mistake = 2; // The settings or the command line are wrong.

struct Program {
    server::Config node;
    real::IoConfig io;
    std::vector<Setting> settings; // Of the two above, into which they refer.
    server::Applied applied;

    Program();
    Program(const Program&) = delete;
    Program& operator=(const Program&) = delete;

    template <class Visitor>
    void describe(Visitor& setting) {
        node.describe(setting);
        io.describe(setting);
    }

    // Takes in file, environment and flags. False after it has told all mistakes on stderr.
    bool load(const CommandLine& line, const char* const* environment);

    // Looks at directory and ports without touching them, then takes the directory. False after it
    // has told on stderr what is in the way.
    bool prepare(DataDir& directory) const;
};

// `pyralog: …` on stderr.
void complain(const std::string& line);

// ---- The commands besides `start`; each prints, and returns the code to exit with ----

int show_config(const CommandLine& line, const Program& program);
int show_status(const CommandLine& line, const Program& program);
int show_metrics(const CommandLine& line, const Program& program);
int stop_node(const CommandLine& line, const Program& program);
int show_digest(const CommandLine& line, const Program& program);
int verify_logs(const CommandLine& line, const Program& program);
int dump_logs(const CommandLine& line, const Program& program);
int show_log_stats(const CommandLine& line, const Program& program);
int repair_logs(const CommandLine& line, const Program& program);
int probe_disk(const CommandLine& line, const Program& program);
int manage_groups(const CommandLine& line, const Program& program);
int manage_topics(const CommandLine& line, const Program& program);
int produce_records(const CommandLine& line, const Program& program);
int consume_records(const CommandLine& line, const Program& program);
int run_trial_cluster(const CommandLine& line, const Program& program);
int show_cluster(const CommandLine& line, const Program& program);
int print_completion(const CommandLine& line);
int print_manual(const Program& program);

// Has a node run in this directory, and does none now? Empty, or what is in the way.
std::string look_at_stopped(const std::string& directory);
// The world of that node, for whoever only reads.
real::IoConfig reading_config(const real::IoConfig& io, const std::string& directory);

} // namespace pyralog::cli
