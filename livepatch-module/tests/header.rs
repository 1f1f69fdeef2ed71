//! `livepatch_module.h` and `abi.rs` say the same: a C compiler and a C++ compiler lay every structure out as Rust does.

use livepatch_module::abi;
use std::fmt::Write;
use std::mem::offset_of;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

macro_rules! fields {
    ($lines:ident, $c:literal, $rust:ty { $($c_field:ident = $field:ident),* $(,)? }) => {
        $lines.push((format!("sizeof(struct {})", $c), size_of::<$rust>()));
        $($lines.push((
            format!("offsetof(struct {}, {})", $c, stringify!($c_field)),
            offset_of!($rust, $field),
        ));)*
    };
}

/// What C is asked, and what Rust has.
fn facts() -> Vec<(String, usize)> {
    let mut facts = Vec::new();
    fields!(facts, "lp_address", abi::Address {
        ip = ip, port = port, reserved = reserved, interface = interface,
    });
    fields!(facts, "lp_event", abi::Event {
        size = size, kind = kind, source = source, place = place, time_ns = time_ns, value = value, from = from,
        reserved = reserved, path = path, path_len = path_len, data = data, len = len,
    });
    fields!(facts, "lp_socket", abi::Socket {
        size = size, kind = kind, name = name, entry = entry, address = address, policy = policy, path = path,
        groups = groups, multicast = multicast, receive_buffer = receive_buffer, ttl = ttl,
    });
    fields!(facts, "lp_host", abi::Host {
        size = size, abi = abi, context = context, log = log, fail = fail, now = now, alloc = alloc, free = free,
        open = open, find = find, close = close, send = send, send_path = send_path, timer = timer,
        cancel = cancel, signal = signal, reply = reply,
    });
    fields!(facts, "lp_entry", abi::Entry { name = name, call = call });
    fields!(facts, "lp_operations", abi::Operations {
        attach = attach, init = init, term = term, hold = hold, restart = restart, migrate = migrate,
        validate = validate, health = health, warm_up = warm_up,
    });
    fields!(facts, "lp_module", abi::Module {
        size = size, abi = abi, name = name, version = version, schema = schema, operations = operations,
        entries = entries, entry_count = entry_count,
    });
    fields!(facts, "lp_note", abi::Note {
        abi = abi, module_size = module_size, host_size = host_size, event_size = event_size,
        operations_size = operations_size, accept_count = accept_count, schema = schema, accepts = accepts,
        name = name, version = version,
    });
    fields!(facts, "lp_elf_note", abi::ElfNote {
        owner_size = owner_size, size = size, type = kind, owner = owner, note = note,
    });
    let numbers = [
        ("LP_ABI", abi::ABI as usize),
        ("LP_ACCEPTS_MAX", abi::ACCEPTS_MAX),
        ("LP_NAME_MAX", abi::NAME_MAX),
        ("LP_MESSAGE", abi::MESSAGE as usize),
        ("LP_TIMER", abi::TIMER as usize),
        ("LP_SIGNAL", abi::SIGNAL as usize),
        ("LP_COMMAND", abi::COMMAND as usize),
        ("LP_CONNECTED", abi::CONNECTED as usize),
        ("LP_ENDED", abi::ENDED as usize),
        ("LP_UPGRADE", abi::UPGRADE as usize),
        ("LP_ROLLBACK", abi::ROLLBACK as usize),
        ("LP_UDP4", abi::UDP4 as usize),
        ("LP_UNIX_DATAGRAM", abi::UNIX_DATAGRAM as usize),
        ("LP_NETLINK_ROUTE", abi::NETLINK_ROUTE as usize),
        ("LP_TCP4", abi::TCP4 as usize),
        ("LP_BACK_PRESSURE", abi::BACK_PRESSURE as usize),
        ("LP_DROP", abi::DROP as usize),
        ("LP_AGAIN", abi::AGAIN as usize),
        ("-LP_FAILED", 1),
        ("-LP_PANIC", 2),
    ];
    facts.extend(numbers.map(|(name, number)| (name.to_owned(), number)));
    facts
}

#[test]
fn both_sides_have_the_same_layout() {
    let directory = TempDir::new().expect("a temporary directory");
    let mut program =
        String::from("#include <livepatch_module.h>\n#include <stdio.h>\nint main(void) {\n");
    let facts = facts();
    for (question, _) in &facts {
        let _ = writeln!(program, "printf(\"%ld\\n\", (long)({question}));");
    }
    program.push_str("return 0;\n}\n");
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    for (compiler, file) in [("gcc", "layout.c"), ("g++", "layout.cc")] {
        let (source, binary) = (directory.path().join(file), directory.path().join(compiler));
        std::fs::write(&source, &program).expect("writable");
        let status = Command::new(compiler)
            .args(["-Wall", "-Werror", "-I"])
            .arg(&include)
            .arg(&source)
            .arg("-o")
            .arg(&binary)
            .status();
        assert!(status.expect("the compiler is there").success());
        let output = Command::new(&binary).output().expect("just built").stdout;
        let text = String::from_utf8(output).expect("numbers");
        assert_eq!(text.lines().count(), facts.len());
        for ((question, rust), c) in facts.iter().zip(text.lines()) {
            assert_eq!(&rust.to_string(), c, "{question} by {compiler}");
        }
    }
    assert_eq!((abi::FAILED, abi::PANIC, abi::OK), (-1, -2, 0));
}
