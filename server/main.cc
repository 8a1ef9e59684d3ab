// The server: what the user wants, then a world, and a node in it.
#include "io/real/world.h"
#include "server/broker.h"
#include "server/cli/program.h"
#include "server/grpc/listener.h"

#include <cstdio>
#include <unistd.h>

using namespace pyralog;

namespace {

int start(const cli::Program& program) {
    cli::DataDir directory(program.node.data_dir);
    if (!program.prepare(directory)) return cli::exit_failed;
    real::World world(program.io);
    world.choose_sync();
    server::Broker::Beside beside;
    server::GrpcListener grpc(world.door());
    if (program.node.grpc.listen) beside = [&](server::Node& node) { return grpc.run(node); };
    const Result<> ended = world.run(
        [&](Environment& env) { return server::Broker(env, program.node, beside).run(); });
    // Being told to stop is what a node hopes for.
    if (ended.ok() || ended.error() == Error::cancelled) return 0;
    cli::complain("the node has ended: " + std::string(to_string(ended.error())) +
                  ": the log above says what of");
    return cli::exit_failed;
}

} // namespace

int main(int argc, char** argv) {
    const auto parsed = cli::parse_command_line(argc, argv);
    if (const auto* farewell = std::get_if<cli::Farewell>(&parsed)) {
        std::fputs(farewell->text.c_str(), farewell->exit_code == 0 ? stdout : stderr);
        return farewell->exit_code;
    }
    const auto& line = std::get<cli::CommandLine>(parsed);
    cli::Program program;
    if (!program.load(line, environ)) return cli::exit_mistake;
    switch (line.command) {
    case cli::CommandLine::Command::start: return start(program);
    case cli::CommandLine::Command::stop: return cli::stop_node(line, program);
    case cli::CommandLine::Command::status: return cli::show_status(line, program);
    case cli::CommandLine::Command::config: return cli::show_config(line, program);
    case cli::CommandLine::Command::metrics: return cli::show_metrics(line, program);
    case cli::CommandLine::Command::log_digest: return cli::show_digest(line, program);
    case cli::CommandLine::Command::log_verify: return cli::verify_logs(line, program);
    case cli::CommandLine::Command::log_dump: return cli::dump_logs(line, program);
    case cli::CommandLine::Command::log_repair: return cli::repair_logs(line, program);
    case cli::CommandLine::Command::log_stats: return cli::show_log_stats(line, program);
    case cli::CommandLine::Command::disk_probe: return cli::probe_disk(line, program);
    case cli::CommandLine::Command::group_list:
    case cli::CommandLine::Command::group_describe:
    case cli::CommandLine::Command::group_delete:
    case cli::CommandLine::Command::group_reset_offsets: return cli::manage_groups(line, program);
    case cli::CommandLine::Command::topic_list:
    case cli::CommandLine::Command::topic_describe:
    case cli::CommandLine::Command::topic_create:
    case cli::CommandLine::Command::topic_alter:
    case cli::CommandLine::Command::topic_delete: return cli::manage_topics(line, program);
    case cli::CommandLine::Command::produce: return cli::produce_records(line, program);
    case cli::CommandLine::Command::consume: return cli::consume_records(line, program);
    case cli::CommandLine::Command::cluster_up: return cli::run_trial_cluster(line, program);
    case cli::CommandLine::Command::cluster_status: return cli::show_cluster(line, program);
    case cli::CommandLine::Command::completion: return cli::print_completion(line);
    case cli::CommandLine::Command::man: return cli::print_manual(program);
    }
    return cli::exit_mistake;
}
