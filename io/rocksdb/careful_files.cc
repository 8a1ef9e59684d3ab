#include "io/rocksdb/careful_files.h"

#include "io/rocksdb/log_repair.h"

namespace pyralog::rocks {

namespace {

class CarefulFiles final : public rocksdb::FileSystemWrapper {
public:
    using FileSystemWrapper::FileSystemWrapper;
    const char* Name() const override { return "CarefulFiles"; }

    rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                                 const rocksdb::IOOptions& options,
                                 rocksdb::IODebugContext* debug) override {
        const rocksdb::IOStatus synced = sync_name_of(*target(), to);
        return synced.ok() ? FileSystemWrapper::RenameFile(from, to, options, debug) : synced;
    }
};

} // namespace

std::shared_ptr<rocksdb::FileSystem> careful(std::shared_ptr<rocksdb::FileSystem> files) {
    return std::make_shared<CarefulFiles>(std::move(files));
}

} // namespace pyralog::rocks
