// io/real/disk.h
//
// A directory of Linux as core/env/disk.h wants it. Bytes move through the ring, or through helper
// threads where there is none; names are opened, listed, renamed and synced on helper threads.
//
// The data directory is opened with the first call, made if there is none, and locked: two
// processes on the same data would destroy it. Error::unavailable if another one has it.
//
// What the kernel refuses is logged here, with errno, path and place, and comes back as one of the
// few Errors that a caller acts on.
#pragma once

#include "core/base/logger.h"
#include "core/base/metrics.h"
#include "core/env/disk.h"
#include "io/real/config.h"
#include "io/real/ring.h"
#include "io/real/workers.h"

#include <functional>

namespace pyralog::real {

class Disk final : public pyralog::Disk {
public:
    // Called once, by the first fiber that opens a file. Null: use the helper threads.
    using RingSource = std::function<Ring*()>;

    // All but `directory` outlive the Disk, and the Disk its Files.
    Disk(std::string directory, RingSource ring, Workers& workers, Scheduler& fibers, Logger& log,
         Metrics& metrics);
    ~Disk() override;

    // How durable writes past the page cache are made from now on. Left to itself: a linked sync on
    // the ring, RWF_DSYNC on helper threads.
    void use(SyncMethod method) { sync_ = method; }

    // Opens, makes and locks the data directory, unless that has been done.
    Result<> prepare();

    Result<std::unique_ptr<pyralog::File>> open(std::string_view path, Open how,
                                                Access access) override;
    Result<std::vector<std::string>> list(std::string_view directory) override;
    Result<> create_directory(std::string_view path) override;
    Result<> rename(std::string_view from, std::string_view to) override;
    Result<> remove(std::string_view path) override;
    Result<> sync_directory(std::string_view directory) override;
    Result<Space> space() override;

private:
    friend class File;

    bool syncs_after_write() const;

    // Does `call` on a helper thread; it returns zero or an errno.
    template <class Call>
    Result<> on_names(std::string_view what, std::string_view path, Call call);
    Error refused(std::string_view what, std::string_view path, int error);

    std::string directory_;
    RingSource ring_source_;
    Ring* ring_ = nullptr;
    bool ring_asked_ = false;
    Workers& workers_;
    Scheduler& fibers_;
    Logger& log_;
    int root_ = -1;
    SyncMethod sync_ = SyncMethod::automatic;

    Metrics::Counter bytes_read_;
    Metrics::Counter bytes_written_;
};

} // namespace pyralog::real
