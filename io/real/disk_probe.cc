#include "io/real/disk_probe.h"

#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/times.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <system_error>

namespace pyralog::real {

namespace {

// As short as journal rounds are when nodes have little to do, which is when latency is seen.
constexpr std::size_t small_write = 4_KiB;
constexpr std::array sizes{4_KiB, 64_KiB, 256_KiB, 1_MiB};
constexpr std::array ring_ways{SyncWay::ring_fdatasync, SyncWay::ring_dsync};

// What a call into the kernel and back takes is all of it: no device was asked.
constexpr Duration impossible_sync = 5us;
// A cache that survives a power cut answers as quickly, and so does one that does not.
constexpr Duration quick_sync = 40us;
// With more of the processors taken, times are those of the scheduler.
constexpr std::int64_t busy_percent_max = 30;

std::string text_of(Duration time) { return format_duration(time / 1us * 1us); }

const SyncFigure* find(std::span<const SyncFigure> figures, SyncWay way, bool busy) {
    for (const SyncFigure& figure : figures)
        if (figure.way == way && figure.busy == busy && figure.bytes == small_write) return &figure;
    return nullptr;
}

std::string name_of_file_system(long magic) {
    struct Known {
        long magic;
        const char* name;
    };
    constexpr Known known[] = {
        {0xef53, "ext4"},      {0x58465342, "xfs"},   {0x9123683e, "btrfs"},
        {0x01021994, "tmpfs"}, {0x858458f6, "ramfs"}, {0x794c7630, "overlayfs"},
        {0x6969, "nfs"},       {0x2fc12fc1, "zfs"},   {0xf2f52010, "f2fs"},
        {0x65735546, "fuse"},  {0x01021997, "9p"},    {0xff534d42, "cifs"}};
    for (const Known& one : known)
        if (one.magic == magic) return one.name;
    std::array<char, 20> digits{};
    const auto end = std::to_chars(digits.begin(), digits.end(), magic, 16).ptr;
    return "0x" + std::string(digits.begin(), end);
}

// Of the device, or of the one that it is a part of.
std::string queue_fact(const std::string& device, const char* name) {
    for (const char* above : {"/queue/", "/../queue/"}) {
        std::ifstream file("/sys/dev/block/" + device + above + name);
        std::string line;
        if (std::getline(file, line)) return line;
    }
    return {};
}

// What all processors have done since the machine was started, in ticks: nothing, and what was done
// for this process.
struct Ticks {
    std::int64_t all = 0, idle = 0, own = 0;
};
Ticks ticks() {
    std::ifstream file("/proc/stat");
    std::string name;
    file >> name;
    Ticks counted;
    std::int64_t part = 0;
    for (int i = 0; i < 8 && file >> part; ++i) { // user nice system IDLE IOWAIT irq softirq steal
        counted.all += part;
        if (i == 3 || i == 4) counted.idle += part;
    }
    tms own{};
    (void)times(&own);
    counted.own = own.tms_utime + own.tms_stime;
    return counted;
}

void add(std::vector<SyncFigure>& all, std::vector<SyncFigure> more) {
    all.insert(all.end(), more.begin(), more.end());
}

// Both ways of a node, alternately, idle and busy.
std::vector<SyncFigure> measure_for_choice(SyncMeter& meter, Duration each) {
    std::vector<SyncFigure> figures = meter.measure(ring_ways, small_write, each);
    if (!figures.empty()) add(figures, meter.measure(ring_ways, small_write, each, true));
    return figures;
}

} // namespace

SyncAdvice advise(std::span<const SyncFigure> figures) {
    const SyncFigure* const sync_idle = find(figures, SyncWay::ring_fdatasync, false);
    const SyncFigure* const sync_busy = find(figures, SyncWay::ring_fdatasync, true);
    const SyncFigure* const dsync_idle = find(figures, SyncWay::ring_dsync, false);
    const SyncFigure* const dsync_busy = find(figures, SyncWay::ring_dsync, true);
    if (!sync_idle || !sync_busy || !dsync_idle || !dsync_busy)
        return {SyncMethod::fdatasync, "nothing was measured that speaks for another way"};
    const std::string measured = "half of the writes of 4 KiB take " + text_of(dsync_idle->p50) +
                                 " with RWF_DSYNC and " + text_of(sync_idle->p50) +
                                 " with fdatasync; with all processors kept busy " +
                                 text_of(dsync_busy->p50) + " and " + text_of(sync_busy->p50);
    // It must be worth it: what is measured in a moment may be otherwise in the next.
    const bool is_faster = dsync_idle->p50 < sync_idle->p50 - sync_idle->p50 / 10;
    const bool stays_so = dsync_busy->p50 < sync_busy->p50 - sync_busy->p50 / 10;
    return {is_faster && stays_so ? SyncMethod::dsync : SyncMethod::fdatasync, measured};
}

DiskFacts facts_of(const std::string& directory) {
    DiskFacts facts;
    struct statfs system{};
    if (statfs(directory.c_str(), &system) == 0) {
        facts.file_system = name_of_file_system(static_cast<long>(system.f_type) & 0xffffffffL);
        facts.in_memory = facts.file_system == "tmpfs" || facts.file_system == "ramfs";
    }
    struct stat found{};
    if (stat(directory.c_str(), &found) == 0 && major(found.st_dev) != 0) {
        facts.device =
            std::to_string(major(found.st_dev)) + ':' + std::to_string(minor(found.st_dev));
        facts.write_cache = queue_fact(facts.device, "write_cache");
        facts.fua = queue_fact(facts.device, "fua");
    }
    return facts;
}

std::vector<std::string> doubts(const DiskProbe& probe, Duration durable_write) {
    const DiskFacts& facts = probe.facts;
    std::vector<std::string> found;
    if (facts.in_memory) {
        found.push_back("this is a file system in memory: all of it is lost when the machine "
                        "stops, whatever was synced");
    } else if (durable_write < impossible_sync) {
        found.push_back("a durable write took " + format_duration(durable_write) +
                        ": no device was asked, and what is called durable here is not");
    } else if (durable_write < quick_sync && facts.write_cache != "write through") {
        found.push_back("a durable write took " + text_of(durable_write) +
                        ": a device whose cache survives a power cut is as quick as that, and so "
                        "is one that only says so, or a host that does not pass syncs on; from "
                        "here they look the same");
    }
    const bool elsewhere = facts.file_system == "nfs" || facts.file_system == "cifs" ||
                           facts.file_system == "9p" || facts.file_system == "fuse";
    if (elsewhere)
        found.push_back("what a sync means on " + facts.file_system +
                        " is up to whoever serves it");
    if (probe.busy_percent >= busy_percent_max)
        found.push_back("the processors were " + std::to_string(probe.busy_percent) +
                        " % busy with something else: times of milliseconds may be the waiting "
                        "for one, and not the device");
    return found;
}

bool probe_disk(const std::string& directory, DiskProbe& probe, std::string& reason) {
    const auto meter = SyncMeter::open(directory, 64_MiB, probe_time / 5, reason);
    if (!meter) return false;
    probe.directory = directory;
    probe.facts = facts_of(directory);
    probe.direct = meter->direct();
    probe.direct_alignment = meter->direct_alignment();
    if (meter->ring_refusal() != 0)
        probe.ring_refusal = std::generic_category().message(meter->ring_refusal());
    const Ticks before = ticks();
    const Duration each = probe_time / 50;
    for (const std::size_t size : sizes) {
        constexpr std::array buffered{SyncWay::buffered_fdatasync};
        add(probe.figures, meter->measure(buffered, size, each));
        std::vector<SyncWay> ways{SyncWay::direct_fdatasync, SyncWay::direct_dsync,
                                  SyncWay::ring_fdatasync, SyncWay::ring_dsync};
        std::erase_if(ways, [&](SyncWay way) { return !meter->can(way); });
        if (!ways.empty())
            add(probe.figures, meter->measure(ways, size, each * static_cast<int>(ways.size())));
    }
    const Ticks after = ticks();
    const std::int64_t all = std::max<std::int64_t>(after.all - before.all, 1);
    const std::int64_t free = after.idle - before.idle + after.own - before.own;
    probe.busy_percent = 100 * (all - std::min(all, free)) / all;
    if (meter->can(SyncWay::ring_dsync))
        add(probe.figures, meter->measure(ring_ways, small_write, 4 * each, true));
    probe.flow = meter->flow(probe_time / 10);
    if (!meter->failure().empty()) {
        reason = meter->failure();
        return false;
    }
    probe.advice = advise(probe.figures);
    Duration least = Duration::max();
    for (const SyncFigure& figure : probe.figures)
        if (figure.bytes == small_write) least = std::min(least, figure.p50);
    probe.warnings = doubts(probe, least);
    return true;
}

SyncAdvice choose_sync(const std::string& directory) {
    std::string reason;
    const auto meter = SyncMeter::open(directory, SyncMeter::write_bytes_max, 0ms, reason);
    if (!meter) return {SyncMethod::fdatasync, "nothing could be measured: " + reason};
    if (!meter->direct()) return {SyncMethod::fdatasync, "there is no direct I/O"};
    // A helper thread waits for its write, so one call is less than two.
    if (!meter->can(SyncWay::ring_dsync)) return {SyncMethod::dsync, "there is no io_uring"};
    const std::vector<SyncFigure> figures = measure_for_choice(*meter, choose_time / 3);
    if (!meter->failure().empty())
        return {SyncMethod::fdatasync, "nothing could be measured: " + meter->failure()};
    return advise(figures);
}

} // namespace pyralog::real
