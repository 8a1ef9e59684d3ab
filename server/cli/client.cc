// `pyralog status`, `metrics` and `stop`: the other side of server/admin/admin.h.
#include "io/real/world.h"
#include "server/admin/admin.h"
#include "server/broker.h"
#include "server/cli/program.h"
#include "server/cli/table.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace pyralog::cli {

namespace {

constexpr Duration ask_patience = 5s;
// A node that shuts down has rounds to finish and streams to close; no more than that.
constexpr Duration stop_patience = 60s;
constexpr Duration stop_pause = 50ms;

// Where the node is to be asked; after the complaint, nothing.
std::optional<Address> find_node(const CommandLine& line, const Program& program) {
    if (line.admin) return line.admin;
    const std::string& directory = program.node.data_dir;
    const auto address = DataDir::admin_address(directory);
    if (!address)
        complain(directory + ": no node has run here: name its directory with --data-dir, or its "
                             "address with --admin HOST:PORT");
    return address;
}

// What to tell of a node that does not answer.
void complain_of_silence(const CommandLine& line, const Program& program, const Address& address,
                         Error error) {
    const std::string& directory = program.node.data_dir;
    const int pid = line.admin ? -1 : DataDir::owner(directory);
    if (pid == 0)
        complain(directory + ": no node is running here: start one with `pyralog start`");
    else
        complain(to_string(address) + ": the node does not answer (" +
                 std::string(to_string(error)) + "): " +
                 (pid > 0 ? "it is process " + std::to_string(pid)
                          : std::string("is this its admin port, and does it run?")));
}

// Asks one node in a world that has a network and nothing else.
Result<server::HttpResponse> ask(const Address& address, const server::HttpRequest& request) {
    real::World world(real::IoConfig{.node = {}, .data_dir = {}, .log_level = Level::error});
    Result<server::HttpResponse> answer = Error::unavailable;
    (void)world.run([&](Environment& env) -> Result<> { // Its error is that of the answer.
        const Deadline patience(env.fibers, env.clock.now() + ask_patience);
        answer = server::ask_admin(env.network, address, request);
        return {};
    });
    return answer;
}

// Until the process that has locked the directory has gone. False if it does not.
bool wait_until_gone(const std::string& directory) {
    bool gone = false;
    real::World world(real::IoConfig{.node = {}, .data_dir = {}, .log_level = Level::error});
    (void)world.run([&](Environment& env) -> Result<> { // An interrupted wait is not gone either.
        const Time end = env.clock.now() + stop_patience;
        for (; !gone && env.clock.now() < end; gone = DataDir::owner(directory) == 0)
            TRY(env.fibers.sleep_until(env.clock.now() + stop_pause));
        return {};
    });
    return gone;
}

std::string field_of(const Json& object, const char* name) {
    const auto found = object.find(name);
    if (found == object.end() || found->is_null()) return "-";
    return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string for_people(const Json& status) {
    const Json& nodes = status["nodes"];
    std::string text = "node " + field_of(status, "node") + " of cluster \"" +
                       field_of(status, "cluster") + "\": " + field_of(status, "state") +
                       "; controller " + field_of(status, "controller") + ", topics " +
                       field_of(status, "topics") + ", partitions " +
                       field_of(status, "partitions") + ", without leader " +
                       field_of(status, "partitions_without_leader") + '\n';
    if (status.value("disk_is_short", false))
        text += "the disk of this node is nearly full, and new records are refused: " +
                field_of(status, "disk_free_bytes") + " of " +
                field_of(status, "disk_total_bytes") + " bytes are free\n";
    std::vector<std::vector<std::string>> rows{
        {"NODE", "ADDRESS", "STATE", "REPLICAS", "PARTITIONS LED"}};
    for (const Json& node : nodes)
        rows.push_back({field_of(node, "id"), field_of(node, "address"), field_of(node, "state"),
                        field_of(node, "replicas"), field_of(node, "partitions_led")});
    return text + format_table(rows);
}

} // namespace

int show_status(const CommandLine& line, const Program& program) {
    const auto address = find_node(line, program);
    if (!address) return exit_failed;
    const auto answer = ask(*address, {"GET", "/v1/status"});
    if (!answer.ok()) {
        complain_of_silence(line, program, *address, answer.error());
        return exit_failed;
    }
    const Json status = Json::parse(answer.value().body, nullptr, false);
    const bool is_ours = answer.value().status == 200 && status.is_object() &&
                         status.contains("nodes") && status["nodes"].is_array();
    if (!is_ours) {
        complain(to_string(*address) + ": somebody answers, but not a node of pyralog: is this " +
                 "its admin port?");
        return exit_failed;
    }
    std::fputs(line.as_json ? answer.value().body.c_str() : for_people(status).c_str(), stdout);
    return 0;
}

int show_metrics(const CommandLine& line, const Program& program) {
    if (line.as_reference) {
        // A node that is made and never runs has all members, and nothing to count.
        const server::Config config;
        real::World world(real::IoConfig{.node = {}, .data_dir = {}, .log_level = Level::error});
        (void)world.run([&](Environment& env) -> Result<> { // It cannot fail.
            std::fputs(server::Broker(env, config).metrics_reference().c_str(), stdout);
            return {};
        });
        return 0;
    }
    const auto address = find_node(line, program);
    if (!address) return exit_failed;
    const auto answer = ask(*address, {"GET", "/metrics"});
    if (!answer.ok() || answer.value().status != 200) {
        complain_of_silence(line, program, *address,
                            answer.ok() ? Error::malformed : answer.error());
        return exit_failed;
    }
    std::fputs(answer.value().body.c_str(), stdout);
    return 0;
}

int stop_node(const CommandLine& line, const Program& program) {
    const auto address = find_node(line, program);
    if (!address) return exit_failed;
    const auto answer = ask(*address, {"POST", "/v1/stop"});
    if (!answer.ok()) {
        complain_of_silence(line, program, *address, answer.error());
        return exit_failed;
    }
    if (answer.value().status != 202) {
        complain(to_string(*address) + ": refuses to stop (HTTP " +
                 std::to_string(answer.value().status) + "): is this its admin port?");
        return exit_failed;
    }
    // Asked by address, there is no directory to watch: it has promised.
    if (line.admin) return 0;
    if (wait_until_gone(program.node.data_dir)) return 0;
    complain(program.node.data_dir + ": the node has not ended within " +
             format_duration(stop_patience) + "; it is process " +
             std::to_string(DataDir::owner(program.node.data_dir)));
    return exit_failed;
}

} // namespace pyralog::cli
