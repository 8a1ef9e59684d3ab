// `pyralog log digest`: do the replicas of a stopped cluster hold the same?
#include "core/log/digest.h"
#include "io/real/world.h"
#include "server/admin/json.h"
#include "server/cli/program.h"
#include "server/cli/table.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

namespace pyralog::cli {

namespace {

using server::json_quoted;

struct NodeLogs {
    std::string directory;
    std::map<GroupId, LogDigest> logs;
};

std::optional<NodeLogs> read(const std::string& directory, const real::IoConfig& io) {
    if (const std::string wrong = look_at_stopped(directory); !wrong.empty()) {
        complain(wrong);
        return {};
    }
    real::World world(reading_config(io, directory));
    NodeLogs node{directory, {}};
    const Result<> done = world.run([&](Environment& env) -> Result<> {
        for (LogDigest& log : TRY(digest_logs(env, "journal"))) {
            const GroupId group = log.group;
            node.logs.emplace(group, std::move(log));
        }
        return {};
    });
    if (done.ok()) return node;
    complain(directory + ": cannot be read: " + std::string(to_string(done.error())) +
             ": the log above says more");
    return {};
}

std::string hex(std::uint32_t sum) {
    char text[9];
    std::snprintf(text, sizeof text, "%08x", sum);
    return text;
}

std::string numbers(Position p) {
    return std::to_string(p.index) + " / " + std::to_string(p.offset.value);
}

std::string json_of(Position p) {
    return "{\"index\":" + std::to_string(p.index) +
           ",\"offset\":" + std::to_string(p.offset.value) + '}';
}

std::string json_of(const std::vector<NodeLogs>& nodes, GroupId group, const Agreement& agreed,
                    const std::vector<LogDigest>& replicas) {
    std::string text =
        "{\"group\":" + std::to_string(group.value) + ",\"from\":" + json_of(agreed.begin) +
        ",\"same\":" + json_of(agreed.end) + ",\"digest\":\"" + hex(agreed.chain) +
        "\",\"differs\":" + (agreed.differs ? "true" : "false") +
        ",\"committed_differ\":" + (agreed.committed_differ ? "true" : "false") + ",\"replicas\":[";
    for (std::size_t i = 0; i < replicas.size(); ++i)
        text += std::string(i == 0 ? "" : ",") +
                "{\"data_dir\":" + json_quoted(nodes[i].directory) +
                ",\"segments_end\":" + json_of(replicas[i].segments_end) +
                ",\"end\":" + json_of(replicas[i].end()) + '}';
    return text + "]}";
}

} // namespace

int show_digest(const CommandLine& line, const Program& program) {
    std::vector<std::string> directories = line.directories;
    if (directories.empty()) directories.push_back(program.node.data_dir);
    std::vector<NodeLogs> nodes;
    std::set<GroupId> groups;
    for (const std::string& directory : directories) {
        auto node = read(directory, program.io);
        if (!node) return exit_failed;
        for (const auto& [group, log] : node->logs) groups.insert(group);
        nodes.push_back(std::move(*node));
    }

    bool all_well = true;
    std::string json;
    std::vector<std::vector<std::string>> rows{
        {"GROUP", "THE SAME FROM", "UP TO", "DIGEST", "ENDS (INDEX / OFFSET)"}};
    for (const GroupId group : groups) {
        // One that lies elsewhere has no part in it.
        std::vector<LogDigest> replicas;
        std::vector<NodeLogs> holders;
        for (NodeLogs& node : nodes) {
            const auto found = node.logs.find(group);
            if (found == node.logs.end()) continue;
            replicas.push_back(std::move(found->second));
            holders.push_back({node.directory, {}});
        }
        const Agreement agreed = agreement(replicas);
        all_well = all_well && !agreed.committed_differ;
        std::string ends;
        for (const LogDigest& replica : replicas)
            ends += (ends.empty() ? "" : ", ") + numbers(replica.end());
        if (agreed.differs)
            ends += agreed.committed_differ ? "; COMMITTED ENTRIES DIFFER"
                                            : "; what follows differs, and may be uncommitted";
        rows.push_back({std::to_string(group.value), numbers(agreed.begin), numbers(agreed.end),
                        hex(agreed.chain), ends});
        json += (json.empty() ? "" : ",\n") + json_of(holders, group, agreed, replicas);
    }
    std::fputs(line.as_json ? ("[" + json + "]\n").c_str() : format_table(rows).c_str(), stdout);
    return all_well ? 0 : exit_failed;
}

} // namespace pyralog::cli
