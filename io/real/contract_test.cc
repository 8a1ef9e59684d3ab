#include "io/real/test_node.h"

#include "core/env/contract.h"

#include <catch2/catch.hpp>

using namespace pyralog;
using real::TestNode;
using real::TestNodeOnThreads;

TEST_CASE("the clock keeps its contract", "[real]") { contract::clock<TestNode>(); }

TEST_CASE("files keep their contract on the ring", "[real]") { contract::file<TestNode>(); }

TEST_CASE("files keep their contract on threads", "[real]") { contract::file<TestNodeOnThreads>(); }

TEST_CASE("files keep their contract whichever way a write becomes durable", "[real]") {
    contract::file<real::TestNodeWithSync>();
    contract::file<real::TestNodeWithDsync>();
    contract::file<real::TestNodeOnThreadsWithSync>();
}

TEST_CASE("the disk keeps its contract", "[real]") { contract::disk<TestNode>(); }

TEST_CASE("streams keep their contract", "[real]") { contract::stream<TestNode>(); }

TEST_CASE("the network keeps its contract", "[real]") { contract::network<TestNode>(); }

TEST_CASE("the key-value store keeps its contract", "[real]") { contract::kv_store<TestNode>(); }

TEST_CASE("the environment keeps its contract", "[real]") { contract::environment<TestNode>(); }
