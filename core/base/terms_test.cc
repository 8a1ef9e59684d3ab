#include "core/base/random.h"
#include "core/base/terms.h"

#include <catch2/catch.hpp>
#include <rapidcheck/catch.h>

#include <vector>

using namespace pyralog;

namespace {

constexpr Position position(std::int64_t index) { return {index, Offset(index * 10)}; }

// A whole log's worth of terms, one for each entry from `start` on.
struct Model {
    std::int64_t start = 0;
    Term before;
    std::vector<Term> terms;

    std::int64_t end() const { return start + static_cast<std::int64_t>(terms.size()); }
    Term at(std::int64_t index) const { return terms[static_cast<std::size_t>(index - start)]; }
};

void compare(const TermTable& table, const Model& model) {
    for (std::int64_t i = model.start; i < model.end(); ++i) RC_ASSERT(table.at(i) == model.at(i));
    RC_ASSERT(table.empty() == model.terms.empty());
    RC_ASSERT(table.before(model.start) == model.before);
    RC_ASSERT(table.last() == (model.terms.empty() ? model.before : model.terms.back()));
    if (model.terms.empty()) return;
    for (std::int32_t t = 0; t <= model.terms.back().value + 1; ++t) {
        std::int64_t first = model.start;
        while (first < model.end() && model.at(first) <= Term(t)) ++first;
        const auto found = table.first_after(Term(t));
        RC_ASSERT(found.has_value() == (first < model.end()));
        if (!found) continue;
        RC_ASSERT(found->first.index == first);
        RC_ASSERT(found->term == model.at(first));
    }
}

} // namespace

TEST_CASE("an empty table knows no term", "[base]") {
    const TermTable table;
    CHECK(table.empty());
    CHECK(table.last() == Term(0));
    CHECK(table.at(0) == Term(0));
    CHECK(table.before(0) == Term(0));
    CHECK_FALSE(table.first_after(Term(0)));
    CHECK_FALSE(table.start_at_or_before(5));
}

TEST_CASE("entries of one term take one place in the table", "[base]") {
    TermTable table;
    table.append(Term(1), position(0));
    table.append(Term(1), position(1));
    table.append(Term(4), position(2));
    table.append(Term(4), position(3));
    CHECK(table.starts() == std::vector<TermStart>{{Term(1), position(0)}, {Term(4), position(2)}});
    CHECK(table.before(2) == Term(1));
    CHECK(table.at(2) == Term(4));
    CHECK(table.first_after(Term(2))->first == position(2));
}

TEST_CASE("cutting at the first entry of a term forgets the term", "[base]") {
    TermTable table;
    table.append(Term(1), position(0));
    table.append(Term(2), position(5));
    table.cut(position(6));
    CHECK(table.last() == Term(2));
    table.cut(position(5));
    CHECK(table.last() == Term(1));
    table.cut(position(0));
    CHECK(table.empty());
}

TEST_CASE("trimming inside a term keeps the term of what remains", "[base]") {
    TermTable table;
    table.append(Term(1), position(0));
    table.append(Term(2), position(5));
    table.trim(position(3));
    CHECK(table.at(3) == Term(1));
    CHECK(table.at(2) == Term(1));
    CHECK(table.at(1) == Term(0));
    CHECK(table.start() == position(3));
    table.trim(position(9));
    CHECK(table.starts() == std::vector<TermStart>{{Term(2), position(9)}});
}

TEST_CASE("trimming at the first entry of a term keeps the term before it", "[base]") {
    TermTable table;
    table.append(Term(1), position(0));
    table.append(Term(2), position(5));
    table.trim(position(5));
    CHECK(table.before_start() == Term(1));
    CHECK(table.before(5) == Term(1));
    CHECK(table.starts() == std::vector<TermStart>{{Term(2), position(5)}});
}

TEST_CASE("a table of a log that is trimmed to its end still knows the last term", "[base]") {
    TermTable table;
    table.append(Term(3), position(0));
    table.trim(position(4));
    table.cut(position(4));
    CHECK(table.empty());
    CHECK(table.last() == Term(3));
    CHECK(table.before(4) == Term(3));
    table.append(Term(3), position(4));
    CHECK(table.starts() == std::vector<TermStart>{{Term(3), position(4)}});
    CHECK(table == [] {
        TermTable other(position(4), Term(3));
        other.append(Term(3), position(4));
        return other;
    }());
}

TEST_CASE("whoever trims may know a term that the table does not", "[base]") {
    TermTable table;
    table.append(Term(4), position(0));
    table.trim(position(9), Term(2));
    CHECK(table.before(9) == Term(2));
}

TEST_CASE("the table agrees with a vector of terms", "[base][model]") {
    rc::prop("whatever is appended, cut and trimmed", [] {
        Random random(*rc::gen::arbitrary<std::uint64_t>());
        TermTable table;
        Model model;
        Term term(1);
        for (int step = 0; step < 60; ++step) {
            switch (random.below(6)) {
            case 0: { // Back to some place, and on from there.
                const std::int64_t end = random.between(model.start, model.end());
                table.cut(position(end));
                model.terms.resize(static_cast<std::size_t>(end - model.start));
                break;
            }
            case 1: {
                const std::int64_t start = random.between(model.start, model.end());
                if (start > model.start) model.before = model.at(start - 1);
                table.trim(position(start));
                table.cut(position(model.end()));
                model.terms.erase(model.terms.begin(), model.terms.begin() + (start - model.start));
                model.start = start;
                break;
            }
            case 2: term = Term(term.value + static_cast<std::int32_t>(random.below(3))); break;
            default: table.append(term, position(model.end())); model.terms.push_back(term);
            }
            compare(table, model);
        }
    });
}
