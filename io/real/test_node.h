// io/real/test_node.h
//
// For tests: a node with a data directory of its own, which is gone with it. It lies in the build
// tree and not in /tmp, so that it is on a disk.
#pragma once

#include "io/real/world.h"

#include <functional>
#include <string>

namespace pyralog::real {

class TestNode {
public:
    TestNode();
    ~TestNode();
    TestNode(const TestNode&) = delete;
    TestNode& operator=(const TestNode&) = delete;

    // A life of the node, to its end.
    void run(const std::function<void(Environment&)>& node);
    std::string host() const { return "127.0.0.1"; }
    const std::string& directory() const { return config.data_dir; }

    IoConfig config;
};

// The same without io_uring.
class TestNodeOnThreads : public TestNode {
public:
    TestNodeOnThreads() { config.ring = false; }
};

// With each of the two ways of making a write durable; by themselves nodes in tests do not choose.
class TestNodeWithSync : public TestNode {
public:
    TestNodeWithSync() { config.sync = SyncMethod::fdatasync; }
};
class TestNodeWithDsync : public TestNode {
public:
    TestNodeWithDsync() { config.sync = SyncMethod::dsync; }
};
class TestNodeOnThreadsWithSync : public TestNodeOnThreads {
public:
    TestNodeOnThreadsWithSync() { config.sync = SyncMethod::fdatasync; }
};

// Runs `body` in a child process that stands alone, and returns its wait status. Whatever `body`
// finds wrong it says with its exit code.
int in_child(const std::function<int()>& body);

} // namespace pyralog::real
