//! The control socket, the queue's bound, timers and signals, the signing policy.

mod common;

use common::{Place, Running, wait_for};
use livepatch_bundle::PrivateKey;
use livepatch_component::{How, Reply, Request, Status, Upgrade, socket_path};
use std::fs;
use std::io::{Read, Write};
use std::net::UdpSocket;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

fn counter(options: &[&str]) -> (Running, Place) {
    let place = Place::new();
    place.counter("1.0.0", &[]);
    place.counter("1.0.1", &[]);
    (place.run("counter", "1.0.0", options), place)
}

/// What the component answers to these bytes.
fn answer_to(place: &Place, bytes: &[u8]) -> Reply {
    let path = socket_path(place.directory.path(), "counter");
    let mut stream = UnixStream::connect(path).expect("it listens");
    // It may have answered and closed before all is written.
    let _ = stream.write_all(bytes);
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    serde_json::from_str(&answer).expect("it answers")
}

#[test]
fn garbage_gets_an_error_and_nothing_else_happens() {
    let (component, place) = counter(&[]);
    let long = vec![b'x'; 100_000];
    let cases: [(&[u8], &str); 5] = [
        (b"\n", "that is no request"),
        (b"{\"verb\":\"explode\"}\n", "that is no request"),
        (b"{\"verb\":\"upgrade\"}\n", "that is no request"),
        (b"\xff\xfe\0\0\n", "that is no request"),
        (&long, "at most 65536 bytes"),
    ];
    for (bytes, text) in cases {
        let reply = answer_to(&place, bytes);
        assert_eq!(reply.result, Status::Error);
        assert!(reply.errors[0].contains(text), "{reply:?}");
    }
    // Several at once are answered one after the other.
    let path = socket_path(place.directory.path(), "counter");
    let mut stream = UnixStream::connect(&path).expect("it listens");
    let lines = b"{\"verb\":\"history\"}\n{\"verb\":\"show\"}\n{\"verb\":\"explode\"}\n";
    stream.write_all(lines).expect("it reads");
    let mut answers = String::new();
    let _ = stream.read_to_string(&mut answers);
    let answers: Vec<Reply> = answers
        .lines()
        .map(|line| serde_json::from_str(line).expect("it answers"))
        .collect();
    let results: Vec<Status> = answers.iter().map(|reply| reply.result).collect();
    assert_eq!(results, [Status::Done, Status::Done, Status::Error]);
    // Half a request, and a hundred who say nothing.
    let connect = |_| UnixStream::connect(&path).expect("it listens");
    let silent: Vec<UnixStream> = (0..100).map(connect).collect();
    drop(silent);
    wait_for("it answers again", || {
        component.try_ask(&Request::History {}).is_some()
    });
    for version in ["../../etc/passwd", "", "..", "1.0.1\0", "/etc/passwd"] {
        let reply = component.upgrade(version);
        assert_eq!(reply.result, Status::Refused, "{version:?} {reply:?}");
    }
    assert_eq!(component.show().version, "1.0.0");
    component.stop();
}

#[test]
fn other_users_are_refused() {
    let (component, place) = counter(&[]);
    let directory = place.directory.path();
    let path = socket_path(directory, "counter");
    let open = |path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    open(directory, 0o755).expect("ours");
    open(&path, 0o777).expect("ours");
    let output = Command::new("python3")
        .args(["-c", "import socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\nprint(s.recv(4096).decode())"])
        .arg(&path)
        .uid(65534)
        .stderr(Stdio::inherit())
        .output();
    let output = output.expect("python3 is there, and the test runs as root");
    let reply: Reply = serde_json::from_slice(&output.stdout).expect("it is answered");
    assert_eq!(reply.result, Status::Refused);
    assert!(reply.errors[0].contains("user 65534 may not"), "{reply:?}");
    // As it is made, they cannot even connect.
    open(&path, 0o755).expect("ours");
    let program = place.path("livepatch-component");
    // Where it was built, others may have no access.
    fs::copy(env!("CARGO_BIN_EXE_livepatch-component"), &program).expect("writable");
    let mut command = Command::new(&program);
    command
        .args(["show", "counter", "--directory"])
        .arg(directory);
    let output = command.uid(65534).output().expect("it can be run");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = "livepatch: you may not control `counter`: only root and its user may\n";
    assert!(errors.starts_with(text), "{errors}");
    component.stop();
}

#[test]
fn a_full_queue_keeps_or_counts() {
    const SENT: u64 = 5000;
    for (verb, loses) in [("open", false), ("drop", true)] {
        let (component, place) = counter(&["--queue", "2"]);
        component.command(&[verb, place.path("numbers").to_str().expect("plain")]);
        let client = place.client();
        for number in 1..=SENT {
            client
                .send(&number.to_le_bytes())
                .expect("the component reads");
        }
        let socket = || component.show().sockets.remove(0);
        wait_for("all were read", || {
            let traffic = socket().traffic;
            traffic.received + traffic.dropped == SENT
        });
        let shown = component.show();
        assert!(shown.queue.high <= 2, "{shown:?}");
        let traffic = socket().traffic;
        assert_eq!(traffic.dropped > 0, loses, "{traffic:?}");
        let text = format!("1.0.0 count {} ", traffic.received);
        assert!(component.command(&["show"]).starts_with(&text));
        component.stop();
    }
}

