#include "io/sim/crash_points.h"

#include <string_view>

namespace pyralog::sim {

namespace {

struct Point {
    std::uint64_t completion;
    Crash way;
};

std::string_view to_string(Crash way) {
    switch (way) {
    case Crash::kill: return "kill";
    case Crash::keeps_none: return "cut, keeps none";
    case Crash::keeps_all: return "cut, keeps all";
    case Crash::by_unit: return "cut, by unit";
    }
    check_failed("a known Crash", __FILE__, __LINE__);
}

void crash(CrashSubject& subject, Crash way) {
    if (way == Crash::kill) return subject.world().kill(subject.node());
    Faults faults = subject.world().faults();
    faults.cut_keeps_none = way == Crash::keeps_none ? 1 : 0;
    faults.cut_keeps_all = way == Crash::keeps_all ? 1 : 0;
    faults.cut_by_unit = way == Crash::by_unit ? 1 : 0;
    subject.world().set_faults(faults);
    subject.world().cut_power(subject.node());
}

class Explorer {
public:
    explicit Explorer(const CrashPlan& plan) : plan_(plan) {
        report_.points.resize(plan.ways.size());
    }

    CrashReport explore() {
        (void)run();
        descend();
        return std::move(report_);
    }

private:
    // All runs that begin with path_ and have one crash more, and all that go on from there.
    void descend() {
        const std::size_t depth = path_.size();
        if (depth == plan_.ways.size()) return;
        bool reached = true;
        for (std::uint64_t completion = 1; reached; ++completion) {
            for (const Crash way : plan_.ways[depth]) {
                path_.push_back({completion, way});
                reached = run();
                if (reached && report_.trouble.empty()) descend();
                path_.pop_back();
                if (!report_.trouble.empty()) return;
            }
            if (reached) ++report_.points[depth];
        }
    }

    // False if a life ended by itself before its crash.
    bool run() {
        CHECK(++report_.runs <= plan_.runs_max);
        const std::unique_ptr<CrashSubject> subject = plan_.make();
        World& world = subject->world();
        for (std::size_t life = 0; life < path_.size(); ++life) {
            subject->boot(life);
            const Medium& disk = world.disk(subject->node());
            const std::uint64_t target = disk.completions() + path_[life].completion;
            while (disk.completions() < target) {
                if (!world.running(subject->node())) return false;
                world.step();
            }
            crash(*subject, path_[life].way);
        }
        subject->boot(path_.size());
        const Duration limit = world.now() + std::chrono::hours(1);
        const bool ended = world.run_until(limit, [&] { return !world.running(subject->node()); });
        const std::string trouble = ended ? subject->judge() : "it does not come to its end";
        if (!trouble.empty()) report_.trouble = describe() + trouble;
        return true;
    }

    std::string describe() const {
        std::string text;
        for (const Point& point : path_)
            text += std::string(to_string(point.way)) + " at completion " +
                    std::to_string(point.completion) + "; ";
        return text;
    }

    const CrashPlan& plan_;
    std::vector<Point> path_;
    CrashReport report_;
};

} // namespace

CrashReport for_each_crash_point(const CrashPlan& plan) { return Explorer(plan).explore(); }

} // namespace pyralog::sim
