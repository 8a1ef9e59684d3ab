#include "sim-tests/tool/report.h"

#include "sim-tests/swarm.h"
#include "sim-tests/tool/quarantine.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <sstream>

namespace pyralog::simtest {

namespace {

template <class... Values>
std::string format(const char* how, Values... values) {
    std::array<char, 512> text{};
    std::snprintf(text.data(), text.size(), how, values...);
    return text.data();
}

unsigned long long number(std::uint64_t value) { return value; }

void add(std::map<std::string, Count>& all, const std::map<std::string, Count>& more) {
    for (const auto& [name, count] : more) {
        all[name].fired += count.fired;
        all[name].effective += count.effective;
    }
}

void add(std::map<std::string, std::uint64_t>& all,
         const std::map<std::string, std::uint64_t>& more) {
    for (const auto& [name, count] : more) all[name] += count;
}

void add(std::map<std::string, WhimCount>& all, const std::map<std::string, WhimCount>& more) {
    for (const auto& [name, whim] : more) {
        all[name].active += whim.active;
        all[name].asked += whim.asked;
        all[name].fired += whim.fired;
    }
}

// A total order, so that the order in which reports come together leaves no trace.
auto by_seed(const SeedReport& report) {
    return std::tuple(report.seed, report.exit_code, report.oracle, report.detail, report.event,
                      report.hash, report.cpu);
}
bool cheaper(const SeedReport& one, const SeedReport& other) {
    return std::tuple(one.event, by_seed(one)) < std::tuple(other.event, by_seed(other));
}

void add(FailureGroup& group, const FailureGroup& more) {
    if (group.count == 0) {
        group = more;
        return;
    }
    group.count += more.count;
    if (by_seed(more.first) < by_seed(group.first)) group.first = more.first;
    if (cheaper(more.cheapest, group.cheapest)) group.cheapest = more.cheapest;
}

void keep_first(std::vector<SeedReport>& failures) {
    std::ranges::sort(failures, {}, by_seed);
    if (failures.size() > SweepReport::failures_max) failures.resize(SweepReport::failures_max);
}

std::string either(const std::string& one, const std::string& other) {
    return one == other ? one : "several";
}

} // namespace

int worse(int one, int other) {
    const auto rank = [](int code) {
        switch (code) {
        case exit_safety: return 4;
        case exit_liveness: return 3;
        case exit_not_deterministic: return 2;
        case exit_pass: return 0;
        default: return 1;
        }
    };
    if (rank(one) == rank(other)) return std::max(one, other);
    return rank(one) > rank(other) ? one : other;
}

std::string signature(const std::string& detail) {
    std::string text;
    bool in_number = false;
    for (const char c : detail) {
        const bool digit = c >= '0' && c <= '9';
        if (!digit) text += c;
        if (digit && !in_number) text += '#';
        in_number = digit;
    }
    return text;
}

void SweepReport::add(const SeedReport& seed) {
    ++seeds;
    simulated += seed.time;
    cpu += seed.cpu;
    stored += seed.stored;
    read += seed.read;
    simtest::add(faults, seed.faults);
    simtest::add(probes, seed.probes);
    simtest::add(whims, seed.whims);
    simtest::add(excuses, seed.excuses);
    const Plan plan = draw_plan(seed.seed);
    bool any = false;
    for (std::size_t i = 0; i < plan.classes.size(); ++i) {
        if (!plan.classes[i]) continue;
        any = true;
        ++runs_with[std::string(to_string(static_cast<FaultClass>(i)))];
    }
    if (!any) ++runs_with["(none)"];
    if (seed.exit_code == exit_pass) return;
    ++failed;
    exit_code = worse(exit_code, seed.exit_code);
    failures.push_back(seed);
    if (failures.size() > 2 * failures_max) keep_first(failures);
    simtest::add(groups[{seed.oracle, signature(seed.detail)}], FailureGroup{1, seed, seed});
}

SweepReport merge(const SweepReport& one, const SweepReport& other) {
    SweepReport all = one;
    all.commit = either(one.commit, other.commit);
    all.bug = either(one.bug, other.bug);
    all.ranges.insert(all.ranges.end(), other.ranges.begin(), other.ranges.end());
    std::ranges::sort(all.ranges);
    all.interrupted = one.interrupted || other.interrupted;
    all.seeds += other.seeds;
    all.failed += other.failed;
    all.exit_code = worse(one.exit_code, other.exit_code);
    all.failures.insert(all.failures.end(), other.failures.begin(), other.failures.end());
    keep_first(all.failures);
    for (const auto& [key, group] : other.groups) add(all.groups[key], group);
    add(all.faults, other.faults);
    add(all.probes, other.probes);
    add(all.whims, other.whims);
    add(all.excuses, other.excuses);
    add(all.runs_with, other.runs_with);
    all.simulated += other.simulated;
    all.cpu += other.cpu;
    all.real = std::max(one.real, other.real);
    all.stored += other.stored;
    all.read += other.read;
    return all;
}

// ---- As text ----

std::string replay_command(const SeedReport& report, const std::string& bug) {
    std::string line = "pyralog-sim";
    if (!bug.empty()) line += "-bugs";
    line += " run --seed " + std::to_string(report.seed);
    if (!bug.empty()) line += " --bug " + bug;
    if (report.exit_code == exit_not_deterministic) line += " --twice";
    return line;
}

std::string failure_line(const SeedReport& report, const std::string& bug) {
    return failure_told(report, replay_command(report, bug));
}

std::string failure_told(const SeedReport& report, const std::string& replay) {
    return "FAILED oracle=" + report.oracle + " seed=" + std::to_string(report.seed) +
           " event=" + std::to_string(report.event) +
           " time_us=" + std::to_string(report.time / 1us) + " (" + report.detail +
           ") replay: " + replay;
}

namespace {

std::string group_table(const SweepReport& report) {
    std::string out = "\nfailures, by oracle and signature\n";
    for (const auto& [key, group] : report.groups) {
        const auto& [oracle, what] = key;
        out += format("%6llu  %s: ", number(group.count), oracle.c_str()) + what + '\n' +
               format("        first: seed %llu, event %llu\n", number(group.first.seed),
                      number(group.first.event)) +
               format("        cheapest: seed %llu, event %llu\n", number(group.cheapest.seed),
                      number(group.cheapest.event)) +
               "        " + replay_command(group.cheapest, report.bug) + '\n';
    }
    return out;
}

} // namespace

std::string to_table(const SweepReport& report) {
    std::string out = "\nclass             runs\n";
    for (const auto& [name, runs] : report.runs_with)
        out += format("%-16s %5llu\n", name.c_str(), number(runs));
    out += "\nfault                     fired    effective\n";
    std::string silent;
    for (const auto& [name, count] : report.faults) {
        out += format("%-18s %12llu %12llu\n", name.c_str(), number(count.fired),
                      number(count.effective));
        if (count.fired == 0 || count.effective == 0) silent += (silent.empty() ? "" : ", ") + name;
    }
    out += "\nwithout effect: " + (silent.empty() ? "none" : silent) + '\n';
    out += site_table(report);
    out += "\nexcused, with a proof that something is missing\n";
    for (const auto& [name, count] : report.excuses)
        out += format("%-24s %8llu\n", name.c_str(), number(count));
    if (report.excuses.empty()) out += "none\n";
    if (!report.groups.empty()) out += group_table(report);
    if (report.interrupted) out += "\ninterrupted: what follows is what had been done by then\n";
    out += format("seeds=%llu failures=%llu stored_batches=%llu read_records=%llu\n",
                  number(report.seeds), number(report.failed), number(report.stored),
                  number(report.read));
    const double real = seconds(report.real);
    const double cpu = seconds(report.cpu);
    out +=
        format("simulated_s=%.1f cpu_s=%.1f elapsed_s=%.1f simulated_per_cpu_s=%.1f "
               "seeds_per_s=%.2f\n",
               seconds(report.simulated), cpu, real, cpu > 0 ? seconds(report.simulated) / cpu : 0,
               real > 0 ? static_cast<double>(report.seeds) / real : 0);
    return out;
}

} // namespace pyralog::simtest
