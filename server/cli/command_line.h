// server/cli/command_line.h
//
// What the user has typed, the environment holds and the file says, as one list of assignments to
// settings. Nothing is decided here; what is wrong with it comes out as lines for people. Which
// commands and options there are is in commands.h.
#pragma once

#include "server/config.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace pyralog::cli {

struct CommandLine {
    enum class Command : std::uint8_t {
        start,
        stop,
        status,
        config,
        metrics,
        log_digest,
        log_verify,
        log_dump,
        log_stats,
        log_repair,
        disk_probe,
        topic_list,
        topic_describe,
        topic_create,
        topic_alter,
        topic_delete,
        produce,
        consume,
        group_list,
        group_describe,
        group_delete,
        group_reset_offsets,
        cluster_up,
        cluster_status,
        completion,
        man,
    };

    Command command = Command::start;
    std::optional<std::string> config_file;
    std::optional<Address> admin;
    bool as_json = false;
    std::vector<std::string> directories; // `log`: of stopped nodes; `disk`: of any.
    bool as_reference = false;            // `config`, `metrics`: the table for the documents.
    bool as_template = false;             // `config`: a file with nothing but comments.
    std::optional<std::int64_t> group;    // `log dump`: of this one only.
    std::vector<Address> bootstrap;       // Of those who talk to brokers: where to begin.
    std::vector<std::string> names;       // Of topics or groups.
    std::string topic, to;                // `group reset-offsets`

    std::optional<std::int64_t> partitions, replicas; // `topic create`, `topic alter`
    std::vector<std::string> topic_configs;
    std::vector<std::string> resets; // `topic alter`

    std::optional<std::int64_t> partition; // `produce`, `consume`
    std::optional<std::string> file, key_separator;
    std::string acks = "all", compression = "none";
    bool empty_is_null = false, as_records = false;

    std::optional<std::string> from, format, in_group; // `consume`
    std::string isolation = "read_committed";
    std::optional<std::int64_t> count;
    bool follow = false;

    bool force = false; // `log repair`

    std::optional<std::int64_t> nodes; // `cluster up`
    std::string directory = "pyralog-cluster";

    std::string shell; // `completion`

    std::vector<std::string> sets; // As they stand behind --set; among the assignments, too.
    std::vector<server::Assignment> assignments;
};

// The command line; or, where there is nothing more to do, what to print and the code to exit with.
struct Farewell {
    std::string text;
    int exit_code = 0; // 0 for --help, 2 for a mistake.
};
std::variant<CommandLine, Farewell> parse_command_line(int argc, const char* const* argv);

// What a TOML file assigns, or one line that says why it cannot be read. A table is a section:
// [raft] election_timeout = "1s" sets raft.election_timeout. A setting that is a list may be an
// array, or a table whose keys and values are joined by '='.
std::variant<std::vector<server::Assignment>, std::string>
read_config_file(const std::string& path, const std::vector<Setting>& settings);

// The same of its text. `path` is for people.
std::variant<std::vector<server::Assignment>, std::string>
parse_config(std::string_view text, const std::string& path, const std::vector<Setting>& settings);

// What PYRALOG_… variables assign. `environment` is as in `char** environ`.
std::vector<server::Assignment> read_environment(const char* const* environment,
                                                 const std::vector<Setting>& settings);

} // namespace pyralog::cli
