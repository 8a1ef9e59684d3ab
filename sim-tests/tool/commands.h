// sim-tests/tool/commands.h
//
// The command line of pyralog-sim. Each command is a file of its own with one function here that
// makes it. What an option means is checked while the line is read; nothing runs before all of it
// is understood.
#pragma once

#include "core/base/time.h"
#include "sim-tests/tool/syntax.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pyralog::simtest {

// One command and its options, which must stay where they are from add() on.
class Command {
public:
    Command(std::string its_name, std::string its_help)
        : name(std::move(its_name)), help(std::move(its_help)) {}
    Command(const Command&) = delete;
    Command& operator=(const Command&) = delete;
    virtual ~Command() = default;
    virtual void add(Syntax& syntax) = 0; // Its options.
    virtual int run() = 0;                // Returns the exit code.

    const std::string name, help;
};

std::unique_ptr<Command> make_run();
std::unique_ptr<Command> make_sweep();
std::unique_ptr<Command> make_shrink();
std::unique_ptr<Command> make_why();
std::unique_ptr<Command> make_merge();
std::unique_ptr<Command> make_hashes();
std::unique_ptr<Command> make_trace();
std::unique_ptr<Command> make_plan();
std::unique_ptr<Command> make_bugs();
std::vector<std::unique_ptr<Command>> all_commands();

// ---- Options that several commands have ----

struct SeedRange {
    std::uint64_t first = 1;
    std::uint64_t end = 1; // Not included; on the command line both are.
};

struct Shard {
    std::uint64_t number = 0; // Below `count`.
    std::uint64_t count = 1;
};

void add_seed(Syntax& syntax, std::uint64_t& seed); // Required.
void add_seeds(Syntax& syntax, std::optional<SeedRange>& seeds);
void add_time(Syntax& syntax, std::optional<Duration>& time, const std::string& help);
void add_shard(Syntax& syntax, std::optional<Shard>& shard);
void add_jobs(Syntax& syntax, int& jobs); // As many as there are processors, unless told.
void add_bug(Syntax& syntax, std::string& bug);
void add_kv(Syntax& syntax, std::optional<bool>& engine);

// "A..B", with B included; and a number that is no less than 0 and has no sign.
std::optional<SeedRange> parse_seeds(const std::string& text);
std::optional<Shard> parse_shard(const std::string& text); // "I/N", I from 0.
std::optional<std::uint64_t> parse_number(const std::string& text);

// False, with a word on stderr, if it can not be written.
bool write_file(const std::string& path, const std::string& text);

// The whole program: reads the line, does it, and returns the exit code.
int run_program(std::span<char*> arguments);

} // namespace pyralog::simtest
