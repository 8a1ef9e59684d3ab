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

TEST_CASE("numbers fall into buckets that double from one", "[base]") {
    Metrics metrics;
    Metrics::Histogram histogram(metrics, "round_bytes", "How large.",
                                 Metrics::Histogram::Of::numbers);
    for (const std::uint64_t size : {0U, 1U, 2U, 3U, 4096U, 4097U}) histogram.add_number(size);
    const std::string text = metrics.expose();
    CHECK(text.find("round_bytes_bucket{le=\"1\"} 2\n") != std::string::npos);
    CHECK(text.find("round_bytes_bucket{le=\"4\"} 4\n") != std::string::npos);
    CHECK(text.find("round_bytes_bucket{le=\"4096\"} 5\n") != std::string::npos);
    CHECK(text.find("round_bytes_bucket{le=\"+Inf\"} 6\n") != std::string::npos);
    CHECK(text.find("round_bytes_sum 8199\n") != std::string::npos);
}

TEST_CASE("a family stands in one piece, whatever lies between its names", "[base]") {
    Metrics metrics;
    Metrics::Counter plain(metrics, "a_total", "A.");
    Metrics::Counter other(metrics, "a_total_of_others", "Others."); // Between the two, by name.
    Metrics::Counter labelled(metrics, "a_total{x=\"1\"}", "A.");
    CHECK(metrics.expose() == "# HELP a_total A.\n# TYPE a_total counter\na_total 0\n"
                              "a_total{x=\"1\"} 0\n"
                              "# HELP a_total_of_others Others.\n"
                              "# TYPE a_total_of_others counter\na_total_of_others 0\n");
}

TEST_CASE("what was found out when somebody asked stands among the rest", "[base]") {
    Metrics metrics;
    Metrics::Counter counter(metrics, "b_total", "B.");
    metrics.foretell("c_total", "counter", "C.");
    metrics.foretell("b_total", "counter", "B.");
    Metrics::Families families;
    families.gauge("a_lag", "Lag.", 5, metrics_label("topic", "q\"\\"));
    metrics.gather(families);
    CHECK(families.text() == "# HELP a_lag Lag.\n# TYPE a_lag gauge\na_lag{topic=\"q\\\"\\\\\"} 5\n"
                             "# HELP b_total B.\n# TYPE b_total counter\nb_total 0\n"
                             "# HELP c_total C.\n# TYPE c_total counter\n");
}
