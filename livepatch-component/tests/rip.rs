//! The sample router beside a neighbour that knows RFC 2453, too: this test, in a network namespace of its own.

mod common;

use common::{Place, Running, wait_for};
use nix::sched::{CloneFlags, setns};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::process::Command;
use std::time::Duration;

const ROUTERS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 9);
const ROUTER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(10, 88, 0, 1), 520);
const REQUEST: u8 = 1;
const RESPONSE: u8 = 2;
const INFINITY: u32 = 16;

/// Two namespaces and a cable.
struct Network(String);

fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output();
    let output = output.expect("`ip` is there");
    assert!(output.status.success(), "ip {words}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

impl Network {
    fn new(name: &str) -> Self {
        let network = Self(format!("lprip{}{name}", std::process::id()));
        let name = &network.0;
        for side in ["a", "b"] {
            ip(&format!("netns add {name}{side}"));
            ip(&format!("-n {name}{side} link set lo up"));
        }
        ip(&format!(
            "link add near netns {name}a type veth peer name near netns {name}b"
        ));
        // Both ends of another one are the router's.
        ip(&format!(
            "link add far netns {name}a type veth peer name end netns {name}a"
        ));
        for (side, device, address) in [
            ("a", "near", "10.88.0.1/24"),
            ("b", "near", "10.88.0.2/24"),
            ("b", "near", "10.55.0.1/24"),
            ("a", "far", "10.77.0.1/24"),
        ] {
            ip(&format!("-n {name}{side} addr add {address} dev {device}"));
            ip(&format!("-n {name}{side} link set {device} up"));
        }
        ip(&format!("-n {name}a link set end up"));
        network
    }

    /// A socket of the neighbour.
    fn socket(&self, address: &'static str, port: u16) -> UdpSocket {
        let path = format!("/run/netns/{}b", self.0);
        let thread = std::thread::spawn(move || {
            let namespace = File::open(path).expect("it is there");
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("the test runs as root");
            UdpSocket::bind((address, port)).expect("nobody else is there")
        });
        thread.join().expect("it has not panicked")
    }

    fn routes(&self) -> String {
        ip(&format!("-n {}a route show proto rip", self.0))
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for side in ["a", "b"] {
            let name = format!("{}{side}", self.0);
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}

/// A route as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    /// The first two bytes of the network.
    network: [u8; 2],
    mask: u32,
    metric: u32,
}

fn told(network: [u8; 2], metric: u32) -> Told {
    Told {
        network,
        mask: 0xffff_0000,
        metric,
    }
}

fn message(command: u8, password: Option<&str>, entries: &[Told]) -> Vec<u8> {
    let mut bytes = vec![command, 2, 0, 0];
    if let Some(password) = password {
        let mut room = [0; 16];
        room[..password.len()].copy_from_slice(password.as_bytes());
        bytes.extend([0xff, 0xff, 0, 2]);
        bytes.extend(room);
    }
    for entry in entries {
        bytes.extend([0, 2, 0, 0, entry.network[0], entry.network[1], 0, 0]);
        bytes.extend(entry.mask.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(entry.metric.to_be_bytes());
    }
    bytes
}

fn request_all() -> Vec<u8> {
    let mut bytes = vec![REQUEST, 2, 0, 0];
    bytes.extend([0; 19]);
    bytes.push(16);
    bytes
}

/// The routes of a message; the password's entry is one with the network of its first letters.
fn entries(bytes: &[u8]) -> Vec<Told> {
    let word = |at: &[u8]| u32::from_be_bytes(at.try_into().expect("four bytes"));
    let entries = bytes[4..].chunks_exact(20);
    let entry = |entry: &[u8]| Told {
        network: [entry[4], entry[5]],
        mask: word(&entry[8..12]),
        metric: word(&entry[16..]),
    };
    entries.map(entry).collect()
}

struct Neighbour {
    /// At RIP's port.
    router: UdpSocket,
    /// At another one.
    host: UdpSocket,
    /// At an address of another network.
    stranger: UdpSocket,
}

impl Neighbour {
    fn new(network: &Network) -> Self {
        let hears = network.socket("0.0.0.0", 520);
        let near = Ipv4Addr::new(10, 88, 0, 2);
        hears.join_multicast_v4(&ROUTERS, &near).expect("it is up");
        let it = Self {
            router: hears,
            host: network.socket("10.88.0.2", 0),
            stranger: network.socket("10.55.0.1", 0),
        };
        for socket in [&it.router, &it.host] {
            let patience = Some(Duration::from_secs(60));
            socket.set_read_timeout(patience).expect("a time");
        }
        it
    }

    fn tell(&self, entries: &[Told]) {
        self.say(&message(RESPONSE, None, entries));
    }

    fn say(&self, bytes: &[u8]) {
        self.router.send_to(bytes, ROUTER).expect("it is up");
    }

    /// The next message to routers.
    fn hear(&self) -> Vec<u8> {
        receive(&self.router)
    }

    /// Hears until a route is told like this; returns how many messages that took.
    fn hear_of(&self, wanted: Told) -> usize {
        let mut messages = 1;
        while !entries(&self.hear()).contains(&wanted) {
            messages += 1;
        }
        messages
    }

    /// What the router answers to a host.
    fn ask(&self, bytes: &[u8]) -> Vec<Told> {
        self.host.send_to(bytes, ROUTER).expect("it is up");
        let answer = receive(&self.host);
        assert_eq!(answer[..2], [RESPONSE, 2]);
        entries(&answer)
    }
}

fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut room = [0; 2048];
    let length = socket.recv(&mut room).expect("something comes");
    room[..length].to_vec()
}

struct Router {
    component: Running,
    neighbour: Neighbour,
    network: Network,
    _place: Place,
}

impl Router {
    /// A router that has asked its neighbour for all routes.
    fn start(name: &str, version: &str) -> Self {
        let network = Network::new(name);
        let place = Place::new();
        place.rust_modules();
        let mut program = Command::new("ip");
        program.args(["netns", "exec", &format!("{}a", network.0)]);
        program.arg(env!("CARGO_BIN_EXE_livepatch-component"));
        let component = place.run_as(program, "rip", version, &[]);
        let neighbour = Neighbour::new(&network);
        component.command(&["timers", "3600", "3600", "3600"]);
        component.command(&["network", "near"]);
        while neighbour.hear() != request_all() {}
        component.command(&["network", "far"]);
        Self {
            component,
            neighbour,
            network,
            _place: place,
        }
    }

    fn shows(&self, text: &str) -> bool {
        self.component.command(&["show", "routes"]).contains(text)
    }

    /// Learns a route, and so has handled all that was said before.
    fn learn(&self, network: [u8; 2], metric: u32) {
        self.neighbour.tell(&[told(network, metric)]);
        let [first, second] = network;
        let shown = format!("{first}.{second}.0.0/16 metric {}", metric + 1);
        wait_for("it is learnt", || self.shows(&shown));
    }
}

#[test]
fn routes_are_learnt_told_and_forgotten() {
    let router = Router::start("l", "0.0.2");
    let neighbour = &router.neighbour;
    router.learn([10, 99], 2);
    wait_for("the kernel has it", || {
        router
            .network
            .routes()
            .contains("10.99.0.0/16 via 10.88.0.2")
    });
    // No periodic update is due: it is a triggered one, with poisoned reverse.
    neighbour.hear_of(told([10, 99], INFINITY));
    // Whoever asks for certain routes gets them as they are; all of them, with split horizon.
    let wanted = [told([10, 99], 0), told([10, 98], 0)];
    let answer = neighbour.ask(&message(REQUEST, None, &wanted));
    assert_eq!(answer, [told([10, 99], 3), told([10, 98], INFINITY)]);
    let far = Told {
        network: [10, 77],
        mask: 0xffff_ff00,
        metric: 1,
    };
    let all = neighbour.ask(&request_all());
    assert!(all.contains(&far) && all.contains(&told([10, 99], INFINITY)));
    assert!(!all.iter().any(|told| told.network == [10, 88]), "{all:?}");
    // An upgrade changes nothing of that.
    let reply = router.component.upgrade("0.1.0");
    assert_eq!(reply.result, livepatch_component::Status::Done, "{reply:?}");
    assert_eq!(neighbour.ask(&message(REQUEST, None, &wanted)), answer);
    // Its gateway says that it cannot be reached; another one is not told any more at all.
    neighbour.tell(&[told([10, 99], INFINITY)]);
    wait_for("it is lost", || router.shows("10.99.0.0/16 metric 16"));
    router.component.command(&["timers", "3600", "1", "1"]);
    router.learn([10, 96], 1);
    wait_for("it is too old", || router.shows("10.96.0.0/16 metric 16"));
    wait_for("it is forgotten", || !router.shows("10.96.0.0/16"));
    wait_for("the kernel has neither", || {
        router.network.routes().is_empty()
    });
    // Regular updates come again and again.
    router.component.command(&["timers", "1", "180", "120"]);
    for _ in 0..3 {
        neighbour.hear_of(far);
    }
    router.component.stop();
}

#[test]
fn triggered_updates_wait_for_each_other() {
    const ROUTES: u8 = 50;
    let router = Router::start("t", "0.1.0");
    for number in 0..ROUTES {
        router.neighbour.tell(&[told([100, number], 1)]);
    }
    let last = told([100, ROUTES - 1], INFINITY);
    let messages = router.neighbour.hear_of(last);
    // Those of the start, one for what came first, and at most three of 25 routes each for the others.
    assert!(messages < 10, "{messages} messages");
    router.component.stop();
}

#[test]
fn what_is_wrong_is_not_believed() {
    let router = Router::start("w", "0.0.2");
    let neighbour = &router.neighbour;
    let wrong = |network, metric| message(RESPONSE, None, &[told(network, metric)]);
    let mut odd_mask = told([10, 66], 1);
    odd_mask.mask = 0xff00_ff00;
    let mut other_version = wrong([10, 66], 1);
    other_version[1] = 1;
    for bytes in [
        wrong([10, 66], 0),
        wrong([10, 66], 17),
        wrong([127, 1], 1),
        wrong([224, 1], 1),
        wrong([0, 0], 1)[..12].to_vec(),
        message(RESPONSE, None, &[odd_mask]),
        message(9, None, &[told([10, 66], 1)]),
        other_version,
        wrong([10, 66], 1)[..23].to_vec(),
        Vec::new(),
    ] {
        neighbour.say(&bytes);
    }
    // Right, but not from RIP's port.
    let good = wrong([10, 66], 1);
    neighbour.host.send_to(&good, ROUTER).expect("it is up");
    // Nobody tells a router of its own networks.
    let mut own = told([10, 77], 1);
    own.mask = 0xffff_ff00;
    neighbour.tell(&[own]);
    router.learn([10, 97], 1);
    let shown = router.component.command(&["show", "routes"]);
    for network in ["10.66.", "127.", "224."] {
        assert!(!shown.contains(network), "{shown}");
    }
    assert!(shown.contains("10.77.0.0/24 metric 1 connected"), "{shown}");
    // 0.0.1 believes any port, but nobody who is not next to it.
    let reply = router.component.upgrade("0.0.1");
    assert_eq!(reply.result, livepatch_component::Status::Done, "{reply:?}");
    neighbour.stranger.send_to(&good, ROUTER).expect("it is up");
    let good = wrong([10, 94], 1);
    neighbour.host.send_to(&good, ROUTER).expect("it is up");
    wait_for("it is believed", || router.shows("10.94.0.0/16 metric 2"));
    assert!(!router.shows("10.66."));
    // With a password, only those who know it are believed.
    router.component.command(&["password", "near", "secret"]);
    neighbour.say(&wrong([10, 66], 1));
    neighbour.say(&message(RESPONSE, Some("guess"), &[told([10, 66], 1)]));
    neighbour.say(&message(RESPONSE, Some("secret"), &[told([10, 95], 1)]));
    wait_for("it is believed", || router.shows("10.95.0.0/16 metric 2"));
    assert!(!router.shows("10.66."));
    // And what it says has it.
    let has_password = |bytes: Vec<u8>| bytes.len() > 14 && &bytes[8..14] == b"secret";
    while !has_password(neighbour.hear()) {}
    router.component.stop();
}