#[test]
fn what_the_kernel_drops_is_counted() {
    const SENT: u64 = 500;
    let (component, _place) = counter(&[]);
    let client = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // A port that was free a moment ago.
    let free = UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let address = free.expect("a port");
    component.command(&["udp", &address.port().to_string()]);
    let pid = component.show().pid.to_string();
    let signal = |name: &str| Command::new("kill").args([name, &pid]).status();
    assert!(signal("-STOP").expect("kill is there").success());
    for number in 1..=SENT {
        client
            .send_to(&number.to_le_bytes(), address)
            .expect("loopback takes it");
    }
    assert!(signal("-CONT").expect("kill is there").success());
    let traffic = || component.show().sockets.remove(0).traffic;
    wait_for("it reads on", || {
        traffic().received > 0 && component.show().queue.waiting == 0
    });
    // The kernel tells its count with the next message.
    let last = SENT + 1;
    client
        .send_to(&last.to_le_bytes(), address)
        .expect("loopback takes it");
    wait_for("all are accounted for", || {
        let traffic = traffic();
        traffic.received + traffic.dropped_by_kernel == last
    });
    let traffic = traffic();
    assert!(traffic.dropped_by_kernel > 0, "{traffic:?}");
    let lost = format!(
        "count {} lost {} late 0",
        traffic.received, traffic.dropped_by_kernel
    );
    assert!(component.command(&["show"]).contains(&lost));
    component.stop();
}

#[test]
fn timers_and_signals_outlive_a_version() {
    let (component, _place) = counter(&[]);
    let pid = component.show().pid.to_string();
    component.command(&["tick", "300"]);
    // A real-time signal.
    component.command(&["signal", "40"]);
    assert_eq!(component.upgrade("1.0.1").result, Status::Done);
    for _ in 0..5 {
        let status = Command::new("kill").args(["-40", &pid]).status();
        assert!(status.expect("kill is there").success());
    }
    let shown = "1.0.1 count 0 lost 0 late 0 ticks 1 signals 5";
    wait_for("all are counted", || component.command(&["show"]) == shown);
    component.stop();
}

#[test]
fn a_dry_run_changes_nothing() {
    let (component, _place) = counter(&[]);
    let try_out = |version: &str| {
        component.ask(&Request::Upgrade(Upgrade {
            version: version.to_owned(),
            dry_run: true,
            reversible: true,
            how: How::default(),
        }))
    };
    assert_eq!(try_out("1.0.1").result, Status::Done);
    assert_eq!(try_out("9.9.9").result, Status::Refused);
    assert_eq!(component.show().version, "1.0.0");
    assert_eq!(component.ask(&Request::History {}).history.len(), 1);
    assert_eq!(
        component
            .ask(&Request::Rollback {
                how: How::default()
            })
            .result,
        Status::Refused
    );
    component.stop();
}

#[test]
fn two_components_of_one_name_cannot_run() {
    let (component, place) = counter(&[]);
    let second = Command::new(env!("CARGO_BIN_EXE_livepatch-component"))
        .args(["run", "counter", "1.0.0", "--directory"])
        .arg(place.directory.path())
        .arg("--repository")
        .arg(place.repository())
        .output();
    let second = second.expect("it can be started");
    assert_eq!(second.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&second.stderr).contains("is running already"));
    assert_eq!(component.show().version, "1.0.0");
    component.stop();
}

#[test]
fn only_trusted_modules_are_loaded_where_the_policy_asks() {
    let place = Place::new();
    let good = place.counter("1.0.0", &[]);
    let unsigned = place.counter("1.0.1", &[]);
    let (config, keys, key) = (
        place.path("config.toml"),
        place.path("keys"),
        place.path("key"),
    );
    fs::write(&config, "require-signature = true\n").expect("writable");
    fs::create_dir(&keys).expect("writable");
    let stored = PrivateKey::generate().and_then(|made| made.store(&key));
    fs::rename(stored.expect("writable"), keys.join("key.pub")).expect("writable");
    let sign = |module| {
        let signed = Command::new(env!("CARGO_BIN_EXE_livepatch-component"))
            .args(["sign", "--key"])
            .arg(&key)
            .arg(module)
            .status();
        assert!(signed.expect("it can be run").success());
    };
    sign(&good);
    let text = |path: &std::path::Path| path.to_str().expect("plain").to_owned();
    let options = ["--config", &text(&config), "--keys", &text(&keys)];
    let component = place.run("counter", "1.0.0", &options);
    assert!(component.show().signer.is_some());
    let refused = |what: &str| {
        let reply = component.upgrade("1.0.1");
        assert_eq!(reply.result, Status::Refused, "{reply:?}");
        assert!(
            reply.errors.iter().any(|error| error.contains(what)),
            "{reply:?}"
        );
    };
    refused("it has no signature");
    sign(&unsigned);
    let mut bytes = fs::read(&unsigned).expect("just signed");
    bytes[100] ^= 1;
    fs::write(&unsigned, &bytes).expect("writable");
    refused("it was altered");
    bytes[100] ^= 1;
    fs::write(&unsigned, &bytes).expect("writable");
    assert_eq!(component.upgrade("1.0.1").result, Status::Done);
    component.stop();
}
