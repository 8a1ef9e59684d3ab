// Reports as JSON, and back.
#include "sim-tests/tool/report.h"

#include <nlohmann/json.hpp>

#include <functional>

namespace pyralog::simtest {

namespace {

using Json = nlohmann::json;

Json of(const std::map<std::string, Count>& counts) {
    Json json = Json::object();
    for (const auto& [name, count] : counts)
        json[name] = {{"fired", count.fired}, {"effective", count.effective}};
    return json;
}

std::map<std::string, Count> counts_of(const Json& json) {
    std::map<std::string, Count> counts;
    for (const auto& [name, count] : json.items())
        counts[name] = {count.at("fired"), count.at("effective")};
    return counts;
}

Json of(const std::map<std::string, WhimCount>& whims) {
    Json json = Json::object();
    for (const auto& [name, whim] : whims)
        json[name] = {{"active", whim.active}, {"asked", whim.asked}, {"fired", whim.fired}};
    return json;
}

std::map<std::string, WhimCount> whims_of(const Json& json) {
    std::map<std::string, WhimCount> whims;
    for (const auto& [name, whim] : json.items())
        whims[name] = {whim.at("active"), whim.at("asked"), whim.at("fired")};
    return whims;
}

// Reports of older versions have none.
std::map<std::string, std::uint64_t> excuses_of(const Json& json) {
    return json.value("excuses", std::map<std::string, std::uint64_t>());
}

Duration time_of(const Json& json) { return Duration(json.get<std::int64_t>()); }

Json of(const SeedReport& report) {
    return {{"seed", report.seed},          {"exit_code", report.exit_code},
            {"oracle", report.oracle},      {"detail", report.detail},
            {"event", report.event},        {"time_ns", report.time.count()},
            {"cpu_ns", report.cpu.count()}, {"hash", report.hash},
            {"bug_hits", report.bug_hits},  {"faults", of(report.faults)},
            {"probes", report.probes},      {"whims", of(report.whims)},
            {"excuses", report.excuses},    {"stored_batches", report.stored},
            {"read_records", report.read}};
}

// In a sweep's report: with what people and programs need to go on, and without what is in the sum.
Json of_failure(const SeedReport& report, const std::string& bug) {
    Json json = of(report);
    json["signature"] = signature(report.detail);
    json["command"] = replay_command(report, bug);
    return json;
}

SeedReport seed_of(const Json& json) {
    SeedReport report;
    report.seed = json.at("seed");
    report.exit_code = json.at("exit_code");
    report.oracle = json.at("oracle");
    report.detail = json.at("detail");
    report.event = json.at("event");
    report.time = time_of(json.at("time_ns"));
    report.cpu = time_of(json.at("cpu_ns"));
    report.hash = json.at("hash");
    report.bug_hits = json.at("bug_hits");
    report.faults = counts_of(json.at("faults"));
    report.probes = json.at("probes").get<std::map<std::string, std::uint64_t>>();
    report.whims = whims_of(json.at("whims"));
    report.excuses = excuses_of(json);
    report.stored = json.at("stored_batches");
    report.read = json.at("read_records");
    return report;
}

Json of(const Range& range) {
    Json json{{"first", range.first}, {"shard", range.shard}, {"shards", range.shards}};
    json["end"] = range.end ? Json(*range.end) : Json();
    return json;
}

Range range_of(const Json& json) {
    Range range;
    range.first = json.at("first");
    if (!json.at("end").is_null()) range.end = json.at("end").get<std::uint64_t>();
    range.shard = json.at("shard");
    range.shards = json.at("shards");
    return range;
}

SweepReport sweep_of(const Json& json) {
    SweepReport report;
    report.commit = json.at("commit");
    report.bug = json.at("bug");
    for (const Json& range : json.at("ranges")) report.ranges.push_back(range_of(range));
    report.interrupted = json.at("interrupted");
    report.seeds = json.at("seeds");
    report.failed = json.at("failed");
    report.exit_code = json.at("exit_code");
    for (const Json& failure : json.at("failures")) report.failures.push_back(seed_of(failure));
    for (const Json& group : json.at("groups"))
        report.groups[{group.at("oracle"), group.at("signature")}] = {
            group.at("count"), seed_of(group.at("first")), seed_of(group.at("cheapest"))};
    report.faults = counts_of(json.at("faults"));
    report.probes = json.at("probes").get<std::map<std::string, std::uint64_t>>();
    report.whims = whims_of(json.at("whims"));
    report.excuses = excuses_of(json);
    report.runs_with = json.at("classes").get<std::map<std::string, std::uint64_t>>();
    report.simulated = time_of(json.at("simulated_ns"));
    report.cpu = time_of(json.at("cpu_ns"));
    report.real = time_of(json.at("elapsed_ns"));
    report.stored = json.at("stored_batches");
    report.read = json.at("read_records");
    return report;
}

// The library throws, at foreign bytes; nothing above here does.
template <class Report>
std::optional<Report> parse(const std::string& text, std::string& problem,
                            const std::function<Report(const Json&)>& read) {
    try {
        const Json json = Json::parse(text);
        if (json.contains("schema_version") &&
            json.at("schema_version").get<int>() != SweepReport::schema_version) {
            problem =
                "is of another schema_version than " + std::to_string(SweepReport::schema_version);
            return {};
        }
        return read(json);
    } catch (const Json::exception& error) {
        problem = error.what();
        return {};
    }
}

} // namespace

std::string to_json(const SeedReport& report) {
    return of(report).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string to_json(const SweepReport& report) {
    Json json{{"schema_version", SweepReport::schema_version},
              {"commit", report.commit},
              {"bug", report.bug},
              {"ranges", Json::array()},
              {"interrupted", report.interrupted},
              {"seeds", report.seeds},
              {"failed", report.failed},
              {"exit_code", report.exit_code},
              {"failures", Json::array()},
              {"groups", Json::array()},
              {"faults", of(report.faults)},
              {"probes", report.probes},
              {"whims", of(report.whims)},
              {"excuses", report.excuses},
              {"classes", report.runs_with},
              {"simulated_ns", report.simulated.count()},
              {"cpu_ns", report.cpu.count()},
              {"elapsed_ns", report.real.count()},
              {"stored_batches", report.stored},
              {"read_records", report.read}};
    for (const Range& range : report.ranges) json["ranges"].push_back(of(range));
    for (const SeedReport& failure : report.failures)
        json["failures"].push_back(of_failure(failure, report.bug));
    for (const auto& [key, group] : report.groups)
        json["groups"].push_back({{"oracle", key.first},
                                  {"signature", key.second},
                                  {"count", group.count},
                                  {"first", of(group.first)},
                                  {"cheapest", of(group.cheapest)},
                                  {"command", replay_command(group.cheapest, report.bug)}});
    return json.dump(1, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::optional<SeedReport> seed_report_from(const std::string& json, std::string& problem) {
    return parse<SeedReport>(json, problem, seed_of);
}

std::optional<SweepReport> sweep_report_from(const std::string& json, std::string& problem) {
    return parse<SweepReport>(json, problem, sweep_of);
}

} // namespace pyralog::simtest
