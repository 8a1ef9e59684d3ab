#include "core/base/logger.h"

#include <catch2/catch.hpp>

#include <string>
#include <vector>

using namespace pyralog;

namespace {

struct Lines : Logger::Sink {
    std::vector<std::string> lines;
    void write(Level level, std::string_view event, Logger::Fields fields) override {
        lines.push_back(std::string(to_string(level)) + ' ' + to_line(event, fields));
    }
};

} // namespace

TEST_CASE("an event is one line, and each number has its name", "[base]") {
    CHECK(to_line("elected", {{"term", Term(3)},
                              {"node", NodeId(1)},
                              {"end", Position{7, Offset(20)}},
                              {"took", Duration(1500us)},
                              {"alone", false},
                              {"error", Error::timed_out}}) ==
          "elected term=3 node=1 end=7/20 took=1500us alone=false error=\"timed out\"");
}

TEST_CASE("values are quoted where they could be misread", "[base]") {
    CHECK(to_line("e", {{"v", "plain"}}) == "e v=plain");
    CHECK(to_line("e", {{"v", ""}}) == "e v=\"\"");
    CHECK(to_line("e", {{"v", "two words"}}) == "e v=\"two words\"");
    CHECK(to_line("e", {{"v", "a=b"}}) == "e v=\"a=b\"");
    CHECK(to_line("e", {{"v", "say \"so\""}}) == "e v=\"say \\\"so\\\"\"");
    CHECK(to_line("e", {{"v", "back\\slash it"}}) == "e v=\"back\\\\slash it\"");
}

TEST_CASE("no value can forge a second line", "[base]") {
    CHECK(to_line("e", {{"v", "a\nerror forged"}}) == "e v=\"a\\nerror forged\"");
    CHECK(to_line("e", {{"v", "a\rb"}}).find('\r') == std::string::npos);
    CHECK(to_line("e", {{"v", "\x1b[2J"}}).find('\x1b') == std::string::npos);
}

TEST_CASE("what is below the least level is not written", "[base]") {
    Lines sink;
    Logger log(sink, Level::warning);
    log.debug("one");
    log.info("two");
    log.warning("three", {{"n", 3}});
    log.error("four");
    CHECK(sink.lines == std::vector<std::string>{"warning three n=3", "error four"});
    CHECK(log.writes(Level::error));
    CHECK_FALSE(log.writes(Level::info));
    log.set_least(Level::debug);
    log.debug("five");
    CHECK(sink.lines.back() == "debug five");
    CHECK(log.least() == Level::debug);
}

TEST_CASE("a sink that takes all gets all, and the least level stays what it was", "[base]") {
    struct Everything final : Lines {
        bool takes_all() const override { return true; }
    } sink;
    Logger log(sink, Level::error);
    log.debug("one");
    CHECK(sink.lines == std::vector<std::string>{"debug one"});
    CHECK(log.least() == Level::error);
}
