// server/cli/data_dir.h
//
// The directory a node is about to live in: may it, and does it belong to this node? Looking comes
// first and touches nothing, so that a mistake in the settings leaves no trace on the disk; taking
// makes the directory and says in it whose it is.
//
// A file in it is locked for as long as the DataDir lives, and holds the number of the process, so
// that a second node finds out who was first, and `pyralog stop` when it has gone.
#pragma once

#include "server/identity.h"

#include <optional>
#include <string>

namespace pyralog::cli {

class DataDir {
public:
    explicit DataDir(std::string path) : path_(std::move(path)) {}
    ~DataDir();
    DataDir(const DataDir&) = delete;
    DataDir& operator=(const DataDir&) = delete;

    // What is wrong with the directory, in one line; empty if it can be taken. If it is there
    // already, it stays locked from here on.
    std::string look(const server::Identity& wanted);

    // After look(): makes what is missing. What went wrong, or nothing.
    std::string take(const server::Identity& wanted);

    // The process that runs a node here, 0 if none does. Of somebody else's directory.
    static int owner(const std::string& path);

    // The admin address that the last node here has left; nothing if none has.
    static std::optional<Address> admin_address(const std::string& path);

private:
    std::string lock(bool create);
    std::string look_inside(const server::Identity& wanted);
    std::string failed(const char* what) const;

    std::string path_;
    int lock_ = -1;
};

// Whether `address` can be listened on, by trying; empty, or what is wrong in one line.
std::string look_at_port(const Address& address, const std::string& setting);

} // namespace pyralog::cli
