//! `livepatch watch` as a service of systemd, by the unit in `dist/`, over a server that systemd confines.

use super::on_each_kernel;
use anyhow::Result;
use livepatch_tests::qemu::{Guest, Kernel};
use livepatch_tests::servers::{Installation, Variant};
use livepatch_tests::tools::tests_directory;

/// Redis, which its unit confines by a seccomp filter, `PR_SET_NO_NEW_PRIVS`, a mount namespace, without capabilities.
const UNIT: &[u8] = b"[Service]
ExecStart=/bin/program.stripped --bind 127.0.0.1 --save '' --dir /tmp
User=nobody
NoNewPrivileges=yes
MemoryDenyWriteExecute=yes
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM
CapabilityBoundingSet=
PrivateTmp=yes
ProtectSystem=strict
RestrictNamespaces=yes
[Install]
WantedBy=multi-user.target
";

/// Enabled as an administrator would, before systemd runs.
const INSTALL: &str = "mkdir -p /usr/bin && ln -s /bin/livepatch /usr/bin/livepatch \
    && mkdir -p /etc/livepatch/patches.d && cp fix.lpatch /etc/livepatch/patches.d && chmod -R go-w /etc/livepatch \
    && systemctl enable livepatch-watch.service redis.service";

/// `old` takes a malformed selector, `new` refuses it; `until VERSION` waits half a minute for one.
const ASK: &str = "
ask() { printf 'ACL SETUSER probe %%~\\r\\nQUIT\\r\\n' | nc 127.0.0.1 6379 | head -n 1; }
until_version() {
    i=0
    while [ $i -lt 60 ]; do
        case $(ask) in
            +OK*) version=old ;;
            -ERR*) version=new ;;
            *) version=none ;;
        esac
        [ $version = $1 ] && return
        i=$((i + 1))
        usleep 500000
    done
    echo it is $version, not $1 >&2
    return 1
}
";

#[test]
#[ignore = "minutes in an emulator: `scripts/test --full`"]
fn a_confined_service_is_patched_at_each_start() -> Result<()> {
    let redis = Installation::build("redis")?;
    let place = tempfile::tempdir()?;
    let fix = place.path().join("fix.lpatch");
    redis.patchgen(Variant::StrippedTarget, &fix)?;
    on_each_kernel(|kernel| {
        let mut guest = guest(kernel, &redis)?;
        guest.file(&fix)?;
        guest.systemd(INSTALL)?;
        guest.prelude(ASK);
        guest.step("ip link set lo up");
        // It started with the watcher or after it.
        guest.step("until_version new");
        let confined = "grep -E 'Seccomp:|NoNewPrivs:' /proc/$(pidof program.stripped)/status";
        guest
            .step(confined)
            .output("Seccomp:\t2")
            .output("NoNewPrivs:\t1");
        guest.step("livepatch list").output("fix  active");
        guest.step("systemctl restart redis.service && until_version new");
        // Its unit does not start it again: that is for the test to do.
        guest.step("systemctl kill -s KILL redis.service; sleep 1; systemctl start redis.service && until_version new");
        guest
            .step("until grep 'fix' /run/livepatch/livepatch.prom; do sleep 1; done")
            .output("livepatch_");
        // Without the watcher a new start is the old program; what was patched before stays so.
        guest.step("systemctl stop livepatch-watch.service && until_version new");
        guest.step("systemctl restart redis.service && until_version old");
        guest.step("systemctl start livepatch-watch.service && until_version new");
        // A watcher that is killed comes back.
        guest.step("systemctl kill -s KILL livepatch-watch.service; sleep 2; systemctl is-active livepatch-watch.service");
        guest.step("systemctl restart redis.service && until_version new");
        guest
            .step("livepatch revert --pid $(pidof program.stripped) fix && until_version old")
            .output("reverted");
        guest.run("watched").map(drop)
    })
}

fn guest(kernel: &Kernel, redis: &Installation) -> Result<Guest> {
    let mut guest = Guest::new(kernel)?;
    guest.livepatch()?;
    guest.program(&redis.path("program.stripped"))?;
    let unit = tests_directory().join("../dist/livepatch-watch.service");
    guest.place(&unit, "etc/systemd/system/livepatch-watch.service")?;
    guest.bytes("etc/systemd/system/redis.service", UNIT);
    Ok(guest)
}
