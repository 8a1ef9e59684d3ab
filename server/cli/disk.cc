// `pyralog disk probe`: what io/real/disk_probe.h has found, for people and for programs.
#include "io/real/disk_probe.h"
#include "server/admin/json.h"
#include "server/cli/program.h"
#include "server/cli/table.h"

#include <algorithm>
#include <cstdio>

namespace pyralog::cli {

namespace {

using real::DiskProbe;
using real::SyncFigure;
using server::json_quoted;

std::string or_unknown(const std::string& text) { return text.empty() ? "unknown" : text; }

std::string micros(Duration time) { return std::to_string(time / 1us) + "us"; }

// Bytes per microsecond.
std::uint64_t megabytes_per_second(const real::SyncMeter::Flow& flow) {
    const auto time = static_cast<std::uint64_t>(std::max<std::int64_t>(flow.time / 1us, 1));
    return flow.bytes / time;
}

std::string figures_for_people(const DiskProbe& probe) {
    std::vector<std::vector<std::string>> rows{
        {"DURABLE WRITE", "SIZE", "PROCESSORS", "HALF WITHIN", "99 % WITHIN", "WRITES"}};
    for (const SyncFigure& figure : probe.figures)
        rows.push_back({std::string(to_string(figure.way)), format_bytes(figure.bytes),
                        figure.busy ? "kept busy" : "as they are", micros(figure.p50),
                        micros(figure.p99), std::to_string(figure.writes)});
    return format_table(rows);
}

std::string for_people(const DiskProbe& probe) {
    const real::DiskFacts& facts = probe.facts;
    std::vector<std::vector<std::string>> rows{
        {"directory", probe.directory},
        {"file system", or_unknown(facts.file_system)},
        {"device", or_unknown(facts.device) + ", write cache: " + or_unknown(facts.write_cache) +
                       ", writes past it (FUA): " +
                       (facts.fua.empty()  ? "unknown"
                        : facts.fua == "1" ? "yes"
                                           : "no")},
        {"direct I/O",
         probe.direct ? "yes, in units of " + format_bytes(probe.direct_alignment) : "no"},
        {"io_uring", probe.ring_refusal.empty() ? "yes" : "no: " + probe.ring_refusal},
        {"sequential", std::to_string(megabytes_per_second(probe.flow)) + " MB/s (" +
                           format_bytes(probe.flow.bytes) + " in writes of 1MiB, and one sync)"}};
    std::string text = format_table(rows) + '\n' + figures_for_people(probe) + '\n';
    text += "recommended: io.sync = " + std::string(to_string(probe.advice.method)) + ": " +
            probe.advice.why + '\n';
    for (const std::string& warning : probe.warnings) text += "warning: " + warning + '\n';
    return text;
}

std::string json_of(const SyncFigure& figure) {
    return "{\"way\":" + json_quoted(to_string(figure.way)) +
           ",\"bytes\":" + std::to_string(figure.bytes) +
           ",\"busy\":" + (figure.busy ? "true" : "false") +
           ",\"writes\":" + std::to_string(figure.writes) +
           ",\"p50_ns\":" + std::to_string(figure.p50.count()) +
           ",\"p99_ns\":" + std::to_string(figure.p99.count()) + '}';
}

std::string for_programs(const DiskProbe& probe) {
    std::string figures, warnings;
    for (const SyncFigure& figure : probe.figures)
        figures += (figures.empty() ? "\n" : ",\n") + json_of(figure);
    for (const std::string& warning : probe.warnings)
        warnings += (warnings.empty() ? "" : ",") + json_quoted(warning);
    return "{\"directory\":" + json_quoted(probe.directory) +
           ",\"file_system\":" + json_quoted(probe.facts.file_system) +
           ",\"device\":" + json_quoted(probe.facts.device) +
           ",\"write_cache\":" + json_quoted(probe.facts.write_cache) +
           ",\"fua\":" + json_quoted(probe.facts.fua) +
           ",\"direct\":" + (probe.direct ? "true" : "false") +
           ",\"direct_alignment\":" + std::to_string(probe.direct_alignment) +
           ",\"io_uring\":" + (probe.ring_refusal.empty() ? "true" : "false") +
           ",\"sequential_bytes\":" + std::to_string(probe.flow.bytes) +
           ",\"sequential_ns\":" + std::to_string(probe.flow.time.count()) +
           ",\"busy_percent\":" + std::to_string(probe.busy_percent) +
           ",\"recommended\":" + json_quoted(to_string(probe.advice.method)) +
           ",\"why\":" + json_quoted(probe.advice.why) + ",\"warnings\":[" + warnings +
           "],\"figures\":[" + figures + "]}\n";
}

} // namespace

int probe_disk(const CommandLine& line, const Program& program) {
    const std::string directory =
        line.directories.empty() ? program.node.data_dir : line.directories.front();
    DiskProbe probe;
    std::string reason;
    if (!real::probe_disk(directory, probe, reason)) {
        complain(directory + ": " + reason);
        return exit_failed;
    }
    if (DataDir::owner(directory) > 0)
        probe.warnings.push_back("a node is running here, and both are slower than alone");
    std::fputs((line.as_json ? for_programs(probe) : for_people(probe)).c_str(), stdout);
    return 0;
}

} // namespace pyralog::cli
