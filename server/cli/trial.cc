// `pyralog cluster up`: a cluster to try things out with, of child processes on this machine. They
// end with this process, whatever becomes of it; what they have stored stays.
#include "io/real/world.h"
#include "server/admin/admin.h"
#include "server/cli/program.h"
#include "server/cli/table.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace pyralog::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::int64_t nodes_default = 3;
constexpr std::int64_t nodes_max = 9;
constexpr int ports_apart = 100;
constexpr Duration form_patience = 60s;
constexpr Duration status_patience = 1s;
constexpr Duration look_pause = 100ms;
constexpr int stop_looks_max = 600; // Of these pauses, then a node is killed.
constexpr const char* local = "127.0.0.1";

// What differs from node to node, so that nobody can say it for all of them.
constexpr std::array<std::string_view, 6> ours{"node.id",        "node.data_dir",
                                               "admin.port",     "cluster.members",
                                               "cluster.listen", "kafka.advertise"};

class Trial {
public:
    Trial(const CommandLine& line, const Program& program) : line_(line), program_(program) {}

    bool plan(); // False after a complaint.
    bool launch();
    Result<> wait_until_formed(Environment& env);
    Result<> watch(Environment& env);
    void welcome() const;
    void stop();
    bool has_failed() const { return has_failed_; }

private:
    struct Node {
        std::int64_t number = 0;
        std::uint16_t port = 0; // For clients; for peers and the admin port see below.
        std::string directory, log;
        pid_t process = 0; // 0: has ended.
        Address clients() const { return {local, port}; }
        Address peers() const { return {local, static_cast<std::uint16_t>(port + 1)}; }
        Address admin() const { return {local, static_cast<std::uint16_t>(port + 2)}; }
    };

    bool fail(const std::string& complaint) {
        complain(complaint);
        has_failed_ = true;
        return false;
    }
    std::vector<std::string> arguments(const Node& node) const;
    void gather();
    bool is_formed(Environment& env, const Node& node) const;

    const CommandLine& line_;
    const Program& program_;
    std::vector<Node> nodes_;
    bool has_failed_ = false;
};

// How many nodes have lived there.
std::int64_t nodes_in(const std::string& directory) {
    std::int64_t count = 0;
    std::error_code error;
    while (count < nodes_max &&
           fs::exists(directory + "/node" + std::to_string(count + 1) + "/identity", error))
        ++count;
    return count;
}

std::string last_line(const std::string& path) {
    std::ifstream file(path);
    std::string line, last;
    while (std::getline(file, line))
        if (!line.empty()) last = line;
    return last;
}

