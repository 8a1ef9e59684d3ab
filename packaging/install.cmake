# What is installed, and the package for Debian. The manual page, the completions and the settings are
# printed by the program itself, so they are those of the program that is installed.
#
#   cmake --install build/release --prefix /usr/local      by hand
#   ./dev package                                          build/package/pyralog_*.deb
include(GNUInstallDirs)
set(PYRALOG_CONFIG_DIR ${CMAKE_INSTALL_FULL_SYSCONFDIR}/pyralog)
set(made ${CMAKE_BINARY_DIR}/install)
file(MAKE_DIRECTORY ${made})

# pyralog_print(FILE WORDS...): what the program says to these words. It may read no settings of the
# environment's.
function(pyralog_print file)
    add_custom_command(OUTPUT ${made}/${file} VERBATIM DEPENDS pyralog
        COMMAND env -i $<TARGET_FILE:pyralog> ${ARGN} > ${made}/${file})
    set_property(GLOBAL APPEND PROPERTY pyralog_printed ${made}/${file})
endfunction()
pyralog_print(pyralog.1 man)
pyralog_print(pyralog.bash completion bash)
pyralog_print(_pyralog completion zsh)
pyralog_print(pyralog.fish completion fish)
# Nobody is asked for a password, so at first only this machine is listened to.
pyralog_print(pyralog.toml config --template --set kafka.host=127.0.0.1)
get_property(printed GLOBAL PROPERTY pyralog_printed)
add_custom_command(OUTPUT ${made}/pyralog.1.gz VERBATIM DEPENDS ${made}/pyralog.1
    COMMAND gzip -9nc ${made}/pyralog.1 > ${made}/pyralog.1.gz)
add_custom_target(pyralog_install_files ALL DEPENDS ${printed} ${made}/pyralog.1.gz)
configure_file(${CMAKE_SOURCE_DIR}/packaging/pyralog.service.in ${made}/pyralog.service @ONLY)

install(TARGETS pyralog RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(FILES ${made}/pyralog.1.gz DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
install(FILES ${made}/pyralog.bash RENAME pyralog
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES ${made}/_pyralog DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/vendor-completions)
install(FILES ${made}/pyralog.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(FILES ${made}/pyralog.service DESTINATION lib/systemd/system)
install(FILES ${made}/pyralog.toml DESTINATION ${PYRALOG_CONFIG_DIR})
install(DIRECTORY ${CMAKE_SOURCE_DIR}/docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR}
    FILES_MATCHING PATTERN *.md)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/packaging/prometheus ${CMAKE_SOURCE_DIR}/packaging/grafana
    DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples FILES_MATCHING PATTERN *.yml PATTERN *.json)

# ---- The package ----

set(deb ${CMAKE_SOURCE_DIR}/packaging/deb)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME pyralog)
set(CPACK_PACKAGE_VERSION ${PYRALOG_VERSION})
set(CPACK_PACKAGE_VENDOR "the authors of Pyralog")
set(CPACK_PACKAGE_CONTACT "the authors of Pyralog <pyralog@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "replicated log that Kafka clients can use")
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Pyralog keeps logs of records on several machines, for producers and
consumers that speak Kafka's protocol: every partition is a Raft group, and
what a producer was acknowledged is on the disks of a majority. This package
has the node, and the commands to look after it.")
set(CPACK_DEBIAN_PACKAGE_SECTION database)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_DEPENDS adduser)
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "kafkacat, prometheus")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    ${deb}/conffiles ${deb}/postinst ${deb}/prerm ${deb}/postrm)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR})
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ
    GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_CMAKE_GENERATOR Ninja)

# Debian wants to know who may do what, and what has changed.
file(WRITE ${made}/changelog "pyralog (${PYRALOG_VERSION}-1) unstable; urgency=medium

  * The commits of its source tree say what has changed.

 -- ${CPACK_PACKAGE_CONTACT}  Mon, 23 Nov 2026 00:00:00 +0000
")
execute_process(COMMAND gzip -9nc ${made}/changelog OUTPUT_FILE ${made}/changelog.Debian.gz)
install(FILES ${made}/changelog.Debian.gz ${deb}/copyright DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES ${deb}/lintian-overrides RENAME pyralog
    DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides)
include(CPack)
