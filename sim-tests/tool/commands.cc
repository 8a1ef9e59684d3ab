#include "sim-tests/tool/commands.h"

#include "core/base/config.h"
#include "sim-tests/tool/bugs.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
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

void add_seed(Syntax& syntax, std::uint64_t& seed) {
    const auto read = [&seed](const std::string& text) -> std::string {
        const auto number = parse_number(text);
        if (!number) return "not a number: " + text;
        seed = *number;
        return {};
    };
    syntax.option("--seed", "N", read, "The seed");
    syntax.require("--seed");
}

void add_seeds(Syntax& syntax, std::optional<SeedRange>& seeds) {
    const auto read = [&seeds](const std::string& text) -> std::string {
        seeds = parse_seeds(text);
        return seeds ? "" : "not A..B with A <= B: " + text;
    };
    syntax.option("--seeds", "A..B", read, "From A to B, both included");
}

void add_time(Syntax& syntax, std::optional<Duration>& time, const std::string& help) {
    const auto read = [&time](const std::string& text) -> std::string {
        time = parse_duration(text);
        return time ? "" : "no time such as 60s: " + text;
    };
    syntax.option("--for", "TIME", read, help);
}

void add_shard(Syntax& syntax, std::optional<Shard>& shard) {
    const auto read = [&shard](const std::string& text) -> std::string {
        shard = parse_shard(text);
        return shard ? "" : "not I/N with I < N: " + text;
    };
    syntax.option("--shard", "I/N", read,
                  "Only every Nth seed, from the Ith on, which is counted from 0");
}

void add_jobs(Syntax& syntax, int& jobs) {
    jobs = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    syntax.number("--jobs", jobs, 1024, "Processes at once");
}

void add_bug(Syntax& syntax, std::string& bug) {
    const auto read = [&bug](const std::string& name) -> std::string {
#ifdef PYRALOG_BUGS
        const auto& all = planted_bugs();
        if (std::ranges::find(all, name, &PlantedBug::name) == all.end())
            return "there is no bug " + name;
        bug = name;
        return {};
#else
        (void)bug;
        return "there is no " + name +
               " in this build: planted bugs are in pyralog-sim-bugs (PYRALOG_BUGS=ON)";
#endif
    };
    syntax.option("--bug", "NAME", read, "Plant this bug; only in pyralog-sim-bugs");
}

void add_kv(Syntax& syntax, std::optional<bool>& engine) {
    const auto read = [&engine](const std::string& name) -> std::string {
        if (name != "engine" && name != "model") return "neither engine nor model: " + name;
        engine = name == "engine";
        return {};
    };
    syntax.option("--kv", "engine|model", read,
                  "Small facts in RocksDB itself or in the model, whatever the plan says");
}

std::vector<std::unique_ptr<Command>> all_commands() {
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
    return commands;
}

} // namespace pyralog::simtest
