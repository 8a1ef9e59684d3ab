#include "sim-tests/tool/commands.h"

#include "core/base/config.h"
#include "sim-tests/tool/bugs.h"
#include "sim-tests/tool/sweep.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <thread>
#include <vector>

namespace pyralog::simtest {

std::optional<std::uint64_t> parse_number(const std::string& text) {
    if (text.empty() || text.size() > 19) return {};
    std::uint64_t value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return {};
        value = value * 10 + static_cast<std::uint64_t>(c - '0');
    }
    return value;
}

std::optional<SeedRange> parse_seeds(const std::string& text) {
    const std::size_t dots = text.find("..");
    if (dots == std::string::npos) return {};
    const auto first = parse_number(text.substr(0, dots));
    const auto last = parse_number(text.substr(dots + 2));
    if (!first || !last || *last < *first) return {};
    return SeedRange{*first, *last + 1};
}

std::optional<Shard> parse_shard(const std::string& text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string::npos) return {};
    const auto number = parse_number(text.substr(0, slash));
    const auto count = parse_number(text.substr(slash + 1));
    if (!number || !count || *number >= *count || *count > 1'000'000) return {};
    return Shard{*number, *count};
}

bool write_file(const std::string& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (file) return true;
    std::fprintf(stderr, "pyralog-sim: cannot write %s\n", path.c_str());
    return false;
}

void add_seed(CLI::App& command, std::uint64_t& seed) {
    command
        .add_option_function<std::string>(
            "--seed",
            [&seed](const std::string& text) {
                const auto number = parse_number(text);
                if (!number) throw CLI::ValidationError("--seed", "not a number: " + text);
                seed = *number;
            },
            "The seed")
        ->required()
        ->type_name("N");
}

void add_seeds(CLI::App& command, std::optional<SeedRange>& seeds) {
    command
        .add_option_function<std::string>(
            "--seeds",
            [&seeds](const std::string& text) {
                seeds = parse_seeds(text);
                if (!seeds) throw CLI::ValidationError("--seeds", "not A..B with A <= B: " + text);
            },
            "From A to B, both included")
        ->type_name("A..B");
}

void add_time(CLI::App& command, std::optional<Duration>& time, const std::string& help) {
    command
        .add_option_function<std::string>(
            "--for",
            [&time](const std::string& text) {
                time = parse_duration(text);
                if (!time) throw CLI::ValidationError("--for", "no time such as 60s: " + text);
            },
            help)
        ->type_name("TIME");
}

void add_shard(CLI::App& command, std::optional<Shard>& shard) {
    command
        .add_option_function<std::string>(
            "--shard",
            [&shard](const std::string& text) {
                shard = parse_shard(text);
                if (!shard) throw CLI::ValidationError("--shard", "not I/N with I < N: " + text);
            },
            "Only every Nth seed, from the Ith on, which is counted from 0")
        ->type_name("I/N");
}

void add_jobs(CLI::App& command, int& jobs) {
    jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    command.add_option("--jobs", jobs, "Processes at once")
        ->check(CLI::Range(1, 1024))
        ->type_name("N")
        ->capture_default_str();
}

void add_bug(CLI::App& command, std::string& bug) {
    command
        .add_option_function<std::string>(
            "--bug",
            [&bug](const std::string& name) {
#ifdef PYRALOG_BUGS
                const auto& all = planted_bugs();
                if (std::ranges::find(all, name, &PlantedBug::name) == all.end())
                    throw CLI::ValidationError("--bug", "there is no bug " + name);
                bug = name;
#else
                (void)bug;
                throw CLI::ValidationError("--bug", "there is no " + name +
                                                        " in this build: planted bugs are in "
                                                        "pyralog-sim-bugs (PYRALOG_BUGS=ON)");
#endif
            },
            "Plant this bug; only in pyralog-sim-bugs")
        ->type_name("NAME");
}

void add_kv(CLI::App& command, std::optional<bool>& engine) {
    command
        .add_option_function<std::string>(
            "--kv", [&engine](const std::string& name) { engine = name == "engine"; },
            "Small facts in RocksDB itself or in the model, whatever the plan says")
        ->check(CLI::IsMember({"engine", "model"}))
        ->type_name("engine|model");
}

int run_program(std::span<char*> arguments) {
    CLI::App program(
        "Runs the simulated cluster, one seed or many. TESTING.md says what it checks.",
        "pyralog-sim");
    program.require_subcommand(1);
    program.footer("Exit codes: 0 pass, 1 usage, 2 safety, 3 liveness, 4 not deterministic, "
                   "5 interrupted.");
    std::vector<std::unique_ptr<Command>> commands;
    commands.push_back(make_run());
    commands.push_back(make_sweep());
    commands.push_back(make_shrink());
    commands.push_back(make_why());
    commands.push_back(make_merge());
    commands.push_back(make_hashes());
    commands.push_back(make_trace());
    commands.push_back(make_plan());
    commands.push_back(make_bugs());
    std::vector<CLI::App*> added;
    for (const auto& command : commands) added.push_back(command->add(program));
    try {
        program.parse(static_cast<int>(arguments.size()), arguments.data());
    } catch (const CLI::Success& help) {
        return program.exit(help);
    } catch (const CLI::ParseError& error) {
        std::cerr << "pyralog-sim: " << error.what() << "\nTry --help.\n";
        return exit_usage;
    }
    for (std::size_t i = 0; i < commands.size(); ++i)
        if (added[i]->parsed()) return commands[i]->run();
    return exit_usage;
}

} // namespace pyralog::simtest
