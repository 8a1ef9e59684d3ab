// The steps of shrink.h that look at data alone.
#include "sim-tests/tool/shrink.h"

#include <algorithm>

namespace pyralog::simtest {

namespace {

using Kind = sim::Choice::Kind;

// A list whose choices went through `change`; neighbours that are of one kind become one.
template <class Change>
sim::ChoiceList changed(const sim::ChoiceList& list, Change change) {
    sim::ChoiceList result;
    for (const auto& [name, choices] : list.streams) {
        sim::StreamChoices& kept = result.streams[name];
        for (sim::Choice choice : choices) {
            change(name, choice);
            const bool run = choice.kind == Kind::missing || choice.kind == Kind::calm;
            if (run && !kept.empty() && kept.back().kind == choice.kind)
                kept.back().value += choice.value;
            else
                kept.push_back(choice);
        }
        // What is harmless at the end is harmless without it.
        while (!kept.empty() &&
               (kept.back().kind == Kind::missing || kept.back().kind == Kind::calm))
            kept.pop_back();
        if (kept.empty()) result.streams.erase(name);
    }
    return result;
}

bool contains(const Kept& kept, std::size_t number) {
    return std::ranges::binary_search(kept, number);
}

void add_classes(const Plan& plan, const PlanEdits& edits, std::vector<PlanEdits>& smaller) {
    std::vector<FaultClass> present;
    for (std::size_t i = 0; i < plan.classes.size(); ++i)
        if (plan.classes[i]) present.push_back(static_cast<FaultClass>(i));
    const auto without = [&](std::size_t begin, std::size_t end) {
        PlanEdits less = edits;
        less.without.insert(less.without.end(),
                            present.begin() + static_cast<std::ptrdiff_t>(begin),
                            present.begin() + static_cast<std::ptrdiff_t>(end));
        std::ranges::sort(less.without);
        smaller.push_back(less);
    };
    const std::size_t count = present.size();
    if (count > 1) without(0, count);
    if (count > 3) without(0, count / 2);
    if (count > 3) without(count / 2, count);
    for (std::size_t i = 0; i < count; ++i) without(i, i + 1);
}

} // namespace

std::vector<PlanEdits> smaller_plans(std::uint64_t seed, const PlanEdits& edits) {
    const Plan plan = draw_plan(seed, edits);
    std::vector<PlanEdits> smaller;
    const auto with = [&](auto change) {
        PlanEdits less = edits;
        change(less);
        smaller.push_back(less);
    };
    add_classes(plan, edits, smaller);
    if (plan.nodes > 3) with([](PlanEdits& less) { less.nodes = 3; });
    if (plan.nodes > 1) with([&](PlanEdits& less) { less.nodes = plan.nodes > 2 ? 2 : 1; });
    const WorkloadPlan& work = plan.workload;
    if (plan.engine) with([](PlanEdits& less) { less.engine = false; });
    if (work.producers > 1) with([](PlanEdits& less) { less.producers = 1; });
    if (work.consumers > 0) with([](PlanEdits& less) { less.consumers = 0; });
    if (work.topics.size() > 1) with([](PlanEdits& less) { less.topics = 1; });
    if (std::ranges::any_of(work.topics, [](const TopicPlan& t) { return t.partitions > 1; }))
        with([](PlanEdits& less) { less.partitions = 1; });
    if (work.vandal || work.explorer) with([](PlanEdits& less) { less.plain_clients = true; });
    if (!edits.plain_settings) with([](PlanEdits& less) { less.plain_settings = true; });
    if (plan.length > 500ms) with([&](PlanEdits& less) { less.length = plan.length / 2; });
    return smaller;
}

sim::ChoiceList keep_faults(const sim::ChoiceList& list, const Kept& kept) {
    std::size_t number = 0;
    return changed(list, [&](const std::string&, sim::Choice& choice) {
        if (choice.kind == Kind::struck && !contains(kept, number++)) choice.kind = Kind::calm;
    });
}

sim::ChoiceList keep_picks_of(const sim::ChoiceList& list, const Kept& streams) {
    std::vector<std::string> names;
    std::size_t number = 0;
    for (const auto& [name, choices] : list.streams)
        if (contains(streams, number++)) names.push_back(name);
    return changed(list, [&](const std::string& name, sim::Choice& choice) {
        if (choice.kind == Kind::pick && !std::ranges::binary_search(names, name))
            choice = {Kind::missing, 1};
    });
}

sim::ChoiceList keep_picks(const sim::ChoiceList& list, const Kept& kept) {
    std::size_t number = 0;
    return changed(list, [&](const std::string&, sim::Choice& choice) {
        if (choice.kind == Kind::pick && choice.value != 0 && !contains(kept, number++))
            choice = {Kind::missing, 1};
    });
}

} // namespace pyralog::simtest
