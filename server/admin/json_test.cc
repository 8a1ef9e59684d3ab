#include "server/admin/json.h"

#include <catch2/catch.hpp>

using namespace pyralog::server;

TEST_CASE("JSON is written front to back, with commas where they belong", "[server]") {
    JsonWriter out;
    out.begin_object().field("a", 1).field("b", true).key("c").begin_array();
    out.value("x").value(-2).begin_object().end_object().null().end_array();
    out.field("d", std::optional<int>()).field("e", std::optional<int>(5)).end_object();
    CHECK(std::move(out).text() ==
          "{\"a\":1,\"b\":true,\"c\":[\"x\",-2,{},null],\"d\":null,\"e\":5}\n");
}

TEST_CASE("whatever a name is made of, it is one string of JSON", "[server]") {
    CHECK(json_quoted("a\"b\\c\n\x7f") == "\"a\\\"b\\\\c\\u000a\\u007f\"");
    CHECK(json_quoted("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80") ==
          "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"");
    // No UTF-8: alone, cut off, longer than need be, half of a pair, beyond the last.
    CHECK(json_quoted("\x80") == "\"\\ufffd\"");
    CHECK(json_quoted("a\xe2\x82") == "\"a\\ufffd\\ufffd\"");
    CHECK(json_quoted("\xc0\xaf") == "\"\\ufffd\\ufffd\"");
    CHECK(json_quoted("\xed\xa0\x80") == "\"\\ufffd\\ufffd\\ufffd\"");
    CHECK(json_quoted("\xf4\x90\x80\x80") == "\"\\ufffd\\ufffd\\ufffd\\ufffd\"");
}
