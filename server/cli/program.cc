#include "server/cli/program.h"

#include "server/admin/json.h"
#include "server/cli/commands.h"
#include "server/cli/table.h"

#include <cstdio>

namespace pyralog::cli {

Program::Program() : settings(settings_of(*this)) {}

void complain(const std::string& line) { std::fprintf(stderr, "pyralog: %s\n", line.c_str()); }

bool Program::load(const CommandLine& line, const char* const* environment) {
    std::vector<server::Assignment> all;
    if (line.config_file) {
        auto read = read_config_file(*line.config_file, settings);
        if (const auto* mistake = std::get_if<std::string>(&read)) {
            complain(*mistake);
            return false;
        }
        all = std::move(std::get<std::vector<server::Assignment>>(read));
    }
    for (server::Assignment& assignment : read_environment(environment, settings))
        all.push_back(std::move(assignment));
    all.insert(all.end(), line.assignments.begin(), line.assignments.end());

    applied = server::apply(settings, all);
    for (const std::string& mistake : applied.mistakes) complain(mistake);
    if (!applied.mistakes.empty()) return false;
    // Only now: a value that was refused would lead to complaints about its default.
    const std::vector<std::string> problems = node.problems();
    for (const std::string& problem : problems) complain(problem);
    io.node = node.id();
    io.data_dir = node.data_dir;
    io.log_level = node.log_level;
    return problems.empty();
}

bool Program::prepare(DataDir& directory) const {
    const server::Identity identity = identity_of(node);
    std::vector<std::string> wrong{directory.look(identity)};
    // A node that already runs there also has the ports: one reason is enough.
    if (wrong.front().empty()) {
        wrong.push_back(look_at_port(node.kafka_address(), "kafka.port"));
        wrong.push_back(look_at_port(node.admin_address(), "admin.port"));
        if (node.grpc.listen) wrong.push_back(look_at_port(*node.grpc.listen, "grpc.listen"));
        if (const auto peers = node.peer_address())
            wrong.push_back(
                look_at_port(*peers, node.peer_listen ? "cluster.listen" : "cluster.members"));
    }
    std::erase(wrong, "");
    if (wrong.empty()) wrong.push_back(directory.take(identity));
    std::erase(wrong, "");
    for (const std::string& line : wrong) complain(line);
    return wrong.empty();
}

int show_config(const CommandLine& line, const Program& program) {
    if (line.as_reference) {
        std::fputs(server::settings_reference(program.settings).c_str(), stdout);
        return 0;
    }
    if (line.as_template) {
        std::fputs(settings_template(program.settings, program.applied.origins).c_str(), stdout);
        return 0;
    }
    std::vector<std::vector<std::string>> rows{{"SETTING", "VALUE", "FROM"}};
    std::string json = "{";
    for (const Setting& setting : program.settings) {
        const auto origin = program.applied.origins.find(setting.name);
        const bool given = origin != program.applied.origins.end();
        const std::string source(
            to_string(given ? origin->second.source : server::Source::built_in));
        const std::string where = given ? origin->second.where : "";
        const std::string value = setting.get();
        rows.push_back(
            {setting.name, value.empty() ? "-" : value, given ? source + ' ' + where : source});
        if (json.size() > 1) json += ',';
        json += '\n' + server::json_quoted(setting.name) +
                ":{\"value\":" + server::json_quoted(value) +
                ",\"source\":" + server::json_quoted(source) +
                ",\"where\":" + server::json_quoted(where) + '}';
    }
    json += "\n}\n";
    std::fputs(line.as_json ? json.c_str() : format_table(rows).c_str(), stdout);
    return 0;
}

} // namespace pyralog::cli
