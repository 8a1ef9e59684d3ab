#include "core/testing/places.h"
#include "io/real/test_node.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

namespace pyralog::real {

TestNode::TestNode() {
    std::string name = testing::binary_dir() + "/real_test_XXXXXX";
    CHECK(mkdtemp(name.data()) != nullptr);
    config.data_dir = name;
    config.log_level = Level::error;
}

TestNode::~TestNode() { std::filesystem::remove_all(config.data_dir); }

void TestNode::run(const std::function<void(Environment&)>& node) {
    World world(config);
    const Result<> ended = world.run([&](Environment& env) -> Result<> {
        node(env);
        return {};
    });
    CHECK(ended.ok());
}

int in_child(const std::function<int()>& body) {
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); // Catch would report the parent's test from in here.
        _exit(body());
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

} // namespace pyralog::real