bool Trial::plan() {
    for (const server::Assignment& assignment : line_.assignments)
        if (std::ranges::find(ours, assignment.name) != ours.end())
            return fail(assignment.where + ": cluster up chooses " + assignment.name +
                        " for each node itself");
    const std::int64_t before = nodes_in(line_.directory);
    const std::int64_t count = line_.nodes.value_or(before > 0 ? before : nodes_default);
    if (count < 1 || count > nodes_max)
        return fail("--nodes must be from 1 to " + std::to_string(nodes_max));
    if (before > 0 && count != before)
        return fail(line_.directory + ": holds a cluster of " + std::to_string(before) +
                    " nodes, whose number cannot change: take another --dir, or leave out --nodes");
    const int first = program_.node.kafka.port;
    if (first < 1 || first + ports_apart * (count - 1) + 2 > 65'535)
        return fail("--port " + std::to_string(first) + " leaves no room for the other ports");
    for (std::int64_t i = 0; i < count; ++i) {
        const std::string directory = line_.directory + "/node" + std::to_string(i + 1);
        nodes_.push_back({i + 1, static_cast<std::uint16_t>(first + ports_apart * i), directory,
                          directory + ".log", 0});
        if (const int owner = DataDir::owner(directory); owner > 0)
            return fail(directory + ": a node is running here, process " + std::to_string(owner) +
                        ": stop it with `pyralog stop --data-dir " + directory + '`');
    }
    std::error_code error;
    fs::create_directories(line_.directory, error);
    if (error) return fail(line_.directory + ": cannot be made: " + error.message());
    return true;
}

std::vector<std::string> Trial::arguments(const Node& node) const {
    std::string members;
    for (const Node& other : nodes_)
        members += (members.empty() ? "" : ",") + std::to_string(other.number) + '=' +
                   to_string(other.peers());
    std::vector<std::string> all{"pyralog", "start"};
    if (line_.config_file) all.insert(all.end(), {"--config", *line_.config_file});
    const auto set = [&](const std::string& name, const std::string& value) {
        all.insert(all.end(), {"--set", name + '=' + value});
    };
    const auto& given = program_.applied.origins;
    if (!given.contains("kafka.host")) set("kafka.host", local);
    if (!given.contains("cluster.name")) set("cluster.name", "trial");
    for (const server::Assignment& assignment : line_.assignments)
        if (assignment.name != "kafka.port") set(assignment.name, assignment.value);
    set("node.id", std::to_string(node.number));
    set("node.data_dir", node.directory);
    set("cluster.members", members);
    set("kafka.port", std::to_string(node.port));
    set("admin.port", std::to_string(node.admin().port));
    return all;
}

// The child has a session of its own: Ctrl-C is for us, and we stop the nodes one after the other.
pid_t launch_process(const std::vector<std::string>& arguments, const std::string& log) {
    std::array<char, 4096> self{};
    if (::readlink("/proc/self/exe", self.data(), self.size() - 1) < 0) return -1;
    std::vector<char*> pointers;
    for (const std::string& argument : arguments)
        pointers.push_back(const_cast<char*>(argument.c_str()));
    pointers.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t child = ::fork();
    if (child != 0) return child;
    ::setsid();
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(exit_failed);
    const int file = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (file < 0 || nothing < 0) ::_exit(exit_failed);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(file, STDOUT_FILENO);
    ::dup2(file, STDERR_FILENO);
    ::execv(self.data(), pointers.data());
    ::_exit(exit_failed);
}

bool Trial::launch() {
    for (Node& node : nodes_) {
        node.process = launch_process(arguments(node), node.log);
        if (node.process < 0) {
            node.process = 0;
            return fail("node " + std::to_string(node.number) +
                        " cannot be started: " + std::strerror(errno));
        }
    }
    return true;
}

// Takes note of who has ended.
void Trial::gather() {
    for (Node& node : nodes_)
        if (node.process > 0 && ::waitpid(node.process, nullptr, WNOHANG) == node.process)
            node.process = 0;
}

bool Trial::is_formed(Environment& env, const Node& node) const {
    const Deadline patience(env.fibers, env.clock.now() + status_patience);
    const auto answer = server::ask_admin(env.network, node.admin(), {"GET", "/v1/status"});
    if (!answer.ok() || answer.value().status != 200) return false;
    const Json status = Json::parse(answer.value().body, nullptr, false);
    return status.is_object() && status.value("formed", false);
}

Result<> Trial::wait_until_formed(Environment& env) {
    const Time end = env.clock.now() + form_patience;
    for (;;) {
        gather();
        for (const Node& node : nodes_)
            if (node.process == 0) {
                fail("node " + std::to_string(node.number) + " has ended: " + last_line(node.log));
                return Error::unavailable;
            }
        if (std::ranges::all_of(nodes_, [&](const Node& node) { return is_formed(env, node); }))
            return {};
        if (env.clock.now() > end) {
            fail("the cluster has not formed within " + format_duration(form_patience) + ": " +
                 nodes_.front().log + " says more");
            return Error::timed_out;
        }
        TRY(env.fibers.sleep_until(env.clock.now() + look_pause));
    }
}

void Trial::welcome() const {
    std::printf("cluster of %zu, data in %s\n", nodes_.size(), line_.directory.c_str());
    std::vector<std::vector<std::string>> rows{{"NODE", "CLIENTS", "CONSOLE", "PROCESS", "LOG"}};
    for (const Node& node : nodes_)
        rows.push_back({std::to_string(node.number), to_string(node.clients()),
                        "http://" + to_string(node.admin()) + '/', std::to_string(node.process),
                        node.log});
    const std::string address = to_string(nodes_.front().clients());
    std::printf("%s\nIn another terminal:\n"
                "  seq 1000 | pyralog produce numbers --bootstrap %s\n"
                "  pyralog consume numbers --bootstrap %s\n"
                "Ctrl-C stops the cluster; its data stays.\n",
                format_table(rows).c_str(), address.c_str(), address.c_str());
    std::fflush(stdout);
}

// Killing a node is what one does with such a cluster: says how to get it back, and stays.
Result<> Trial::watch(Environment& env) {
    for (;;) {
        TRY(env.fibers.sleep_until(env.clock.now() + look_pause));
        std::vector<std::int64_t> running;
        for (const Node& node : nodes_)
            if (node.process > 0) running.push_back(node.number);
        gather();
        for (const Node& node : nodes_) {
            if (node.process > 0 || std::ranges::find(running, node.number) == running.end())
                continue;
            std::string command;
            for (const std::string& argument : arguments(node))
                command += (command.empty() ? "" : " ") + argument;
            std::printf("node %lld has ended (%s says more). To start it again:\n  %s\n",
                        static_cast<long long>(node.number), node.log.c_str(), command.c_str());
            std::fflush(stdout);
        }
    }
}

// Those that somebody has started again as well.
void Trial::stop() {
    gather();
    for (Node& node : nodes_) {
        const pid_t process = node.process > 0 ? node.process : DataDir::owner(node.directory);
        if (process <= 0) continue;
        ::kill(process, SIGTERM);
        int looks = 0;
        const auto is_there = [&] {
            gather();
            return node.process > 0 || DataDir::owner(node.directory) == process;
        };
        for (; is_there() && looks < stop_looks_max; ++looks) ::usleep(look_pause / 1us);
        if (looks == stop_looks_max) {
            ::kill(process, SIGKILL);
            fail("node " + std::to_string(node.number) +
                 " did not stop, and was killed: " + node.log + " says more");
            continue;
        }
        std::printf("node %lld has stopped\n", static_cast<long long>(node.number));
        std::fflush(stdout);
    }
}

} // namespace

int run_trial_cluster(const CommandLine& line, const Program& program) {
    Trial trial(line, program);
    if (!trial.plan()) return exit_mistake;
    if (trial.launch()) {
        real::World world(real::IoConfig{.node = {}, .data_dir = {}, .log_level = Level::error});
        // Ends when it is told to, or has told why it does not go on.
        (void)world.run([&](Environment& env) -> Result<> {
            TRY(trial.wait_until_formed(env));
            trial.welcome();
            return trial.watch(env);
        });
    }
    trial.stop();
    return trial.has_failed() ? exit_failed : 0;
}

} // namespace pyralog::cli
