// server/cli/commands.h
//
// All commands and their options, described once. The command line is read by this table, and
// --help, the manual page and the shells' completions are made from it: what is in one is in all.
//
// What stands behind an option says what it is like, for people and for shells: words with bars
// between them are all that it may be, FILE and DIRECTORY are looked for on the disk.
#pragma once

#include "server/cli/command_line.h"

#include <span>
#include <string>
#include <variant>
#include <vector>

namespace pyralog::cli {

// A setting of this name.
struct SettingName {
    const char* name;
};

// Where what was given goes to.
using Field = std::variant<
    bool CommandLine::*, std::string CommandLine::*, std::vector<std::string> CommandLine::*,
    std::optional<std::int64_t> CommandLine::*, std::optional<Address> CommandLine::*,
    std::vector<Address> CommandLine::*, std::optional<std::string> CommandLine::*, SettingName>;

// How often something may be given.
struct Times {
    int least = 0, most = 1;
};
constexpr int any_number = 1'000'000;

struct Option {
    const char* names; // "-c,--config"; of what stands by itself "TOPIC".
    const char* value; // What follows it: "HOST:PORT", "all|1|0". Nothing follows a flag.
    const char* help;
    Field field;
    Times times = {};

    bool stands_alone() const { return names[0] != '-'; }
    bool is_flag() const { return std::holds_alternative<bool CommandLine::*>(field); }
};

struct Command {
    CommandLine::Command command;
    const char* name; // "topic list"
    const char* help;
    std::vector<Option> options;
    const char* more = ""; // For the manual page: whole sentences.
};

// "topic", of whose commands one has to be said.
struct CommandGroup {
    const char* name;
    const char* help;
};

std::span<const Command> all_commands();
std::span<const CommandGroup> all_command_groups();
std::span<const Option> global_options(); // Before and behind every command.

// What can be said first, in the order of the table: "start", "topic".
std::vector<std::string> first_words();
std::string joined(const std::vector<std::string>& words, const char* between = " ");
// "topic" and "list" of "topic list"; the second one empty where there is none.
std::pair<std::string, std::string> words_of(const Command& command);
// "-c,--config" one by one.
std::vector<std::string> names_of(const Option& option);
// What may follow it, if that is a few words: "all", "1", "0" of "all|1|0".
std::vector<std::string> words_meant(const Option& option);

constexpr const char* footer =
    "Every setting can also be given in the file, or as PYRALOG_SECTION_NAME in the\n"
    "environment; flags overrule the environment, which overrules the file.\n"
    "`pyralog config` shows them all, with their values and where those come from.";
constexpr const char* summary = "A replicated log that Kafka clients can use.";
constexpr const char* version_text = "pyralog " PYRALOG_VERSION;

// ---- What is made from it ----

enum class Shell : std::uint8_t { bash, zsh, fish };
std::string completion_of(Shell shell);
// pyralog(1), in the language of man.
std::string manual_page(const std::vector<Setting>& settings);
// A configuration file with every setting and its default, as comments; but what somebody has given
// is there with its value, and none.
std::string settings_template(const std::vector<Setting>& settings,
                              const std::map<std::string, server::Assignment>& given = {});

} // namespace pyralog::cli
