#include "core/base/metrics.h"

#include <catch2/catch.hpp>

#include <memory>
#include <string>

using namespace pyralog;

TEST_CASE("counters and gauges are exposed by name, with their help", "[base]") {
    Metrics metrics;
    Metrics::Gauge gauge(metrics, "b_clients", "Clients that are connected.");
    Metrics::Counter counter(metrics, "a_requests_total", "Requests that were answered.");
    counter.add();
    counter.add(41);
    gauge.set(7);
    gauge.add(-9);
    CHECK(metrics.expose() == "# HELP a_requests_total Requests that were answered.\n"
                              "# TYPE a_requests_total counter\n"
                              "a_requests_total 42\n"
                              "# HELP b_clients Clients that are connected.\n"
                              "# TYPE b_clients gauge\n"
                              "b_clients -2\n");
}

TEST_CASE("members of one name are exposed as their sum", "[base]") {
    Metrics metrics;
    Metrics::Counter first(metrics, "bytes_total", "Bytes.");
    Metrics::Counter second(metrics, "bytes_total", "Bytes.");
    first.add(1);
    second.add(2);
    CHECK(metrics.total("bytes_total") == 3);
    CHECK(metrics.expose().find("bytes_total 3\n") != std::string::npos);
}

TEST_CASE("a counter that has gone is still counted, a gauge is not", "[base]") {
    Metrics metrics;
    {
        Metrics::Counter counter(metrics, "gone_total", "Gone.");
        Metrics::Gauge gauge(metrics, "gone", "Gone.");
        counter.add(5);
        gauge.set(5);
    }
    CHECK(metrics.total("gone_total") == 5);
    CHECK(metrics.expose() == "# HELP gone_total Gone.\n# TYPE gone_total counter\ngone_total 5\n");
    Metrics::Counter again(metrics, "gone_total", "Gone.");
    again.add(2);
    CHECK(metrics.total("gone_total") == 7);
}

TEST_CASE("labels share one help and one type", "[base]") {
    Metrics metrics;
    Metrics::Counter one(metrics, "peer_bytes_total{peer=\"1\"}", "Bytes to a peer.");
    Metrics::Counter two(metrics, "peer_bytes_total{peer=\"2\"}", "Bytes to a peer.");
    two.add(9);
    CHECK(metrics.expose() == "# HELP peer_bytes_total Bytes to a peer.\n"
                              "# TYPE peer_bytes_total counter\n"
                              "peer_bytes_total{peer=\"1\"} 0\n"
                              "peer_bytes_total{peer=\"2\"} 9\n");
}

TEST_CASE("a sample falls into the first bucket that holds it", "[base]") {
    Metrics metrics;
    Metrics::Histogram histogram(metrics, "wait_seconds{disk=\"a\"}", "How long.");
    histogram.add(0ns);
    histogram.add(1us);
    histogram.add(1001ns);
    histogram.add(2us);
    histogram.add(3us);
    histogram.add(48h);
    histogram.add(-1us);
    CHECK(histogram.count() == 7);
    const std::string text = metrics.expose();
    CHECK(text.find("wait_seconds_bucket{disk=\"a\",le=\"0.000001\"} 3\n") != std::string::npos);
    CHECK(text.find("wait_seconds_bucket{disk=\"a\",le=\"0.000002\"} 5\n") != std::string::npos);
    CHECK(text.find("wait_seconds_bucket{disk=\"a\",le=\"0.000004\"} 6\n") != std::string::npos);
    CHECK(text.find("wait_seconds_bucket{disk=\"a\",le=\"+Inf\"} 7\n") != std::string::npos);
    CHECK(text.find("wait_seconds_sum{disk=\"a\"} 172800.000007001\n") != std::string::npos);
    CHECK(text.find("wait_seconds_count{disk=\"a\"} 7\n") != std::string::npos);
    CHECK(text.find("# TYPE wait_seconds histogram\n") != std::string::npos);
}

TEST_CASE("nobody has counted what nobody has named", "[base]") {
    const Metrics metrics;
    CHECK(metrics.total("anything") == 0);
    CHECK(metrics.expose().empty());
}
