#include "sim-tests/tool/page.h"

#include "core/wire/peer.h"
#include "sim-tests/tool/worker.h"

#include <nlohmann/json.hpp>

#include <catch2/catch.hpp>

namespace pyralog::simtest {
namespace {

using Json = nlohmann::json;

// A short run with everything that a page shows of it.
PageInput short_page(std::uint64_t seed) {
    PageInput input;
    Plan plan = draw_plan(seed);
    plan.length = std::min<Duration>(plan.length, 2s);
    RowMaker maker([&](std::string row) { input.rows.push_back(std::move(row)); });
    const RunResult result = run_plan(plan, maker.options());
    input.report.seed = seed;
    input.report.event = result.event;
    input.report.time = result.time;
    return input;
}

std::string row(const char* kind, std::uint64_t step, const Json& more = {}) {
    Json json{{"k", kind}, {"s", step}, {"t", static_cast<std::int64_t>(step) * 1000}};
    json.update(more.is_null() ? Json::object() : more);
    return json.dump();
}

// As many messages as do not fit, with a boot before all of them.
PageInput long_run() {
    PageInput input;
    input.rows.push_back(row("boot", 1, {{"n", 1}, {"x", "1"}}));
    for (const int end : {1, 2})
        input.rows.push_back(
            row("replica", 2,
                {{"n", 1}, {"g", 3}, {"r", "follower"}, {"m", 1}, {"e", end}, {"d", 0}, {"c", 0}}));
    for (std::uint64_t i = 0; i < page_rows_max + 500; ++i)
        input.rows.push_back(row("sent", 10 + i, {{"n", 1}, {"p", 2}, {"i", i + 1}}));
    input.report.event = page_rows_max + 600;
    return input;
}

std::size_t count_of(const Json& data, const std::string& kind) {
    std::size_t count = 0;
    for (const Json& r : data.at("rows")) count += r.at("k") == kind ? 1 : 0;
    return count;
}

} // namespace

TEST_CASE("the rows of a run say what brokers, disks, replicas and clients did", "[simtest][sim]") {
    const PageInput input = short_page(2);
    const Json data = Json::parse(page_data(input));
    for (const char* kind : {"boot", "sent", "delivered", "disk", "replica", "produce"}) {
        INFO(kind);
        CHECK(count_of(data, kind) > 0);
    }
    CHECK(count_of(data, "boot") >= static_cast<std::size_t>(draw_plan(2).nodes));
    bool vote = false, leader = false;
    std::uint64_t step = 0;
    for (const Json& r : data.at("rows")) {
        const std::string text = r.value("x", "");
        vote = vote || text.find("vote for me in term") != std::string::npos;
        leader = leader || r.value("r", "") == "leader";
        if (r.at("s") != 0) {
            CHECK(r.at("s").get<std::uint64_t>() >= step);
            step = r.at("s");
        }
    }
    CHECK(vote);
    CHECK(leader);
    CHECK(step <= input.report.event);
}

TEST_CASE("making rows changes nothing", "[simtest][sim]") {
    Plan plan = draw_plan(5);
    plan.length = 1s;
    RowMaker maker([](const std::string&) {});
    CHECK(run_plan(plan, maker.options()).hash == run_plan(plan).hash);
}

TEST_CASE("a long run keeps the end, and of the beginning what matters for it", "[simtest]") {
    const Json data = Json::parse(page_data(long_run()));
    CHECK(count_of(data, "boot") == 1);
    CHECK(count_of(data, "replica") == 2); // Its first role, and what it was when the window began.
    CHECK(count_of(data, "sent") == page_rows_max);
    CHECK(data.at("left_out") == 500);
    CHECK(data.at("rows").back().at("s") == 10 + page_rows_max + 499);
}

TEST_CASE("a window is by time or by event", "[simtest]") {
    PageInput input = long_run();
    input.window.from_step = 100;
    input.window.to_step = 199;
    CHECK(count_of(Json::parse(page_data(input)), "sent") == 100);
    input.window = {};
    input.window.from = 50us;
    input.window.to = 59us;
    CHECK(count_of(Json::parse(page_data(input)), "sent") == 10);
}

TEST_CASE("a row that was cut short by a crash is left out", "[simtest]") {
    PageInput input = long_run();
    input.rows.push_back("{\"k\":\"se");
    CHECK(count_of(Json::parse(page_data(input)), "sent") == page_rows_max);
}

TEST_CASE("a page is whole, and nothing in the data can end its script", "[simtest]") {
    PageInput input = long_run();
    input.report.exit_code = exit_safety;
    input.report.oracle = "log matching";
    input.report.detail = "</script><b>";
    const std::string page = page_html(page_data(input));
    CHECK(page.find("</script><b>") == std::string::npos);
    CHECK(page.find("\\u003c/script>") != std::string::npos);
    for (const char* left : {"/*DATA*/", "/*SCRIPT*/", "/*STYLE*/", "http://", "https://"})
        CHECK(page.find(left) == std::string::npos);
    CHECK(page.size() < 5'000'000);
}

TEST_CASE("a packet is told in words", "[simtest]") {
    wire::Packet packet;
    packet.messages.push_back({GroupId(3), wire::VoteReply{Term(5), false, true}, {}});
    const BytesChain bytes = wire::to_peer(packet);
    const MessageText said = peer_text(bytes);
    CHECK(said.text == "g3 yes, term 5");
    CHECK(said.groups == std::set<GroupId>{GroupId(3)});
    CHECK(peer_text(std::vector{Bytes::copy_of("no packet of ours at all")}).text.empty());
    CHECK(peer_text({}).text.empty());
}

TEST_CASE("an answer to a client is known by its request", "[simtest]") {
    const auto frame = [](std::initializer_list<int> values) {
        std::string text;
        for (const int value : values) text += static_cast<char>(value);
        return std::vector{Bytes::copy_of(text)};
    };
    KafkaTexts texts;
    CHECK(texts.request(4, frame({0, 0, 0, 9, 0, 1, 0, 4, 0, 0, 0, 7})) == "Fetch?");
    CHECK(texts.answer(5, frame({0, 0, 0, 9, 0, 0, 0, 7})).empty());
    CHECK(texts.answer(4, frame({0, 0, 0, 9, 0, 0, 0, 7})) == "Fetch answer");
    CHECK(texts.answer(4, frame({0, 0, 0, 9, 0, 0, 0, 7})).empty());
    CHECK(texts.request(4, frame({0, 0})).empty());
}

} // namespace pyralog::simtest
